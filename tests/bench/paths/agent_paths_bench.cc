// The agent's part of paths.h: heartbeats, records through the journal, container output to lines.
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/journal/entry.h"
#include "agent/journal/journal_store.h"
#include "agent/journal/testing/line_record.h"
#include "agent/logs/container_lines.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/masker.h"
#include "agent/logs/rate_gate.h"
#include "agent/logs/testing/made_up_output.h"
#include "agent/session/session_logic.h"
#include "common/log.h"
#include "common/sqlite/database.h"
#include "common/testing/fake_clock.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "tests/bench/paths/paths.h"

namespace muster::agent {
namespace {

constexpr int kBeats = 1000;
constexpr int kCommits = 20;
constexpr int kRecordsPerCommit = 25;
// Heartbeats until the hub acknowledges one: 30 s.
constexpr int kAckEvery = 6;

// Keeps frames as bytes, where it is asked to.
class Output : public SessionOutput {
 public:
  void Connect() override {}
  void Send(const v1::SessionRequest& frame) override {
    frame.SerializeToString(&wire_);
    if (kept_ != nullptr) kept_->push_back(frame);
    number_ = frame.heartbeat().number();
  }
  void HalfClose() override {}
  void Disconnect() override { Check(absl::InternalError("the session ended")); }
  void KeepSessionCounter(std::int64_t /*counter*/) override {}
  void RelistIntervalChanged(absl::Duration /*interval*/) override {}
  void SetLogsOff(std::vector<std::string> /*keys*/) override {}
  void SetMetricsEnabled(bool /*enabled*/) override {}
  void ReadRecords(const ReadRequest& /*request*/) override {}

  void Keep(std::vector<v1::SessionRequest>* kept) { kept_ = kept; }
  std::int64_t number() const { return number_; }

 private:
  std::string wire_;
  std::vector<v1::SessionRequest>* kept_ = nullptr;
  std::int64_t number_ = 0;
};

// A session with a hub that answers.
class Heartbeats : public Path {
 public:
  Heartbeats()
      : logic_(
            {.target_id = "tgt_1", .secret = Secret("mst_first"), .session_counter = 7},
            {.facts = [] { return v1::Hello(); },
             .use = [] { return OwnUse{.cpu_seconds_total = 1.5, .resident_bytes = 21 << 20}; }},
            [] { return 0.5; }, &output_) {
    logic_.Start(clock_.Read());
    logic_.OnSent(clock_.Read());
    Present present;
    v1::DeploymentState& deployment = present.deployments.emplace_back();
    deployment.set_key("compose/shop");
    deployment.set_name("shop");
    deployment.set_status(types::v1::DEPLOYMENT_STATUS_RUNNING);
    logic_.OnPresent(present, clock_.Read());
    v1::SessionResponse frame;
    frame.mutable_welcome()->set_session_id("s1");
    frame.mutable_welcome()->set_session_counter(8);
    logic_.OnFrame(frame, clock_.Read());
    logic_.OnSent(clock_.Read());
  }

 protected:
  void Beat() {
    for (int i = 0; i < kBeats; ++i) {
      clock_.Advance(logic_.NextDeadline() - clock_.Monotonic());
      logic_.OnTimer(clock_.Read());
      logic_.OnSent(clock_.Read());
      if (i % kAckEvery == 0) Acknowledge();
    }
  }
  Output output_;

 private:
  void Acknowledge() {
    v1::SessionResponse frame;
    frame.mutable_heartbeat_ack()->set_number(output_.number());
    *frame.mutable_heartbeat_ack()->mutable_hub_time() = ToProto(clock_.Now());
    logic_.OnFrame(frame, clock_.Read());
  }

  FakeClock clock_;
  SessionLogic logic_;
};

class HeartbeatsMade : public Heartbeats {
 public:
  void Prepare() override {}
  void Go() override { Beat(); }
};

class HeartbeatsSerialized : public Heartbeats {
 public:
  void Prepare() override {
    frames_.clear();
    output_.Keep(&frames_);
    Beat();
  }
  void Go() override {
    for (const v1::SessionRequest& frame : frames_) frame.SerializeToString(&wire_);
  }

 private:
  std::vector<v1::SessionRequest> frames_;
  std::string wire_;
};

// Records of one line each, in the commits in which they come.
class Records : public Path {
 public:
  void Prepare() override {
    commits_.clear();
    for (int commit = 0; commit < kCommits; ++commit) {
      std::vector<Entry>& entries = commits_.emplace_back();
      for (int i = 0; i < kRecordsPerCommit; ++i) {
        entries.push_back(MakeEntry(LineRecord(clock_.Now()), clock_.Read()));
        entries.back().first_sequence = ++last_;
      }
      clock_.Advance(absl::Milliseconds(250));
    }
  }

 protected:
  const TempDir dir_;
  FakeClock clock_;
  std::vector<std::vector<Entry>> commits_;

