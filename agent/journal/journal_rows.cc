#include "agent/journal/journal_rows.h"

#include <zlib.h>

#include <utility>

#include "agent/journal/log_positions.h"
#include "common/status.h"

namespace muster::agent {
namespace {

#define MUSTER_ROW_COLUMNS "id, epoch, count, kind, recorded_us, monotonic_us, crc, payload"

std::int64_t MicrosOf(Instant instant) { return absl::ToInt64Microseconds(instant - Instant()); }

// Over everything that the row says, its name included.
std::int64_t ChecksumOfRow(const JournalRow& row) {
  return ChecksumOf({row.id, row.entry.count, static_cast<std::int64_t>(row.entry.kind),
                     absl::ToUnixMicros(row.entry.wall), MicrosOf(row.entry.monotonic)},
                    row.epoch, row.entry.payload);
}

bool MakesSense(const JournalRow& row) {
  const Entry& entry = row.entry;
  const bool is_gap = entry.kind == EntryKind::kGap;
  return row.id > 0 && entry.first_sequence >= 1 && entry.count >= 1 && entry.count <= kMaxSequence &&
         entry.last_sequence() <= kMaxSequence && (is_gap || entry.count == 1);
}

RawRow RawRowOf(const sqlite::Statement& statement) {
  return {.id = statement.Int64(0),
          .epoch = statement.Text(1),
          .count = statement.Int64(2),
          .kind = statement.Int64(3),
          .recorded_us = statement.Int64(4),
          .monotonic_us = statement.Int64(5),
          .crc = statement.Int64(6),
          .payload = statement.Text(7)};
}

absl::Status VisitAll(sqlite::Statement statement, JournalRows::Visitor visit) {
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found || !visit(RestoreRow(RawRowOf(statement)))) return absl::OkStatus();
  }
}

}  // namespace

std::int64_t ChecksumOf(std::initializer_list<std::int64_t> numbers, std::string_view text, std::string_view more) {
  uLong crc = crc32(0, nullptr, 0);
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(std::data(numbers)), numbers.size() * sizeof(std::int64_t));
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size());
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(more.data()), more.size());
  return static_cast<std::int64_t>(crc);
}

std::int64_t RowIdOf(std::int64_t ordinal, v1::Lane lane, std::int64_t sequence) {
  const std::int64_t lane_bit = lane == v1::LANE_LOGS ? 1 : 0;
  return ((ordinal << 1 | lane_bit) << kSequenceBits) | sequence;
}
std::int64_t OrdinalOf(std::int64_t row_id) { return row_id >> (kSequenceBits + 1); }
v1::Lane LaneOfRow(std::int64_t row_id) {
  return ((row_id >> kSequenceBits) & 1) == 1 ? v1::LANE_LOGS : v1::LANE_EVENTS;
}
std::int64_t SequenceOf(std::int64_t row_id) { return row_id & kMaxSequence; }

JournalRow MakeRow(std::int64_t ordinal, const std::string& epoch, Entry entry) {
  JournalRow row;
  row.id = RowIdOf(ordinal, entry.lane, entry.first_sequence);
  row.epoch = epoch;
  row.entry = std::move(entry);
  row.is_intact = true;
  return row;
}

JournalRow RestoreRow(RawRow raw) {
  JournalRow row;
  row.id = raw.id;
  row.epoch = std::move(raw.epoch);
  row.entry.lane = LaneOfRow(row.id);
  row.entry.first_sequence = SequenceOf(row.id);
  row.entry.count = raw.count;
  row.entry.kind = static_cast<EntryKind>(raw.kind);
  row.entry.wall = absl::FromUnixMicros(raw.recorded_us);
  row.entry.monotonic = Instant::FromDuration(absl::Microseconds(raw.monotonic_us));
  row.entry.payload = std::move(raw.payload);
  row.is_intact = raw.crc == ChecksumOfRow(row) && MakesSense(row);
  return row;
}

