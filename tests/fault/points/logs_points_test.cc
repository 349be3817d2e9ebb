// Every crash point of the log store: batches of lines, merges, retention and checkpoints, over a database that meets a
// fault at each call that changes a file. No line that was acknowledged is lost, none is there twice, and no number is
// given to a second line; an agent that sends everything again changes nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <map>
#include <sstream>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/log_merger.h"
#include "hub/logs/log_retention.h"
#include "hub/logs/log_store.h"
#include "tests/fault/points/sweep.h"

namespace muster::fault {
namespace {

using hub::LogMerger;
using hub::LogRetention;
using hub::LogStore;

constexpr const char* kTarget = "tgt_1";
constexpr const char* kEpoch = "11111111111111111111111111111111";
// Twelve batches, one an hour; each is of one of two resources.
constexpr std::int64_t kLines = 60;
constexpr std::int64_t kLinesPerBatch = 5;
// Long enough to fill pages.
constexpr std::size_t kFillerBytes = 600;
// Of the first batches nothing is left in the end.
constexpr absl::Duration kKeep = absl::Hours(7);
constexpr int kAttempts = 3;

absl::Time ArrivedAt(std::int64_t sequence) {
  return absl::FromUnixSeconds(1'800'000'000) + absl::Hours(sequence / kLinesPerBatch);
}

// A line is its number and what fills it.
agent::v1::RecordBatch MakeBatch(std::int64_t first) {
  agent::v1::RecordBatch batch;
  batch.set_epoch(kEpoch);
  batch.set_lane(agent::v1::LANE_LOGS);
  batch.set_first_sequence(first);
  for (std::int64_t sequence = first; sequence < first + kLinesPerBatch; ++sequence) {
    agent::v1::Record& record = *batch.add_records();
    *record.mutable_observed_at() = ToProto(ArrivedAt(first));
    agent::v1::LogLines& lines = *record.mutable_log_lines();
    lines.set_deployment_key("compose/shop");
    lines.set_resource(first / kLinesPerBatch % 2 == 0 ? "web-1" : "db-1");
    *lines.mutable_base_time() = record.observed_at();
    lines.set_kinds("\x01");
    std::string filler;
    for (std::size_t i = 0; i < kFillerBytes; ++i) {
      filler += static_cast<char>('a' + (i * i * 7 + static_cast<std::size_t>(sequence) * i) % 26);
    }
    lines.set_text(fmt::format("{} {}\n", sequence, filler));
  }
  return batch;
}

// The file as it lies there.
struct Content {
  std::int64_t position = 0;
  std::int64_t next_line = 1;
  std::int64_t pruned = 0;
  // By number.
  std::map<std::int64_t, std::string> lines;
  bool is_any_twice = false;
};

class LogsWorkload {
 public:
  LogsWorkload(sqlite::FaultVfs* vfs, const std::string& directory) : vfs_(vfs), path_(directory + "/logs.db") {}

  // As many runs of the hub as it takes.
  void Run() {
    for (int attempt = 0; vfs_->powered(); ++attempt) {
      const absl::Status status = OneRun();
      if (status.ok()) return;
      if (attempt == kAttempts) vfs_->Disarm();
      if (attempt == 2 * kAttempts) {
        unrecovered_ = "on a repaired disk: " + status.ToString();
        return;
      }
    }
  }

  std::string Check() {
    if (!unrecovered_.empty()) return unrecovered_;
    if (std::string wrong = CheckStored(acked_, false); !wrong.empty()) return wrong;
    // What every agent does after a session that ended; the positions would spare it most of that.
    LogsWorkload again(vfs_, path_.substr(0, path_.rfind('/')));
    again.Run();
    if (!again.unrecovered_.empty()) return "lines sent again: " + again.unrecovered_;
    return CheckStored(kLines, true);
  }

 private:
  absl::Status OneRun() {
    ASSIGN_OR_RETURN(const auto logs, LogStore::Open(path_, {.observer = {}, .pacing = {}}));
    ASSIGN_OR_RETURN(const auto merger, LogMerger::Open(logs.get()));
    ASSIGN_OR_RETURN(const auto retention,
                     LogRetention::Open(logs.get(), {.keep = kKeep, .max_bytes = 1 << 30, .deleted_targets = nullptr}));
    for (std::int64_t first = 1; first <= kLines; first += kLinesPerBatch) {
      RETURN_IF_ERROR(Send(*logs, first));
      if (first / kLinesPerBatch % 2 == 0) continue;
      const absl::Time now = ArrivedAt(first) + absl::Minutes(10);
      RETURN_IF_ERROR(merger->Turn(now, [] { return true; }));
      RETURN_IF_ERROR(retention->Trim(now, {.free_bytes = hub::kEnoughFreeBytes, .total_bytes = hub::kEnoughFreeBytes},
                                      [] { return true; }));
    }
    return retention->Sweep(ArrivedAt(kLines));
  }

  absl::Status Send(LogStore& logs, std::int64_t first) {
    struct Answer {
      absl::Status stored;
      hub::BatchOutcome outcome;
    };
    std::promise<Answer> answered;
    const hub::BatchOrigin origin{
        .target_id = kTarget, .secret_generation = 1, .run = {}, .arrived = ArrivedAt(first), .skew = {}};
    logs.Apply(
        origin, MakeBatch(first), [] { return absl::OkStatus(); },
        [&](const absl::Status& stored, const hub::BatchOutcome& outcome) {
          answered.set_value({stored, outcome});
        });
    const Answer answer = answered.get_future().get();
    RETURN_IF_ERROR(answer.stored);
    if (answer.outcome.expected) return absl::OutOfRangeError("out of order");
    acked_ = std::max(acked_, answer.outcome.position);
    return absl::OkStatus();
  }

  std::string CheckStored(std::int64_t acked, bool is_complete) {
    for (const char* suffix : {".bad", ".damaged"}) {
      if (std::filesystem::exists(path_ + suffix)) return "the database was taken for damaged";
    }
    auto database = sqlite::Database::Open(path_, sqlite::OpenMode::kWriter);
    if (!database.ok()) return "cannot be opened: " + database.status().ToString();
    auto check = (*database)->Prepare("PRAGMA integrity_check(1)");
    if (!check.ok() || !check->Step().value_or(false) || check->Text(0) != "ok") return "the database is damaged";
    if (acked == 0 && !is_complete) return {};
    const absl::StatusOr<Content> content = Read(**database);
    if (!content.ok()) return content.status().ToString();
    return FindWrong(*content, acked, is_complete);
  }

  static std::string FindWrong(const Content& content, std::int64_t acked, bool is_complete) {
    if (content.is_any_twice) return "a line is there twice";
    if (content.position < acked) return fmt::format("position {}, {} were acknowledged", content.position, acked);
    if (is_complete && content.position != kLines) return fmt::format("position {} in the end", content.position);
    if (content.next_line != content.position + 1) {
      return fmt::format("position {}, the next line is {}", content.position, content.next_line);
    }
    for (const auto& [number, text] : content.lines) {
      if (text != std::to_string(number)) return fmt::format("line {} says {}", number, text);
    }
    const auto kept = static_cast<std::int64_t>(content.lines.size());
    if (kept + content.pruned != content.position) {
      return fmt::format("{} lines are there and {} forgotten of {}", kept, content.pruned, content.position);
    }
    if (is_complete && (content.pruned == 0 || kept == 0)) return "nothing was forgotten, or all";
    return {};
  }

  static absl::StatusOr<Content> Read(sqlite::Database& database) {
    Content content;
    {
      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT (SELECT next_line FROM log_meta), (SELECT max(sequence) FROM"
                                                " journal_positions), (SELECT sum(pruned_lines) FROM log_sources)"));
      RETURN_IF_ERROR(s.Step().status());
      content.next_line = s.Int64(0);
      content.position = s.Int64(1);
      content.pruned = s.Int64(2);
    }
    ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT source, head, text FROM log_tail UNION ALL"
                                              " SELECT source, head, text FROM log_chunk_data"));
    hub::ZstdCodec codec;
    hub::ChunkReader reader(&codec);
    std::string buffer;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, s.Step());
      if (!row) return content;
      RETURN_IF_ERROR(reader.ReadHead(s.Text(1), s.Int64(0)));
      const std::string stored = s.Text(2);
      ASSIGN_OR_RETURN(const std::string_view text, reader.ReadText(stored, &buffer));
      std::istringstream lines{std::string(text)};
      for (const hub::LineRun& run : reader.lines().runs) {
        for (std::int64_t number = run.first_line; number < EndOf(run); ++number) {
          std::string line;
          std::getline(lines, line);
          const bool is_new = content.lines.emplace(number, line.substr(0, line.find(' '))).second;
          content.is_any_twice |= !is_new;
        }
      }
    }
  }

  sqlite::FaultVfs* const vfs_;
  const std::string path_;
  std::int64_t acked_ = 0;
  std::string unrecovered_;
};

void SweepLogs(sqlite::FaultKind kind, bool sticky) {
  const std::int64_t points = Sweep<LogsWorkload>(kind, sticky);
  TriedPoints().logs += points;
  EXPECT_GT(points, 200) << "too few calls to prove anything";
}

TEST(LogsPoints, PowerCut) { SweepLogs(sqlite::FaultKind::kPowerCut, false); }
TEST(LogsPoints, FailedCall) { SweepLogs(sqlite::FaultKind::kIoError, false); }
TEST(LogsPoints, FailingDisk) { SweepLogs(sqlite::FaultKind::kIoError, true); }
TEST(LogsPoints, FullDiskOnce) { SweepLogs(sqlite::FaultKind::kDiskFull, false); }
TEST(LogsPoints, FullDisk) { SweepLogs(sqlite::FaultKind::kDiskFull, true); }
TEST(LogsPoints, ShortWrite) { SweepLogs(sqlite::FaultKind::kShortWrite, false); }

// The same check must notice a disk that does not do what it confirms.
TEST(LogsPoints, CheckNoticesADiskThatLies) { EXPECT_GT(CountNoticedLies<LogsWorkload>(10), 10); }

}  // namespace
}  // namespace muster::fault
