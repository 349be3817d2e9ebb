// What it costs the hub to keep host metrics: a day (or so many hours as are given) of made-up samples of 200 targets
// goes as batches through ApplyBatch and the merger. Beside it the same samples as plain SQLite rows, one a sample, in
// transactions of as many.
//
//   build/release/bin/hub_samples_bench [TARGETS [HOURS]]
//
// Then, how long a commit of one status in hub.db takes, one each 10 ms or so: beside nothing, and while the merger
// moves 100,000 samples from hub.db to metrics.db (docs/adr/0007-metric-store.md). The machine's disk decides, so that
// is told and not judged.
//
// CPU is that of the whole process without making the samples. Fails when a stored value takes more than 8 bytes (all
// of metrics.db by what was measured, and by what is kept), or a day of one target takes more than 300 ms to be asked
// for.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/status.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/samples/sample_mover.h"
#include "hub/samples/sample_store.h"
#include "hub/store/agent_runs.h"
#include "hub/store/host_sample.h"
#include "hub/store/journal_writes.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

constexpr int kDisks = 3;
constexpr int kDeployments = 3;
constexpr int kSamplesAnHour = 120;
// A backlog's batches; live agents send one sample at a time.
constexpr int kBatchSamples = 4;
constexpr std::uint64_t kSeed = 1;
constexpr std::int64_t kBegin = 1'800'014'400;

constexpr double kMustBytes = 8;
constexpr double kMustQueryMs = 300;

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// One host: noise in its CPU and rates, memory that drifts, disks that fill.
class MadeUpHost {
 public:
  explicit MadeUpHost(std::uint64_t seed) : random_(seed) {
    for (double& used : disk_used_) used = Uniform(10e9, 400e9);
    for (double& memory : deployment_memory_) memory = Uniform(50e6, 2e9);
  }