absl::Status JournalRows::CreateTables() {
  // As the first schema had them; LogTables brings what came with the second.
  RETURN_IF_ERROR(database_->Execute(R"sql(
    CREATE TABLE journal (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      target_id TEXT NOT NULL,
      dropped_total INTEGER NOT NULL,
      poisoned_total INTEGER NOT NULL,
      crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE epochs (
      ordinal INTEGER PRIMARY KEY,
      epoch TEXT NOT NULL,
      boot_id TEXT NOT NULL
    ) STRICT;
    CREATE TABLE lanes (
      ordinal INTEGER NOT NULL,
      lane INTEGER NOT NULL,
      last_sequence INTEGER NOT NULL,
      acked_sequence INTEGER NOT NULL,
      crc INTEGER NOT NULL,
      PRIMARY KEY (ordinal, lane)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE records (
      id INTEGER PRIMARY KEY,
      epoch TEXT NOT NULL,
      count INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      recorded_us INTEGER NOT NULL,
      monotonic_us INTEGER NOT NULL,
      crc INTEGER NOT NULL,
      payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE quarantine (
      id INTEGER PRIMARY KEY,
      epoch TEXT NOT NULL,
      lane INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      recorded_us INTEGER NOT NULL,
      reason TEXT NOT NULL,
      payload BLOB NOT NULL
    ) STRICT;
  )sql"));
  return LogTables(database_).Create();
}

absl::Status JournalRows::Insert(const JournalRow& row) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database_->Prepare("INSERT INTO records (" MUSTER_ROW_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
  return statement.Bind(1, row.id)
      .Bind(2, row.epoch)
      .Bind(3, row.entry.count)
      .Bind(4, static_cast<std::int64_t>(row.entry.kind))
      .Bind(5, absl::ToUnixMicros(row.entry.wall))
      .Bind(6, MicrosOf(row.entry.monotonic))
      .Bind(7, ChecksumOfRow(row))
      .BindBlob(8, row.entry.payload.data(), row.entry.payload.size())
      .Run();
}

absl::Status JournalRows::Delete(std::int64_t first_id, std::int64_t last_id) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database_->Prepare("DELETE FROM records WHERE id BETWEEN ? AND ?"));
  return statement.Bind(1, first_id).Bind(2, last_id).Run();
}

absl::Status JournalRows::ForEach(std::int64_t first_id, std::int64_t last_id, Visitor visit) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare("SELECT " MUSTER_ROW_COLUMNS " FROM records WHERE id BETWEEN ? AND ? ORDER BY id"));
  statement.Bind(1, first_id).Bind(2, last_id);
  return VisitAll(std::move(statement), visit);
}

absl::Status JournalRows::ForEachDescending(std::int64_t last_id, std::int64_t first_id, Visitor visit) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare("SELECT " MUSTER_ROW_COLUMNS " FROM records WHERE id BETWEEN ? AND ? ORDER BY id DESC"));
  statement.Bind(1, first_id).Bind(2, last_id);
  return VisitAll(std::move(statement), visit);
}

absl::StatusOr<std::optional<JournalRow>> JournalRows::Last(std::int64_t first_id, std::int64_t last_id) {
  std::optional<JournalRow> last;
  RETURN_IF_ERROR(ForEachDescending(last_id, first_id, [&](JournalRow row) {
    last = std::move(row);
    return false;
  }));
  return last;
}

absl::StatusOr<std::int64_t> JournalRows::Covering(LaneName name, std::int64_t sequence) {
  const std::int64_t id = RowIdOf(name.ordinal, name.lane, sequence);
  ASSIGN_OR_RETURN(const std::optional<JournalRow> row, Last(RowIdOf(name.ordinal, name.lane, 0), id));
  return row.has_value() && row->entry.last_sequence() >= sequence ? row->id : id;
}

}  // namespace muster::agent
