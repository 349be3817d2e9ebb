// A hundred thousand sessions in one process, on the seam between transport and session: what a machine that may open
// as many descriptors would have to do behind its sockets. The frames are bytes when they come, as from a socket; the
// same sessions, fleet, writer and exposition serve them as in the hub. Prints CPU and memory a session; docs/load.md
// puts them beside a run with sockets.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/first_start.h"
#include "hub/fleet/fleet.h"
#include "hub/metrics/exposition.h"
#include "hub/metrics/hub_metrics.h"
#include "hub/session/agent_session.h"
#include "hub/store/history_recorder.h"
#include "hub/store/store.h"
#include "hub/store/writes.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

constexpr int kDefaultSessions = 100'000;
constexpr absl::Duration kInterval = absl::Seconds(5);
constexpr absl::Duration kWindow = absl::Seconds(30);
constexpr int kTargetsInATransaction = 1000;
constexpr int kSampleEvery = 6;         // heartbeats: 30 s
constexpr int kChangesAMinuteIn = 100;  // one deployment in a hundred
constexpr int kScrapeEvery = 3;         // rounds of heartbeats: 15 s
constexpr auto kPause = std::chrono::milliseconds(2);

double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double all = 0;
  double resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Answers end here.
class CountingSink : public FrameSink {
 public:
  explicit CountingSink(std::atomic<std::int64_t>* welcomes, std::atomic<std::int64_t>* batches,
                        std::atomic<std::int64_t>* wrong)
      : welcomes_(welcomes), batches_(batches), wrong_(wrong) {}
  void Send(const agent::v1::SessionResponse& frame) override {
    if (frame.has_welcome()) ++*welcomes_;
    if (frame.has_batch_ack()) ++*batches_;
    if (frame.has_farewell() || frame.has_batch_refusal()) ++*wrong_;
  }
  void Finish() override {}

 private:
  std::atomic<std::int64_t>* const welcomes_;
  std::atomic<std::int64_t>* const batches_;
  std::atomic<std::int64_t>* const wrong_;
};

agent::v1::DeploymentState Deployment(bool is_healthy) {
  agent::v1::DeploymentState state = TestDeployment(
      "compose/shop", is_healthy ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_ERROR);
  for (const char* name : {"web", "db"}) {
    auto* resource = state.add_resources();
    resource->set_name(name);
    resource->set_state("running");
  }
  return state;
}