  agent::v1::HostSample Next() {
    agent::v1::HostSample s;
    cpu_ = std::clamp(cpu_ + Normal(0.03), 0.01, 1.0);
    memory_ = std::clamp(memory_ + Normal(20e6), 1e9, 15e9);
    load_ = std::clamp(load_ * 0.9 + cpu_ * 8 * 0.1 + Normal(0.05), 0.0, 64.0);
    s.set_cpu_cores(8);
    s.set_cpu_usage_ratio(cpu_);
    s.set_memory_total_bytes(16'777'216'000);
    s.set_memory_used_bytes(Pages(memory_));
    s.set_swap_total_bytes(2'147'479'552);
    s.set_swap_used_bytes(Pages(Uniform(0, 1) < 0.1 ? swap_ += 40'960 : swap_));
    // The kernel gives hundredths.
    s.set_load1(std::round(load_ * 100) / 100);
    s.set_load5(std::round((load_ * 0.7 + 0.9) * 100) / 100);
    s.set_load15(std::round((load_ * 0.4 + 1.5) * 100) / 100);
    s.mutable_uptime()->set_seconds(uptime_ += 30);
    s.set_network_receive_bytes_per_second(std::exp(11 + Normal(1)));
    s.set_network_transmit_bytes_per_second(std::exp(10 + Normal(1)));
    s.set_disk_read_bytes_per_second(Uniform(0, 1) < 0.5 ? 0 : std::exp(9 + Normal(2)));
    s.set_disk_written_bytes_per_second(std::exp(12 + Normal(1)));
    AddDisks(s);
    AddDeployments(s);
    return s;
  }

 private:
  static std::int64_t Pages(double bytes) { return static_cast<std::int64_t>(bytes) / 4096 * 4096; }
  double Uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }
  double Normal(double deviation) { return std::normal_distribution<double>(0, deviation)(random_); }

  void AddDisks(agent::v1::HostSample& s) {
    for (int i = 0; i < kDisks; ++i) {
      double& used = disk_used_[static_cast<std::size_t>(i)];
      // One is written all the time, the others now and then.
      if (i == 0 || Uniform(0, 1) < 0.1) used = std::clamp(used + Normal(3e6) + 2e5, 1e9, 480e9);
      auto* disk = s.add_disks();
      disk->set_device(fmt::format("/dev/nvme{}n1p1", i));
      disk->set_mount_path(fmt::format("/data{}", i));
      disk->set_filesystem_type("ext4");
      disk->set_total_bytes(500'000'002'048);
      disk->set_used_bytes(Pages(used));
      disk->set_available_bytes(474'000'000'000 - Pages(used));
    }
  }
  void AddDeployments(agent::v1::HostSample& s) {
    auto* running = s.add_containers();
    running->set_state("running");
    running->set_count(7);
    auto* exited = s.add_containers();
    exited->set_state("exited");
    exited->set_count(2);
    for (int i = 0; i < kDeployments; ++i) {
      double& memory = deployment_memory_[static_cast<std::size_t>(i)];
      memory = std::clamp(memory + Normal(1e6), 20e6, 4e9);
      auto* use = s.add_deployments();
      use->set_deployment_key(fmt::format("compose/shop-{}", i));
      use->set_cpu_cores(std::abs(Normal(0.1)));
      use->set_memory_bytes(Pages(memory));
    }
  }

  std::mt19937_64 random_;
  double cpu_ = 0.2;
  double memory_ = 8e9;
  double load_ = 1;
  double swap_ = 1e8;
  std::int64_t uptime_ = 86'400;
  double disk_used_[kDisks] = {};
  double deployment_memory_[kDeployments] = {};
};

struct Result {
  double apply_cpu_seconds = 0;
  double move_cpu_seconds = 0;
  std::int64_t samples = 0;
};

absl::Time At(std::int64_t sample) { return absl::FromUnixSeconds(kBegin + 30 * sample); }

StoredTarget NewTarget(const std::string& id, const std::string& name) {
  StoredTarget target;
  target.id = id;
  target.name = name;
  target.type = types::v1::TARGET_TYPE_DOCKER;
  target.created = At(-1);
  target.open = {.state = types::v1::TARGET_STATE_NOT_CONNECTED, .from = At(-1), .to = {}, .reason = "created"};
  return target;
}

class Bench {
 public:
  Bench(int targets, int hours, Figures& figures)
      : figures_(figures),
        samples_each_(static_cast<std::int64_t>(hours) * kSamplesAnHour),
        hub_(Must(Store::Open(dir_.path() + "/hub.db"))),
        store_(Must(SampleStore::Open(dir_.path() + "/metrics.db", hub_.get()))),
        plain_(Must(sqlite::Database::Open(dir_.path() + "/plain.db", sqlite::OpenMode::kWriter))) {
    Check(
        plain_->Execute("CREATE TABLE samples(target TEXT NOT NULL, at_us INTEGER NOT NULL, sample BLOB NOT NULL,"
                        " PRIMARY KEY(target, at_us)) STRICT, WITHOUT ROWID"));
    for (int i = 0; i < targets; ++i) {
      hosts_.emplace_back(kSeed * 1'000'003 + static_cast<std::uint64_t>(i));
      ids_.push_back(fmt::format("tgt_{:05}", i));
      const StoredTarget target = NewTarget(ids_.back(), fmt::format("host-{}", i));
      Check(hub_->writer().Run([&](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(InsertTarget(database, target));
        return EnsureAgentRuns(database, target.id, {"e1"}, At(-1)).status();
      }));
    }
  }

  void Run() {
    SampleMover mover(store_.get());
    for (std::int64_t at = 0; at < samples_each_; at += kBatchSamples) {
      const std::vector<agent::v1::RecordBatch> batches = MakeBatches(at);
      Apply(batches, at + kBatchSamples);
      InsertPlainly(batches, at);
      if (at % SampleMover::kChunkSamples < kBatchSamples) Move(mover, at + kBatchSamples);
    }
    Move(mover, samples_each_ + 100);
    Judge();
  }

 private:
  std::vector<agent::v1::RecordBatch> MakeBatches(std::int64_t at) {
    std::vector<agent::v1::RecordBatch> batches;
    for (MadeUpHost& host : hosts_) {
      agent::v1::RecordBatch& batch = batches.emplace_back();
      batch.set_epoch("e1");
      batch.set_lane(agent::v1::LANE_EVENTS);
      batch.set_first_sequence(at + 1);
      for (std::int64_t i = at; i < at + kBatchSamples; ++i) {
        agent::v1::Record* record = batch.add_records();
        *record->mutable_observed_at() = ToProto(At(i));
        *record->mutable_host_sample() = host.Next();
      }
    }
    return batches;
  }

  void Apply(const std::vector<agent::v1::RecordBatch>& batches, std::int64_t now) {
    const double before = CpuSeconds();
    Check(hub_->writer().Run([&](sqlite::Database& database) -> absl::Status {
      for (std::size_t i = 0; i < batches.size(); ++i) {
        const BatchOrigin origin{.target_id = ids_[i], .run = At(-1), .arrived = At(now), .skew = {}};
        ASSIGN_OR_RETURN(const BatchOutcome outcome, ApplyBatch(database, origin, batches[i]));
        result_.samples += outcome.samples;
      }
      return absl::OkStatus();
    }));
    result_.apply_cpu_seconds += CpuSeconds() - before;
  }

  void InsertPlainly(const std::vector<agent::v1::RecordBatch>& batches, std::int64_t at) {
    const double before = CpuSeconds();
    Check(plain_->Execute("BEGIN IMMEDIATE"));
    for (std::size_t i = 0; i < batches.size(); ++i) {
      for (int j = 0; j < kBatchSamples; ++j) {
        const std::string bytes = batches[i].records(j).host_sample().SerializeAsString();
        Check(RunBound(*plain_, "INSERT INTO samples VALUES(?,?,?)", [&](sqlite::Statement& s) {
          s.Bind(1, ids_[i]).Bind(2, At(at + j)).BindBlob(3, bytes.data(), bytes.size());
        }));
      }
    }
    Check(plain_->Execute("COMMIT"));
    Check(plain_->Checkpoint());
    plain_cpu_seconds_ += CpuSeconds() - before;
  }

  void Move(SampleMover& mover, std::int64_t now) {
    const double before = CpuSeconds();
    Check(mover.Pass(At(now), [] { return true; }));
    result_.move_cpu_seconds += CpuSeconds() - before;
  }

  std::int64_t Number(sqlite::Sql sql) {
    std::int64_t number = 0;
    Check(store_->store().Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(auto s, database.Prepare(sql));
      RETURN_IF_ERROR(s.Step().status());
      number = s.Int64(0);
      return absl::OkStatus();
    }));
    return number;
  }

  // Of a day of one target, all series, at the step that is the most work; the slowest of all targets.
  double QueryMs(absl::Duration step) {
    double slowest = 0;
    for (const std::string& id : ids_) {
      const Instant begun = Clock::System()->Monotonic();
      const SampleAnswer answer = Must(store_->Query({.target_id = id,
                                                      .metrics = {},
                                                      .from = At(std::max<std::int64_t>(samples_each_ - 2880, 0)),
                                                      .to = At(samples_each_),
                                                      .step = step}));
      slowest = std::max(slowest, absl::ToDoubleMilliseconds(Clock::System()->Monotonic() - begun));
      if (answer.series.empty()) std::abort();
    }
    return slowest;
  }

  void Judge() {
    const auto pages = static_cast<double>(
        Number("SELECT (page_count-freelist_count)*page_size FROM pragma_page_count, pragma_freelist_count,"
               " pragma_page_size"));
    const auto raw_values = static_cast<double>(Number("SELECT sum(value_count) FROM raw_chunks"));
    const auto raw_bytes = static_cast<double>(Number("SELECT sum(length(data)) FROM raw_chunks"));
    const auto rollup_values = static_cast<double>(Number("SELECT sum(value_count) FROM rollup_chunks"));
    const auto rollup_bytes = static_cast<double>(Number("SELECT sum(length(data)) FROM rollup_chunks"));
    const auto samples = static_cast<double>(result_.samples);
    const double cpu = result_.apply_cpu_seconds + result_.move_cpu_seconds;
    std::printf("%.0f samples of %zu targets, %.1f values each; raw %.0f values, rollups %.0f\n", samples, ids_.size(),
                raw_values / samples, raw_values, rollup_values);
    std::printf("CPU a sample: %.1f us to store, %.1f us to move\n", 1e6 * result_.apply_cpu_seconds / samples,
                1e6 * result_.move_cpu_seconds / samples);
    const auto bytes = [this](const char* of, double value) {
      figures_.Tell({.name = of, .value = value, .unit = "bytes", .must = AtMost(kMustBytes)});
    };
    bytes("a value in raw chunks", raw_bytes / raw_values);
    bytes("a value in rollup chunks", rollup_bytes / rollup_values);
    bytes("metrics.db, by stored value", pages / (raw_values + rollup_values));
    bytes("metrics.db, by measured value", pages / raw_values);
    figures_.Tell({.name = "CPU of a sample",
                   .value = 1e6 * cpu / samples,
                   .unit = "us",
                   .beside = Beside{.what = "plain SQLite rows", .value = 1e6 * plain_cpu_seconds_ / samples}});
    const auto query = [this](const char* of, absl::Duration step) {
      figures_.Tell({.name = of, .value = QueryMs(step), .unit = "ms", .must = AtMost(kMustQueryMs)});
    };
    query("a day of one target by 30 s", absl::Seconds(30));
    query("a day of one target by 5 min", absl::Minutes(5));
    const auto sent = static_cast<double>(samples_each_) * static_cast<double>(ids_.size());
    figures_.Tell({.name = "samples that are not stored", .value = sent - samples, .must = AtMost(0)});
  }

  Figures& figures_;
  const std::int64_t samples_each_;
  const TempDir dir_;
  std::vector<MadeUpHost> hosts_;
  std::vector<std::string> ids_;
  const std::unique_ptr<Store> hub_;
  const std::unique_ptr<SampleStore> store_;
  const std::unique_ptr<sqlite::Database> plain_;
  Result result_;
  double plain_cpu_seconds_ = 0;
};

// Commits of one status each in a hub.db with samples that wait, alone and while these are moved.
class StatusCommits {
 public:
  explicit StatusCommits(Figures& figures)
      : figures_(figures),
        hub_(Must(Store::Open(dir_.path() + "/hub.db"))),
        store_(Must(SampleStore::Open(dir_.path() + "/metrics.db", hub_.get()))) {
    Check(hub_->writer().Run([](sqlite::Database& database) -> absl::Status {
      RETURN_IF_ERROR(InsertTarget(database, NewTarget("tgt_status", "status")));
      return EnsureAgentRuns(database, "tgt_status", {"e1"}, At(-1)).status();
    }));
    for (int target = 0; target < kWaitingTargets; ++target) AddWaiting(target);
  }

  void Run() {
    std::vector<double> alone;
    std::vector<double> beside;
    double move_seconds = 0;
    SampleMover mover(store_.get());
    CommitFor(kTurn, nullptr);
    // In turns, so that what else the machine does meanwhile weighs on both.
    for (std::atomic<bool> has_moved_all = false; !has_moved_all;) {
      CommitFor(kTurn, &alone);
      std::atomic<bool> is_moving = true;
      const Instant begun = Clock::System()->Monotonic();
      std::thread merger([&] {
        has_moved_all = true;
        Check(mover.Pass(At(kWaitingEach + 100), [&] {
          has_moved_all = Clock::System()->Monotonic() - begun < kTurn;
          return has_moved_all.load();
        }));
        is_moving = false;
      });
      while (is_moving) beside.push_back(CommitMs());
      merger.join();
      move_seconds += absl::ToDoubleSeconds(Clock::System()->Monotonic() - begun);
    }
    std::printf("%d samples were moved in %.1f s; commits beside it %zu, without %zu; at most %.2f ms and %.2f ms\n",
                kWaitingTargets * kWaitingEach, move_seconds, beside.size(), alone.size(), Quantile(beside, 1),
                Quantile(alone, 1));
    const auto commit = [&](const char* of, double share) {
      figures_.Tell({.name = of,
                     .value = Quantile(beside, share),
                     .unit = "ms",
                     .beside = Beside{.what = "the same commits alone", .value = Quantile(alone, share)}});
    };
    commit("commit of a status while samples move, median", 0.5);
    commit("commit of a status while samples move, p99", 0.99);
  }

 private:
  static constexpr double kMaxPauseMs = 20;
  static constexpr absl::Duration kTurn = absl::Seconds(1);
  static constexpr int kWaitingTargets = 200;
  static constexpr int kWaitingEach = 500;

  void AddWaiting(int target) {
    const std::string id = fmt::format("tgt_{:05}", target);
    MadeUpHost host(kSeed * 1'000'003 + static_cast<std::uint64_t>(target));
    Check(hub_->writer().Run([&](sqlite::Database& database) -> absl::Status {
      RETURN_IF_ERROR(InsertTarget(database, NewTarget(id, fmt::format("host-{}", target))));
      for (int i = 0; i < kWaitingEach; ++i) {
        RETURN_IF_ERROR(
            StoreSample(database, {.target_id = id, .at = At(i), .epoch = "e1", .sequence = i + 1}, host.Next()));
      }
      return absl::OkStatus();
    }));
  }

  // Of one status that an agent's journal brought: healthy and error in turn. Some time after the one before: statuses
  // come now and then, and an idle writer checkpoints, which the next commit would wait for.
  double CommitMs() {
    absl::SleepFor(absl::Milliseconds(std::uniform_real_distribution<double>(0, kMaxPauseMs)(random_)));
    ++statuses_;
    agent::v1::RecordBatch batch;
    batch.set_epoch("e1");
    batch.set_lane(agent::v1::LANE_EVENTS);
    batch.set_first_sequence(statuses_);
    agent::v1::Record* const record = batch.add_records();
    const absl::Time at = At(0) + absl::Milliseconds(statuses_);
    *record->mutable_observed_at() = ToProto(at);
    agent::v1::DeploymentState* const state = record->mutable_transition()->mutable_deployment();
    state->set_key("compose/shop");
    state->set_name("shop");
    state->set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
    state->set_status(statuses_ % 2 == 0 ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_ERROR);
    state->set_message("web exited with 1; restarting (4 restarts)");
    *state->mutable_change_time() = ToProto(at);
    const Instant begun = Clock::System()->Monotonic();
    Check(hub_->writer().Run([&](sqlite::Database& database) -> absl::Status {
      const BatchOrigin origin{.target_id = "tgt_status", .run = At(-1), .arrived = at, .skew = {}};
      ASSIGN_OR_RETURN(const BatchOutcome outcome, ApplyBatch(database, origin, batch));
      return outcome.applied == 1 ? absl::OkStatus() : absl::InternalError("the status was not applied");
    }));
    return absl::ToDoubleMilliseconds(Clock::System()->Monotonic() - begun);
  }
  void CommitFor(absl::Duration time, std::vector<double>* took) {
    const Instant begun = Clock::System()->Monotonic();
    while (Clock::System()->Monotonic() - begun < time) {
      const double ms = CommitMs();
      if (took != nullptr) took->push_back(ms);
    }
  }

  static double Quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
  }

  Figures& figures_;
  const TempDir dir_;
  const std::unique_ptr<Store> hub_;
  const std::unique_ptr<SampleStore> store_;
  std::mt19937_64 random_{kSeed};
  std::int64_t statuses_ = 0;
};

}  // namespace
}  // namespace muster::hub

int main(int argc, char** argv) {
  int numbers[] = {200, 24};
  for (int i = 1; i < std::min(argc, 3); ++i) {
    const std::string text = argv[i];
    numbers[i - 1] = 0;
    std::from_chars(text.data(), text.data() + text.size(), numbers[i - 1]);
  }
  if (argc > 3 || numbers[0] < 1 || numbers[1] < 1) {
    std::fprintf(stderr, "usage: hub_samples_bench [TARGETS [HOURS]]\n");
    return 2;
  }
  muster::Figures figures;
  muster::hub::Bench(numbers[0], numbers[1], figures).Run();
  muster::hub::StatusCommits(figures).Run();
  return figures.ExitCode();
}
