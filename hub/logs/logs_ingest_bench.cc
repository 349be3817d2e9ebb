// What it costs the hub to keep log lines: 1 GiB of made-up lines (or so many MiB as are given) of 4 agents with 5
// resources each goes as session frames through AgentSession, the log writer and the merger, to the last merge. Beside
// it the same lines in chunks of 512 KiB through zstd and plain SQLite inserts, which is the least that can be done.
//
//   build/release/bin/hub_logs_ingest_bench [MIB]
//
// CPU is that of the whole process without making the frames. Fails when less than 80 MB of text a CPU second are kept,
// they take more than 20 % of their size, or the process grows beyond 200 MiB.
#include <fmt/format.h>
#include <sys/resource.h>
#include <zstd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/fleet/fleet.h"
#include "hub/logs/logs.h"
#include "hub/logs/testing/made_up_lines.h"
#include "hub/session/agent_session.h"
#include "hub/store/history_recorder.h"
#include "hub/store/writes.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

constexpr int kAgents = 4;
constexpr int kResources = 5;
constexpr std::size_t kRecordBytes = 47 * 1024;
// As an agent sends: so many without an ack.
constexpr int kWindow = 4;
constexpr std::uint64_t kSeed = 1;

constexpr double kMustMbPerCpuSecond = 80;
constexpr double kMustPercent = 20;
constexpr double kMustMib = 200;

double CpuSeconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// The system's clock, which can be moved on: so that what waits for company is merged.
class BenchClock : public Clock {
 public:
  absl::Time Now() const override { return Clock::System()->Now() + Ahead(); }
  Instant Monotonic() const override { return Clock::System()->Monotonic() + Ahead(); }
  void Advance(absl::Duration by) {
    MutexLock lock(&mutex_);
    ahead_ += by;
  }

 private:
  absl::Duration Ahead() const {
    MutexLock lock(&mutex_);
    return ahead_;
  }
  mutable Mutex mutex_;
  absl::Duration ahead_ ABSL_GUARDED_BY(mutex_);
};

