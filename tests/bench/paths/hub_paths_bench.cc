// The hub's part of paths.h: heartbeats through a session, records into the store, a scrape, log lines into chunks.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/log.h"
#include "common/sqlite/database.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/fleet/fleet.h"
#include "hub/logs/chunk_writer.h"
#include "hub/logs/testing/made_up_lines.h"
#include "hub/logs/zstd_codec.h"
#include "hub/metrics/testing/appended_blocks.h"
#include "hub/metrics/testing/made_up_fleet.h"
#include "hub/session/agent_session.h"
#include "hub/store/store.h"
#include "hub/store/testing/status_records.h"
#include "hub/store/writes.h"
#include "hub/testing/fakes.h"
#include "tests/bench/paths/paths.h"

namespace muster::hub {
namespace {

constexpr int kTargets = 1000;
constexpr int kBatches = 20;
constexpr int kRecordsPerBatch = 25;
constexpr int kBlocks = 8;
constexpr int kLinesPerBlock = 400;

// Answers end here, as bytes.
class Sink : public FrameSink {
 public:
  void Send(const agent::v1::SessionResponse& frame) override {
    frame.SerializeToString(&wire_);
    if (frame.has_welcome()) is_welcome_ = true;
    // At the end targets are deleted; else a session stays.
    if (frame.has_farewell() && frame.farewell().reason() != agent::v1::FAREWELL_REASON_TARGET_DELETED) {
      Check(absl::InternalError(frame.farewell().message()));
    }
  }
  void Finish() override {}
  // The writer's thread answers Hello.
  void WaitForWelcome() const {
    while (!is_welcome_) std::this_thread::yield();
  }

 private:
  std::string wire_;
  std::atomic<bool> is_welcome_ = false;
};

// A heartbeat of each of the targets, as bytes.
class Heartbeats : public Path {
 public:
  explicit Heartbeats(bool has_host) : has_host_(has_host) {}
  void Prepare() override {
    ++number_;
    clock_.Advance(absl::Seconds(5));
    frames_.clear();
    for (int i = 0; i < kTargets; ++i) {
      agent::v1::SessionRequest frame;
      agent::v1::Heartbeat& beat = *frame.mutable_heartbeat();
      beat = number_ == 1 ? SnapshotBeat(number_, 1, {MakeUpDeployment(i)}) : DigestBeat(number_, 1);
      *beat.mutable_sent_at() = ToProto(clock_.Now());
      beat.mutable_journal()->set_capacity_bytes(256 << 20);
      beat.set_cpu_seconds(0.0125);
      beat.set_resident_bytes(21 << 20);
      if (has_host_) *beat.mutable_host() = MakeUpHost(i);
      frames_.push_back(frame.SerializeAsString());
    }
  }

 protected:
  FakeClock clock_;
  std::vector<std::string> frames_;

 private:
  const bool has_host_;
  std::int64_t number_ = 0;
};

class HeartbeatsParsed : public Heartbeats {
 public:
  using Heartbeats::Heartbeats;
  void Go() override {
    for (const std::string& bytes : frames_) {
      agent::v1::SessionRequest frame;
      if (!frame.ParseFromString(bytes)) std::abort();
    }
  }
};

class HeartbeatsTaken : public Heartbeats {
 public:
  explicit HeartbeatsTaken(bool has_host) : Heartbeats(has_host), store_(Must(Store::Open(dir_.path() + "/hub.db"))) {
    std::vector<StoredTarget> targets = MadeUpFleet::Stored(kTargets);
    Check(store_->writer().Run([&](sqlite::Database& database) -> absl::Status {
      for (const StoredTarget& target : targets) RETURN_IF_ERROR(InsertTarget(database, target));
      return absl::OkStatus();
    }));
    fleet_ = std::make_unique<Fleet>("vendor", std::move(targets), &history_, clock_.Read());
    deps_ = {.fleet = fleet_.get(),
             .writer = &store_->writer(),
             .clock = &clock_,
             .counters = &counters_,
             .hub_epoch = "hub_1"};
    for (int i = 0; i < kTargets; ++i) {
      const auto sink = std::make_shared<Sink>();
      sessions_.push_back(std::make_shared<AgentSession>(&deps_, "10.0.0.7:1", sink));
      agent::v1::SessionRequest hello;
      *hello.mutable_hello() = TestHello(MadeUpFleet::Id(i), "mst_one");
      sessions_.back()->OnFrame(std::move(hello));
      sink->WaitForWelcome();
    }
  }
  ~HeartbeatsTaken() override {
    // A live session and its target hold each other.
    for (int i = 0; i < kTargets; ++i) fleet_->Delete(MadeUpFleet::Id(i), clock_.Read());
    store_->writer().Stop();
  }
  void Go() override {
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      agent::v1::SessionRequest frame;
      if (!frame.ParseFromString(frames_[i])) std::abort();
      sessions_[i]->OnFrame(std::move(frame));
    }
  }

 private:
  const TempDir dir_;
  const std::unique_ptr<Store> store_;
  NoHistory history_;
  std::unique_ptr<Fleet> fleet_;
  SessionCounters counters_;
  SessionDeps deps_;
  std::vector<std::shared_ptr<AgentSession>> sessions_;
};

// A transaction with a batch of status records of each target. The hub's tables, in a file of this path's own.
class Records : public Path {
 public:
  Records() {
    const auto store = Must(Store::Open(file()));
    for (int i = 0; i < kBatches; ++i) {
      StoredTarget target;
      target.id = target.name = BenchTargetId(i);
      target.created = BenchStart();
      target.open.from = BenchStart();
      Check(store->writer().Run([&](sqlite::Database& database) { return InsertTarget(database, target); }));
    }
  }
  void Prepare() override {
    batches_.clear();
    for (int i = 0; i < kBatches; ++i) batches_.push_back(MakeStatusBatch(i, number_, kRecordsPerBatch));
    ++number_;
  }