 private:
  std::int64_t last_ = 0;
};

// Committed, read for the hub, and acknowledged by it.
class RecordsJournaled : public Records {
 public:
  RecordsJournaled() {
    JournalStore::Options options;
    options.path = dir_.path() + "/journal.db";
    options.target_id = "tgt_1";
    options.boot_id = "boot-1";
    options.epoch = kEpoch;
    options.capacity_bytes = kMinJournalBytes;
    store_ = Must(JournalStore::Open(options, clock_.Now()));
  }
  void Go() override {
    for (const std::vector<Entry>& entries : commits_) {
      Check(store_->Append(entries));
      const v1::RecordBatch batch =
          Must(store_->Read({.epoch = kEpoch, .lane = v1::LANE_LOGS, .first_sequence = entries.front().first_sequence},
                            clock_.Monotonic()));
      if (batch.records_size() != kRecordsPerCommit) std::abort();
      v1::BatchAck ack;
      ack.set_epoch(kEpoch);
      ack.set_lane(v1::LANE_LOGS);
      ack.set_sequence(entries.back().last_sequence());
      Check(store_->Acknowledge(ack));
      Check(store_->CheckpointIfDue());
    }
  }

 private:
  static constexpr const char* kEpoch = "0123456789abcdef0123456789abcdef";
  std::unique_ptr<JournalStore> store_;
};

class RecordsInserted : public Records {
 public:
  RecordsInserted() : database_(Must(sqlite::Database::Open(dir_.path() + "/plain.db", sqlite::OpenMode::kWriter))) {
    Check(database_->Execute("CREATE TABLE records (id INTEGER PRIMARY KEY, payload BLOB)"));
  }
  void Go() override {
    for (const std::vector<Entry>& entries : commits_) {
      Check(database_->Execute("BEGIN IMMEDIATE"));
      for (const Entry& entry : entries) {
        Check(sqlite::RunBound(*database_, "INSERT INTO records (payload) VALUES (?)",
                               [&](auto& s) { s.BindBlob(1, entry.payload.data(), entry.payload.size()); }));
      }
      Check(database_->Execute("COMMIT"));
    }
    Check(database_->Checkpoint());
  }

 private:
  const std::unique_ptr<sqlite::Database> database_;
};

// Lines of several kinds, as the engine sends them.
class LogLines : public Path {
 public:
  void Prepare() override { bytes_ = 0; }

 protected:
  const std::vector<std::string> lines_ = MakeLines(kMixed);
  const std::string frames_ = MakeFrames(lines_);
  std::size_t bytes_ = 0;
};

// From reads of 64 KiB to lines: frames, rate, cleaning, masking, splitting, level.
class LogLinesMade : public LogLines {
 public:
  void Go() override {
    DockerFrames frames(DockerFrames::Format::kMultiplexed);
    TokenBucket host(std::int64_t{1} << 40);
    RateGate gate(&host);
    StreamState stream;
    for (std::string_view rest = frames_; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kReadBytes))) {
      Check(frames.Feed(rest.substr(0, kReadBytes), [&](const DockerMessage& message) {
        gate.TakeRefused(Instant());
        if (!gate.Admit(static_cast<std::int64_t>(message.text.size()), message.time_ns, Instant())) return;
        maker_.Take(message, &stream, [&](const LogLine& line) { bytes_ += line.text.size(); });
      }));
    }
  }

 private:
  static constexpr std::size_t kReadBytes = 65'536;
  const Masker masker_ = *Masker::Create({});
  LineMaker maker_{&masker_};
};

class LogLinesSearched : public LogLines {
 public:
  void Go() override {
    for (const std::string& line : lines_) bytes_ += RE2::PartialMatch(line, expression_) ? 1 : 0;
  }

 private:
  const RE2 expression_{"(?i)does not occur|nowhere"};
};

template <typename T>
std::unique_ptr<Path> Make() {
  return std::make_unique<T>();
}

}  // namespace
}  // namespace muster::agent

int main(int argc, char** argv) {
  using namespace muster::agent;  // NOLINT(google-build-using-namespace): the one list
  muster::log::SetLevel(muster::log::Level::kError);
  constexpr int kRecords = kCommits * kRecordsPerCommit;
  return muster::RunPaths(argc, argv,
                          {{"agent's heartbeat", kBeats, Make<HeartbeatsMade>, "heartbeat serialized alone"},
                           {"heartbeat serialized alone", kBeats, Make<HeartbeatsSerialized>},
                           {"record through the journal", kRecords, Make<RecordsJournaled>, "plain SQLite insert"},
                           {"plain SQLite insert", kRecords, Make<RecordsInserted>},
                           {"log line from an engine", kMadeUpLines, Make<LogLinesMade>, "RE2 alone"},
                           {"RE2 alone", kMadeUpLines, Make<LogLinesSearched>}});
}