// Lets the sender wait for answers.
class AckSink : public FrameSink {
 public:
  void Send(const agent::v1::SessionResponse& frame) override {
    {
      MutexLock lock(&mutex_);
      if (frame.has_welcome()) is_welcome_ = true;
      if (frame.has_batch_ack()) --under_way_;
      // The farewell is that of the end.
      if (frame.has_batch_refusal()) {
        std::fprintf(stderr, "refused: %s\n", frame.ShortDebugString().c_str());
        std::abort();
      }
    }
    changed_.NotifyAll();
  }
  void Finish() override {}
  void WaitForWelcome() {
    MutexLock lock(&mutex_);
    while (!is_welcome_) changed_.Wait(&mutex_);
  }
  // Until fewer than `below` wait for their ack, then takes a further one for sent.
  void WaitForRoom(int below) {
    MutexLock lock(&mutex_);
    while (under_way_ >= below) changed_.Wait(&mutex_);
    ++under_way_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_welcome_ ABSL_GUARDED_BY(mutex_) = false;
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Batches of one record each, as bytes on the wire.
class Frames {
 public:
  std::string Next(int agent, std::int64_t sequence) {
    OwnedBlock block = lines_.Block(1, 1);
    while (block.text.size() < kRecordBytes) {
      time_us_ += static_cast<std::int64_t>(lines_.Number(2'000));
      block.Append({.stream = LogStream::kStdout, .level = static_cast<LogLevel>(lines_.Number(7))}, time_us_,
                   lines_.Line());
    }
    text_bytes_ += block.text.size();
    agent::v1::SessionRequest frame;
    agent::v1::RecordBatch& batch = *frame.mutable_record_batch();
    batch.set_epoch(fmt::format("epoch-{}", agent));
    batch.set_lane(agent::v1::LANE_LOGS);
    batch.set_first_sequence(sequence);
    agent::v1::Record& record = *batch.add_records();
    *record.mutable_observed_at() = ToProto(absl::FromUnixMicros(block.times_us.back()));
    agent::v1::LogLines& lines = *record.mutable_log_lines();
    lines.set_deployment_key("compose/shop");
    lines.set_resource(fmt::format("web-{}", sequence % kResources));
    lines.set_revision("r1");
    lines.set_text(std::move(block.text));
    lines.set_kinds(std::move(block.kinds));
    *lines.mutable_base_time() = ToProto(absl::FromUnixMicros(block.times_us.front()));
    for (std::size_t i = 1; i < block.times_us.size(); ++i) {
      lines.add_time_delta_us(block.times_us[i] - block.times_us[i - 1]);
    }
    return frame.SerializeAsString();
  }
  std::size_t text_bytes() const { return text_bytes_; }

 private:
  MadeUpLines lines_{kSeed};
  std::int64_t time_us_ = kTestTimeUs;
  std::size_t text_bytes_ = 0;
};

struct Result {
  std::size_t text_bytes = 0;
  double cpu_seconds = 0;
  double wall_seconds = 0;
  std::int64_t stored_bytes = 0;
};

// Everything of the hub that stands between a frame and a chunk.
class HubUnderLoad {
 public:
  explicit HubUnderLoad(const std::string& folder) {
    store_ = Must(Store::Open(folder + "/hub.db"));
    std::vector<StoredTarget> targets;
    for (int i = 0; i < kAgents; ++i) {
      targets.push_back(TestTarget(fmt::format("tgt_{}", i), fmt::format("host-{}", i), "mst_secret"));
      Check(store_->writer().Run([&](sqlite::Database& database) { return InsertTarget(database, targets.back()); }));
    }
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", targets, history_.get(), clock_.Read());
    Logs::Options options{.data_dir = folder, .clock = &clock_, .volume = VolumeOf(folder)};
    options.retention = {.keep = absl::Hours(24 * 30), .max_bytes = std::int64_t{10} << 30, .deleted_targets = nullptr};
    logs_ = Must(Logs::Open(std::move(options)));
    deps_ = {.fleet = fleet_.get(),
             .writer = &store_->writer(),
             .logs = logs_->store(),
             .clock = &clock_,
             .counters = &counters_,
             .hub_epoch = "hub_1"};
    for (int i = 0; i < kAgents; ++i) {
      sinks_.push_back(std::make_shared<AckSink>());
      sessions_.push_back(std::make_shared<AgentSession>(&deps_, "10.0.0.7:1", sinks_.back()));
      agent::v1::SessionRequest hello;
      *hello.mutable_hello() = TestHello(fmt::format("tgt_{}", i), "mst_secret");
      sessions_.back()->OnFrame(std::move(hello));
      sinks_.back()->WaitForWelcome();
    }
  }
  ~HubUnderLoad() {
    // A live session and its target hold each other.
    for (int i = 0; i < kAgents; ++i) fleet_->Delete(fmt::format("tgt_{}", i), clock_.Read());
    logs_->Stop();
    store_->writer().Stop();
  }

  Result Take(std::size_t text_bytes) {
    logs_->Start();
    Frames frames;
    double sender_cpu = 0;
    const double begun_cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
    const Instant begun = Clock::System()->Monotonic();
    for (std::int64_t i = 0; frames.text_bytes() < text_bytes; ++i) {
      const int agent = static_cast<int>(i % kAgents);
      const double before = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
      const std::string bytes = frames.Next(agent, i / kAgents + 1);
      sender_cpu += CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - before;
      sinks_[static_cast<std::size_t>(agent)]->WaitForRoom(kWindow);
      agent::v1::SessionRequest frame;
      if (!frame.ParseFromString(bytes)) std::abort();
      sessions_[static_cast<std::size_t>(agent)]->OnFrame(std::move(frame));
    }
    for (const auto& sink : sinks_) sink->WaitForRoom(1);
    clock_.Advance(kMaxTailAge);
    while (logs_->gauges().tail_rows > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    logs_->Stop();
    return {.text_bytes = frames.text_bytes(),
            .cpu_seconds = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - begun_cpu - sender_cpu,
            .wall_seconds = absl::ToDoubleSeconds(Clock::System()->Monotonic() - begun),
            .stored_bytes = PagesInUse()};
  }

 private:
  std::int64_t PagesInUse() {
    std::int64_t bytes = 0;
    Check(logs_->store()->store().Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT (page_count-freelist_count)*page_size FROM pragma_page_count,"
                                                " pragma_freelist_count, pragma_page_size"));
      RETURN_IF_ERROR(s.Step().status());
      bytes = s.Int64(0);
      return absl::OkStatus();
    }));
    return bytes;
  }

  BenchClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  SessionCounters counters_;
  std::unique_ptr<Logs> logs_;
  SessionDeps deps_;
  std::vector<std::shared_ptr<AckSink>> sinks_;
  std::vector<std::shared_ptr<AgentSession>> sessions_;
};

// zstd and a row for each 512 KiB, nothing else.
Result InsertPlainly(const std::string& folder, std::size_t text_bytes) {
  const auto database = Must(sqlite::Database::Open(folder + "/plain.db", sqlite::OpenMode::kWriter));
  Check(database->Execute("CREATE TABLE chunks(id INTEGER PRIMARY KEY, text BLOB NOT NULL)"));
  MadeUpLines lines(kSeed);
  std::string compressed(ZSTD_compressBound(2 * static_cast<std::size_t>(kMeantChunkBytes)), '\0');
  Result result;
  const Instant begun = Clock::System()->Monotonic();
  while (result.text_bytes < text_bytes) {
    const OwnedBlock block = lines.BlockOfText(1, static_cast<std::size_t>(kMeantChunkBytes));
    const double before = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
    const std::size_t size =
        ZSTD_compress(compressed.data(), compressed.size(), block.text.data(), block.text.size(), 1);
    Check(RunBound(*database, "INSERT INTO chunks(text) VALUES(?)",
                   [&](sqlite::Statement& s) { s.BindBlob(1, compressed.data(), size); }));
    Check(database->Checkpoint());
    result.cpu_seconds += CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - before;
    result.text_bytes += block.text.size();
    result.stored_bytes += static_cast<std::int64_t>(size);
  }
  result.wall_seconds = absl::ToDoubleSeconds(Clock::System()->Monotonic() - begun);
  return result;
}

double Rate(const Result& result) { return static_cast<double>(result.text_bytes) / 1e6 / result.cpu_seconds; }
double Percent(const Result& result) {
  return 100.0 * static_cast<double>(result.stored_bytes) / static_cast<double>(result.text_bytes);
}

void Print(const char* name, const Result& result) {
  std::printf("%-28s %8.0f MB %8.1f MB/CPU s %8.1f %% stored %8.1f s CPU %8.1f s\n", name,
              static_cast<double>(result.text_bytes) / 1e6, Rate(result), Percent(result), result.cpu_seconds,
              result.wall_seconds);
}

int Main(std::size_t mib) {
  const std::size_t text_bytes = mib * 1024 * 1024;
  const TempDir dir;
  Result result;
  double grown_mib = 0;
  {
    HubUnderLoad hub(dir.path());
    result = hub.Take(text_bytes);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    grown_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  }
  const Result plain = InsertPlainly(dir.path(), text_bytes);
  Print("session, writer, merger", result);
  Print("zstd and plain inserts", plain);
  constexpr const char* kPlain = "zstd and plain SQLite inserts";
  Figures figures;
  figures.Tell({.name = "text kept",
                .value = Rate(result),
                .unit = "MB/CPU s",
                .beside = Beside{.what = kPlain, .value = Rate(plain)},
                .must = AtLeast(kMustMbPerCpuSecond)});
  figures.Tell({.name = "stored of the text",
                .value = Percent(result),
                .unit = "%",
                .beside = Beside{.what = kPlain, .value = Percent(plain)},
                .must = AtMost(kMustPercent)});
  figures.Tell({.name = "resident", .value = grown_mib, .unit = "MiB", .must = AtMost(kMustMib)});
  return figures.ExitCode();
}

}  // namespace
}  // namespace muster::hub

int main(int argc, char** argv) {
  const std::string text = argc > 1 ? argv[1] : "1024";
  std::size_t mib = 0;
  std::from_chars(text.data(), text.data() + text.size(), mib);
  if (argc > 2 || mib < 1) {
    std::fprintf(stderr, "usage: hub_logs_ingest_bench [MIB]\n");
    return 2;
  }
  return muster::hub::Main(mib);
}
