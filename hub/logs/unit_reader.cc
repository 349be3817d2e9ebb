#include "hub/logs/unit_reader.h"

#include "common/status.h"
#include "hub/logs/chunk.h"

namespace muster::hub {
namespace {

// `sql` selects one column by first_line.
absl::StatusOr<std::string> ReadBytes(sqlite::Database& database, sqlite::Sql sql, const ScanUnit& unit) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool found, s.Bind(1, unit.first_line).Step());
  if (!found) return ChunkDamaged("its row is not where the index has it");
  return s.Text(0);
}

}  // namespace

absl::Status UnitReader::ReadHead(const ScanUnit& unit) {
  absl::Status read = TryHead(unit);
  Note(unit, read);
  return read;
}

absl::Status UnitReader::TryHead(const ScanUnit& unit) {
  constexpr sqlite::Sql kRow = "SELECT head FROM log_tail WHERE first_line=?";
  constexpr sqlite::Sql kChunk = "SELECT head FROM log_chunk_data WHERE first_line=?";
  ASSIGN_OR_RETURN(const std::string head, ReadBytes(database_, unit.is_tail ? kRow : kChunk, unit));
  RETURN_IF_ERROR(reader_.ReadHead(head, unit.source->id));
  const bool is_its_own = lines().runs.front().first_line == unit.first_line;
  return is_its_own ? absl::OkStatus() : ChunkDamaged("it holds other lines than the index says");
}

absl::StatusOr<std::string_view> UnitReader::ReadText(const ScanUnit& unit) {
  absl::StatusOr<std::string_view> text = TryText(unit);
  Note(unit, text.status());
  if (!text.ok()) return text;
  text_bytes_ += static_cast<std::int64_t>(text->size());
  text_lines_ += static_cast<std::int64_t>(lines().size());
  return text;
}

absl::StatusOr<std::string_view> UnitReader::TryText(const ScanUnit& unit) {
  constexpr sqlite::Sql kRow = "SELECT text FROM log_tail WHERE first_line=?";
  constexpr sqlite::Sql kChunk = "SELECT text FROM log_chunk_data WHERE first_line=?";
  ASSIGN_OR_RETURN(stored_, ReadBytes(database_, unit.is_tail ? kRow : kChunk, unit));
  return reader_.ReadText(stored_, &buffer_);
}

void UnitReader::Note(const ScanUnit& unit, const absl::Status& status) {
  if (!IsDamage(status)) return;
  damaged_.push_back({.source = unit.source->id,
                      .last_us = unit.last_us,
                      .first_line = unit.first_line,
                      .is_tail = unit.is_tail,
                      .why = MessageOf(status)});
}

}  // namespace muster::hub
