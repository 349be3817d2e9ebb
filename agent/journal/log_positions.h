// What the journal's file remembers of collecting logs: where each container goes on, which deployments are off, and
// since when something of that is lost (docs/agent.md, "The journal's file"). Changes wait in EntryQueue beside the
// lines they belong to, and are written in the transaction that makes those durable. Used by the journal's own parts
// only. Not thread-safe; nothing here begins or ends a transaction.
#ifndef MUSTER_AGENT_JOURNAL_LOG_POSITIONS_H_
#define MUSTER_AGENT_JOURNAL_LOG_POSITIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/logs/log_journal.h"
#include "common/sqlite/database.h"

namespace muster::agent {

inline constexpr std::int64_t kMaxLogPositions = 5000;
// Of the journal's bound, for each position: a row has some 200 bytes, so positions take a quarter of it at most.
inline constexpr std::int64_t kJournalBytesPerPosition = 1024;

// Several calls in one: the last word on each container and on the settings.
struct LogChanges {
  struct Settings {
    std::vector<std::string> off_keys;
    // When settings came first; counts if the file has no such time yet.
    absl::Time first;
  };
  // By container; absent: forgotten.
  std::map<std::string, std::optional<LogPosition>> positions = {};
  std::optional<Settings> settings = std::nullopt;

  bool empty() const { return positions.empty() && !settings.has_value(); }
  // What was asked for after these.
  void Add(LogChanges later);
};
// About what it takes in the file.
std::int64_t BytesOf(const LogChanges& changes);

// The row of log_memory, which also tells when rows of the other tables are missing.
struct LogTotals {
  std::int64_t positions = 0;
  std::int64_t off_keys = 0;
  std::optional<absl::Time> first_settings = std::nullopt;
  std::optional<absl::Time> lost_since = std::nullopt;
  // Not in that row: the greatest `written` of log_positions.
  std::int64_t written = 0;
};

// What the tables say, as far as rows are intact.
struct LogContent {
  struct Row {
    LogPosition position;
    std::int64_t written = 0;
  };
  LogTotals totals = {};
  std::vector<Row> positions = {};
  std::vector<std::string> off_keys = {};
  // Why something is missing above. A row that is missing, or not what was written, is DATABASE_CORRUPT.
  absl::Status status = absl::OkStatus();
};

class LogTables {
 public:
  explicit LogTables(sqlite::Database* database) : database_(database) {}

  // The tables, empty, in a file of schema 1; makes it one of schema 2.
  absl::Status Create();
  absl::Status Clear();
  LogContent Read();
  // Beyond `max_positions` those go that were not written for longest.
  absl::Status Apply(const LogChanges& changes, std::int64_t max_positions, LogTotals* totals);
  // For empty tables: all that `content` has, whatever its totals count.
  absl::Status Fill(const LogContent& content);

 private:
  absl::Status ReadPositions(LogContent* content);
  absl::Status ReadOffKeys(LogContent* content);
  absl::StatusOr<LogTotals> ReadTotals();
  absl::Status Put(const LogContent::Row& row, LogTotals* totals);
  absl::Status Forget(const std::string& container, LogTotals* totals);
  absl::Status DropOldest(std::int64_t rows, LogTotals* totals);
  absl::Status WriteOffKeys(const std::vector<std::string>& off_keys, LogTotals* totals);
  absl::Status WriteTotals(const LogTotals& totals);

  sqlite::Database* const database_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_LOG_POSITIONS_H_
