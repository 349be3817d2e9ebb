// The tables of the journal's file and the rows of its one big one (docs/agent.md, "The journal's file"). Used by
// JournalStore and the repair of damaged files only. Not thread-safe; nothing here begins or ends a transaction.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_ROWS_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_ROWS_H_

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/journal/entry.h"
#include "common/sqlite/database.h"

namespace muster::agent {

inline constexpr int kJournalSchema = 2;
// Of agents that collected no logs.
inline constexpr int kJournalSchemaWithoutLogs = 1;
inline constexpr std::int64_t kJournalPageBytes = 4096;

// A row's number is ordinal, lane and sequence in one, so the rows of a lane lie side by side in order of age.
// 38 bits: eight years at 1000 records a second in one run; 24 bits: five years of a start every ten seconds.
inline constexpr int kSequenceBits = 38;
inline constexpr int kOrdinalBits = 24;
inline constexpr std::int64_t kMaxSequence = (std::int64_t{1} << kSequenceBits) - 1;
inline constexpr std::int64_t kMaxOrdinal = (std::int64_t{1} << kOrdinalBits) - 1;
static_assert(kSequenceBits + 1 + kOrdinalBits == 63);

inline constexpr std::int64_t kFirstRowId = 0;
inline constexpr std::int64_t kLastRowId = std::numeric_limits<std::int64_t>::max();

// One lane of one epoch.
struct LaneName {
  std::int64_t ordinal = 0;
  v1::Lane lane = v1::LANE_EVENTS;
  friend bool operator<(const LaneName& a, const LaneName& b) {
    return std::tie(a.ordinal, a.lane) < std::tie(b.ordinal, b.lane);
  }
};

std::int64_t RowIdOf(std::int64_t ordinal, v1::Lane lane, std::int64_t sequence);
std::int64_t OrdinalOf(std::int64_t row_id);
v1::Lane LaneOfRow(std::int64_t row_id);
std::int64_t SequenceOf(std::int64_t row_id);

// CRC-32 of zlib. SQLite does not notice a flipped bit.
std::int64_t ChecksumOf(std::initializer_list<std::int64_t> numbers, std::string_view text, std::string_view more = "");

struct JournalRow {
  std::int64_t id = 0;
  std::string epoch;
  Entry entry;
  // The content is what was written, and makes sense.
  bool is_intact = false;

  std::int64_t ordinal() const { return OrdinalOf(id); }
};

// A row to be written; its checksum is computed when it is.
JournalRow MakeRow(std::int64_t ordinal, const std::string& epoch, Entry entry);

// The columns as they were read.
struct RawRow {
  std::int64_t id = 0;
  std::string epoch;
  std::int64_t count = 0;
  std::int64_t kind = 0;
  std::int64_t recorded_us = 0;
  std::int64_t monotonic_us = 0;
  std::int64_t crc = 0;
  std::string payload;
};
JournalRow RestoreRow(RawRow raw);

class JournalRows {
 public:
  explicit JournalRows(sqlite::Database* database) : database_(database) {}

  // Empty tables in an empty file.
  absl::Status CreateTables();

  absl::Status Insert(const JournalRow& row);
  // Both inclusive.
  absl::Status Delete(std::int64_t first_id, std::int64_t last_id);

  // Ascending, both inclusive, until `visit` returns false. It must not come back here.
  using Visitor = absl::FunctionRef<bool(JournalRow)>;
  absl::Status ForEach(std::int64_t first_id, std::int64_t last_id, Visitor visit);
  absl::Status ForEachDescending(std::int64_t last_id, std::int64_t first_id, Visitor visit);
  // The last row at or before `last_id`, if it is not before `first_id`.
  absl::StatusOr<std::optional<JournalRow>> Last(std::int64_t first_id, std::int64_t last_id);
  // The number of the row that covers the sequence: it may be a gap that begins before. If there is none, the number
  // that it would have.
  absl::StatusOr<std::int64_t> Covering(LaneName name, std::int64_t sequence);

 private:
  sqlite::Database* const database_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_ROWS_H_