 protected:
  std::string file() const { return dir_.path() + "/hub.db"; }
  std::vector<StatusBatch> batches_;

 private:
  const TempDir dir_;
  int number_ = 0;
};

class RecordsApplied : public Records {
 public:
  RecordsApplied() : database_(Must(sqlite::Database::Open(file(), sqlite::OpenMode::kWriter))) {}
  void Prepare() override {
    Records::Prepare();
    Check(database_->Checkpoint());
  }
  void Go() override {
    Check(database_->Execute("BEGIN IMMEDIATE"));
    for (const StatusBatch& sent : batches_) {
      if (Must(ApplyBatch(*database_, OriginOf(sent), sent.batch)).applied != kRecordsPerBatch) std::abort();
    }
    Check(database_->Execute("COMMIT"));
  }

 private:
  const std::unique_ptr<sqlite::Database> database_;
};

class RecordsInserted : public Records {
 public:
  RecordsInserted() : plain_(file()) {
    for (int i = 0; i < kBatches; ++i) plain_.InsertDeployments(BenchTargetId(i));
  }
  void Prepare() override {
    Records::Prepare();
    rows_.clear();
    for (const StatusBatch& sent : batches_) rows_.push_back(RowsOf(sent));
  }
  void Go() override {
    plain_.Execute("BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < rows_.size(); ++i) plain_.Insert(batches_[i], rows_[i]);
    plain_.Execute("COMMIT");
  }

 private:
  PlainSqlite plain_;
  std::vector<std::vector<StatusRow>> rows_;
};

class Scrape : public Path {
 public:
  void Prepare() override { clock_.Advance(absl::Milliseconds(10)); }
  void Go() override {
    fleet_.Scrape(PageGroups::All(), [this](std::string_view block) { bytes_ += block.size(); });
  }

 protected:
  FakeClock clock_;
  MadeUpFleet fleet_{kTargets, &clock_};
  std::size_t bytes_ = 0;
};

class BlocksAppended : public Scrape {
 public:
  BlocksAppended() {
    std::string page;
    fleet_.Scrape(PageGroups::All(), [&](std::string_view block) { page += block; });
    exposed_ = fleet_.fleet.Expose(clock_.Now());
    families_ = FamiliesOf(page, exposed_);
    block_.reserve(PageWriter::kBlockBytes);
  }
  void Go() override { bytes_ += AppendBlocks(families_, exposed_, block_); }

 private:
  ExposedFleet exposed_;
  std::vector<BlockFamily> families_;
  std::string block_;
};

// Records of log lines, as they come.
class LogLines : public Path {
 public:
  LogLines() {
    MadeUpLines lines(1);
    for (int i = 0; i < kBlocks; ++i) blocks_.push_back(lines.Block(1 + i * kLinesPerBlock, kLinesPerBlock));
  }
  void Prepare() override { bytes_ = 0; }

 protected:
  std::vector<OwnedBlock> blocks_;
  ZstdCodec codec_;
  std::size_t bytes_ = 0;
};

class LogLinesStored : public LogLines {
 public:
  void Go() override {
    for (const OwnedBlock& block : blocks_) {
      ChunkWriter writer(1, &codec_);
      Check(writer.Add(block.View()));
      bytes_ += writer.Finish().text.size();
    }
  }
};

class LogLinesCompressed : public LogLines {
 public:
  void Go() override {
    for (const OwnedBlock& block : blocks_) {
      std::string out;
      codec_.Compress(block.text, &out);
      bytes_ += out.size();
    }
  }
};

template <typename T>
std::unique_ptr<Path> Make() {
  return std::make_unique<T>();
}
template <typename T, bool kHasHost>
std::unique_ptr<Path> Make() {
  return std::make_unique<T>(kHasHost);
}

}  // namespace
}  // namespace muster::hub

int main(int argc, char** argv) {
  using namespace muster::hub;  // NOLINT(google-build-using-namespace): the one list
  muster::log::SetLevel(muster::log::Level::kError);
  constexpr int kRecords = kBatches * kRecordsPerBatch;
  constexpr int kLines = kBlocks * kLinesPerBlock;
  return muster::RunPaths(
      argc, argv,
      {{"heartbeat", kTargets, Make<HeartbeatsTaken, false>, "heartbeat parsed alone"},
       {"heartbeat parsed alone", kTargets, Make<HeartbeatsParsed, false>},
       {"heartbeat with a host's report", kTargets, Make<HeartbeatsTaken, true>, "with a host's report, parsed alone"},
       {"with a host's report, parsed alone", kTargets, Make<HeartbeatsParsed, true>},
       {"status record", kRecords, Make<RecordsApplied>, "plain SQLite insert"},
       {"plain SQLite insert", kRecords, Make<RecordsInserted>},
       {"scrape of a deployment with its host", kTargets, Make<Scrape>, "label blocks appended"},
       {"label blocks appended", kTargets, Make<BlocksAppended>},
       {"log line into a chunk", kLines, Make<LogLinesStored>, "zstd alone"},
       {"zstd alone", kLines, Make<LogLinesCompressed>}});
}