agent::v1::HostReport Host(int i) {
  agent::v1::HostReport report;
  agent::v1::HostSample& sample = *report.mutable_sample();
  sample.set_cpu_cores(4);
  sample.set_cpu_usage_ratio(0.1 + i % 100 * 0.001);
  sample.set_load1(1.25);
  sample.set_memory_total_bytes(8'000'000'000);
  sample.set_memory_used_bytes(3'123'456'789);
  for (const char* device : {"/dev/vda1", "/dev/vdb"}) {
    auto* disk = sample.add_disks();
    disk->set_device(device);
    disk->set_mount_path("/");
    disk->set_filesystem_type("ext4");
    disk->set_total_bytes(100'000'000'000);
    disk->set_used_bytes(41'234'567'168);
    disk->set_available_bytes(53'765'432'832);
  }
  return report;
}

class Bench {
 public:
  explicit Bench(int sessions)
      : count_(sessions), digests_(static_cast<std::size_t>(sessions), 1), last_(static_cast<std::size_t>(sessions)) {
    store_ = *Store::Open(dir_.path() + "/hub.db");
    for (int i = 0; i < count_; i += kTargetsInATransaction) {
      Check(store_->writer().Run([&](sqlite::Database& database) -> absl::Status {
        for (int j = i; j < std::min(i + kTargetsInATransaction, count_); ++j) {
          RETURN_IF_ERROR(InsertTarget(database, TestTarget(Id(j), fmt::format("edge-{:06}", j), "mst_one")));
        }
        return absl::OkStatus();
      }));
    }
    memory_at_begin_ = ResidentBytes();
    Memory memory = *LoadMemory(*store_, "vendor", dir_.path() + "/admin-token", clock_->Now());
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", std::move(memory.targets), history_.get(), clock_->Read());
    deps_ = {.fleet = fleet_.get(),
             .writer = &store_->writer(),
             .clock = clock_,
             .counters = &counters_,
             .hub_epoch = memory.hub_epoch};
  }
  ~Bench() { store_->writer().Stop(); }

  int Run() {
    Open();
    Round(/*first=*/true);
    const double cpu = CpuSeconds();
    const Instant begun = clock_->Monotonic();
    std::int64_t beats = 0;
    int rounds = 0;
    while (clock_->Monotonic() - begun < kWindow) {
      beats += Round(/*first=*/false);
      if (++rounds % kScrapeEvery == 0) Scrape();
    }
    const double seconds = absl::ToDoubleSeconds(clock_->Monotonic() - begun);
    const double used = CpuSeconds() - cpu;
    while (answered_ < batches_) std::this_thread::sleep_for(kPause);
    const double each = (ResidentBytes() - memory_at_begin_) / count_;
    fmt::print("{} sessions, {:.0f} heartbeats/s, {} batches of records, {} scrapes in {:.0f} s\n", count_,
               static_cast<double>(beats) / seconds, batches_, rounds / kScrapeEvery, seconds);
    Figures figures;
    figures.Tell({.name = "CPU", .value = used / seconds, .unit = "cores"});
    figures.Tell({.name = "CPU of a heartbeat with all that comes with it",
                  .value = 1e6 * used / static_cast<double>(beats),
                  .unit = "us"});
    figures.Tell({.name = "memory of a session with its target, deployment and host", .value = each, .unit = "bytes"});
    figures.Tell(
        {.name = "frames refused or sessions ended", .value = static_cast<double>(wrong_.load()), .must = AtMost(0)});
    return figures.ExitCode();
  }

 private:
  static std::string Id(int i) { return fmt::format("tgt_{:020}", i); }

  void Feed(int i, const agent::v1::SessionRequest& frame) {
    frame.SerializeToString(&wire_);
    agent::v1::SessionRequest parsed;
    parsed.ParseFromString(wire_);
    sessions_[static_cast<std::size_t>(i)]->OnFrame(std::move(parsed));
  }

  void Open() {
    sessions_.reserve(static_cast<std::size_t>(count_));
    const double cpu = CpuSeconds();
    for (int i = 0; i < count_; ++i) {
      sessions_.push_back(std::make_shared<AgentSession>(
          &deps_, "10.0.0.7:1", std::make_shared<CountingSink>(&welcomes_, &answered_, &wrong_)));
      agent::v1::SessionRequest frame;
      *frame.mutable_hello() = TestHello(Id(i), "mst_one");
      frame.mutable_hello()->set_journal_epoch("e1");
      Feed(i, frame);
      while (i - welcomes_ > static_cast<std::int64_t>(AgentSession::kMaxWriterQueue))
        std::this_thread::sleep_for(kPause);
    }
    while (welcomes_ < count_) std::this_thread::sleep_for(kPause);
    fmt::print("opened: {:.0f} us of CPU each\n", 1e6 * (CpuSeconds() - cpu) / count_);
  }

  // A heartbeat of each, spread over the interval.
  std::int64_t Round(bool first) {
    ++round_;
    const Instant begun = clock_->Monotonic();
    for (int i = 0; i < count_; ++i) {
      agent::v1::SessionRequest frame;
      const bool changes = (i + round_) % (kChangesAMinuteIn * 12) == 0;
      const bool samples = (i + round_) % kSampleEvery == 0;
      agent::v1::Heartbeat& beat = *frame.mutable_heartbeat();
      beat = first || changes
                 ? SnapshotBeat(round_, static_cast<std::uint64_t>(changes ? round_ : 1), {Deployment(!changes)})
                 : DigestBeat(round_, digests_[static_cast<std::size_t>(i)]);
      if (changes) digests_[static_cast<std::size_t>(i)] = static_cast<std::uint64_t>(round_);
      *beat.mutable_sent_at() = ToProto(clock_->Now());
      beat.mutable_journal()->set_capacity_bytes(256 << 20);
      if (first || samples) *beat.mutable_host() = Host(i);
      Feed(i, frame);
      if (!first && (changes || samples)) Batch(i, changes, samples);
      if (i % 256 == 0) KeepPace(begun, i);
    }
    KeepPace(begun, count_);
    return count_;
  }

  void Batch(int i, bool changes, bool samples) {
    agent::v1::SessionRequest frame;
    agent::v1::RecordBatch& batch = *frame.mutable_record_batch();
    batch.set_epoch("e1");
    batch.set_lane(agent::v1::LANE_EVENTS);
    std::int64_t& last = last_[static_cast<std::size_t>(i)];
    batch.set_first_sequence(last + 1);
    if (changes) *batch.add_records()->mutable_transition()->mutable_deployment() = Deployment(false);
    if (samples) *batch.add_records()->mutable_host_sample() = Host(i).sample();
    for (agent::v1::Record& record : *batch.mutable_records()) {
      *record.mutable_observed_at() = ToProto(clock_->Now());
      record.mutable_age();
    }
    last += batch.records_size();
    ++batches_;
    Feed(i, frame);
  }

  void KeepPace(Instant begun, int done) const {
    const Instant due = begun + kInterval * done / count_;
    const absl::Duration left = due - clock_->Monotonic();
    if (left > absl::ZeroDuration()) std::this_thread::sleep_for(absl::ToChronoMicroseconds(left));
  }

  void Scrape() {
    const ScrapeInput input{
        .groups = PageGroups::All(), .fleet = fleet_->Expose(clock_->Now()), .counters = metrics_.Collect()};
    PageWriter page(PageFormat::kText, [](std::string_view) {});
    WriteExposition(input, page);
    page.Finish();
  }

  const int count_;
  const Clock* const clock_ = Clock::System();
  TempDir dir_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  HubMetrics metrics_;
  SessionCounters counters_;
  SessionDeps deps_;
  std::vector<std::shared_ptr<AgentSession>> sessions_;
  std::vector<std::uint64_t> digests_;
  std::vector<std::int64_t> last_;
  std::string wire_;
  double memory_at_begin_ = 0;
  std::int64_t round_ = 0;
  std::int64_t batches_ = 0;
  std::atomic<std::int64_t> welcomes_{0};
  std::atomic<std::int64_t> answered_{0};
  std::atomic<std::int64_t> wrong_{0};
};

}  // namespace
}  // namespace muster::hub

// The number of sessions, or 100,000.
int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  muster::log::SetLevel(muster::log::Level::kError);
  int sessions = muster::hub::kDefaultSessions;
  if (argc > 1 && (!absl::SimpleAtoi(argv[1], &sessions) || sessions < 1)) {
    fmt::print(stderr, "usage: hub_sessions_bench [SESSIONS]\n");
    return 2;
  }
  return muster::hub::Bench(sessions).Run();
}
