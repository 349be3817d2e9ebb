#include "agent/journal/log_positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "agent/journal/journal_rows.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// Of a row, besides its texts.
constexpr std::int64_t kRowBytes = 64;

std::int64_t ChecksumOfRow(const LogContent::Row& row) {
  const LogPosition& position = row.position;
  return ChecksumOf({static_cast<std::int64_t>(position.stream), position.time_ns, position.count, position.size,
                     position.clock_us, row.written},
                    position.container, position.open + position.boot_id);
}

// 0 for one that is absent; which it is stands before it.
std::int64_t MicrosOf(std::optional<absl::Time> time) { return time.has_value() ? absl::ToUnixMicros(*time) : 0; }

std::int64_t ChecksumOfTotals(const LogTotals& totals) {
  return ChecksumOf(
      {totals.positions, totals.off_keys, totals.first_settings.has_value() ? 1 : 0, MicrosOf(totals.first_settings),
       totals.lost_since.has_value() ? 1 : 0, MicrosOf(totals.lost_since)},
      "");
}

absl::Status Damaged(std::string_view table) {
  return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT",
                   fmt::format("{} in the journal lacks a row, or has one with a wrong checksum", table));
}

}  // namespace

void LogChanges::Add(LogChanges later) {
  for (auto& [container, position] : later.positions) positions.insert_or_assign(container, std::move(position));
  if (!later.settings.has_value()) return;
  if (settings.has_value()) later.settings->first = settings->first;
  settings = std::move(later.settings);
}

std::int64_t BytesOf(const LogChanges& changes) {
  std::size_t bytes = 0;
  for (const auto& [container, position] : changes.positions) {
    bytes += kRowBytes + container.size();
    if (position.has_value()) bytes += position->open.size() + position->boot_id.size();
  }
  if (!changes.settings.has_value()) return static_cast<std::int64_t>(bytes);
  for (const std::string& key : changes.settings->off_keys) bytes += kRowBytes + key.size();
  return static_cast<std::int64_t>(bytes + kRowBytes);
}

absl::Status LogTables::Create() {
  RETURN_IF_ERROR(database_->Execute(R"sql(
    CREATE TABLE log_positions (
      container TEXT PRIMARY KEY,
      stream INTEGER NOT NULL,
      time_ns INTEGER NOT NULL,
      count INTEGER NOT NULL,
      size INTEGER NOT NULL,
      open BLOB NOT NULL,
      clock_us INTEGER NOT NULL,
      boot_id TEXT NOT NULL,
      written INTEGER NOT NULL,
      crc INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log_off (
      deployment_key TEXT PRIMARY KEY,
      crc INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log_memory (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      positions INTEGER NOT NULL,
      off_keys INTEGER NOT NULL,
      first_settings_us INTEGER,
      lost_since_us INTEGER,
      crc INTEGER NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
  )sql"));
  return WriteTotals({});
}

absl::Status LogTables::Clear() {
  RETURN_IF_ERROR(database_->Execute("DELETE FROM log_positions; DELETE FROM log_off"));
  return WriteTotals({});
}

LogContent LogTables::Read() {
  LogContent content;
  absl::Status positions = ReadPositions(&content);
  absl::Status off_keys = ReadOffKeys(&content);
  const absl::StatusOr<LogTotals> totals = ReadTotals();
  if (totals.ok()) {
    content.totals = *totals;
    const auto differs = [](std::int64_t count, const auto& rows) {
      return count != static_cast<std::int64_t>(rows.size());
    };
    if (positions.ok() && differs(totals->positions, content.positions)) positions = Damaged("log_positions");
    if (off_keys.ok() && differs(totals->off_keys, content.off_keys)) off_keys = Damaged("log_off");
  }
  for (const LogContent::Row& row : content.positions) {
    content.totals.written = std::max(content.totals.written, row.written);
  }
  // Without the keys that are off nothing may be collected before the hub has told them again.
  if (!off_keys.ok() || !totals.ok()) {
    content.off_keys.clear();
    content.totals.first_settings = std::nullopt;
  }
  for (const absl::Status& status : {positions, off_keys, totals.status()}) {
    if (content.status.ok()) content.status = status;
  }
  return content;
}

absl::Status LogTables::ReadPositions(LogContent* content) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare("SELECT container, stream, time_ns, count, size, open, clock_us, boot_id, written, "
                         "crc FROM log_positions ORDER BY container"));
  absl::Status status;
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return status;
    LogContent::Row row;
    row.position = {.container = statement.Text(0),
                    .stream = static_cast<LogStream>(statement.Int64(1)),
                    .time_ns = statement.Int64(2),
                    .count = statement.Int64(3),
                    .size = statement.Int64(4),
                    .open = statement.Text(5),
                    .clock_us = statement.Int64(6),
                    .boot_id = statement.Text(7)};
    row.written = statement.Int64(8);
    // A damaged tree may show rows out of order, and the same ones for ever.
    if (!content->positions.empty() && row.position.container <= content->positions.back().position.container) {
      return Damaged("log_positions");
    }
    if (statement.Int64(9) == ChecksumOfRow(row)) {
      content->positions.push_back(std::move(row));
    } else {
      status = Damaged("log_positions");
    }
  }
}

absl::Status LogTables::ReadOffKeys(LogContent* content) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database_->Prepare("SELECT deployment_key, crc FROM log_off ORDER BY deployment_key"));
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return absl::OkStatus();
    std::string key = statement.Text(0);
    const bool is_in_order = content->off_keys.empty() || key > content->off_keys.back();
    if (!is_in_order || statement.Int64(1) != ChecksumOf({}, key)) return Damaged("log_off");
    content->off_keys.push_back(std::move(key));
  }
}

absl::StatusOr<LogTotals> LogTables::ReadTotals() {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare(
          "SELECT positions, off_keys, first_settings_us, lost_since_us, crc FROM log_memory WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return Damaged("log_memory");
  LogTotals totals{.positions = statement.Int64(0),
                   .off_keys = statement.Int64(1),
                   .first_settings = statement.OptionalTime(2),
                   .lost_since = statement.OptionalTime(3)};
  if (statement.Int64(4) != ChecksumOfTotals(totals)) return Damaged("log_memory");
  return totals;
}

absl::Status LogTables::Apply(const LogChanges& changes, std::int64_t max_positions, LogTotals* totals) {
  const std::int64_t positions_before = totals->positions;
  if (!changes.positions.empty()) ++totals->written;
  for (const auto& [container, position] : changes.positions) {
    RETURN_IF_ERROR(position.has_value() ? Put({.position = *position, .written = totals->written}, totals)
                                         : Forget(container, totals));
  }
  RETURN_IF_ERROR(DropOldest(totals->positions - max_positions, totals));
  if (changes.settings.has_value()) {
    RETURN_IF_ERROR(WriteOffKeys(changes.settings->off_keys, totals));
    if (!totals->first_settings.has_value()) totals->first_settings = changes.settings->first;
  }
  if (totals->positions == positions_before && !changes.settings.has_value()) return absl::OkStatus();
  return WriteTotals(*totals);
}

absl::Status LogTables::Fill(const LogContent& content) {
  LogTotals totals = content.totals;
  totals.positions = 0;
  for (const LogContent::Row& row : content.positions) RETURN_IF_ERROR(Put(row, &totals));
  RETURN_IF_ERROR(WriteOffKeys(content.off_keys, &totals));
  return WriteTotals(totals);
}

absl::Status LogTables::Put(const LogContent::Row& row, LogTotals* totals) {
  const auto bind = [&](sqlite::Statement& statement) {
    const LogPosition& position = row.position;
    statement.Bind(1, position.container)
        .Bind(2, static_cast<std::int64_t>(position.stream))
        .Bind(3, position.time_ns)
        .Bind(4, position.count)
        .Bind(5, position.size)
        .BindBlob(6, position.open.data(), position.open.size())
        .Bind(7, position.clock_us)
        .Bind(8, position.boot_id)
        .Bind(9, row.written)
        .Bind(10, ChecksumOfRow(row));
  };
  RETURN_IF_ERROR(sqlite::RunBound(*database_,
                                   "UPDATE log_positions SET stream = ?2, time_ns = ?3, count = ?4, size = ?5, "
                                   "open = ?6, clock_us = ?7, boot_id = ?8, written = ?9, crc = ?10 "
                                   "WHERE container = ?1",
                                   bind));
  if (database_->Changes() > 0) return absl::OkStatus();
  ++totals->positions;
  return sqlite::RunBound(*database_,
                          "INSERT INTO log_positions (container, stream, time_ns, count, size, open, clock_us, "
                          "boot_id, written, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                          bind);
}

absl::Status LogTables::Forget(const std::string& container, LogTotals* totals) {
  RETURN_IF_ERROR(sqlite::RunBound(*database_, "DELETE FROM log_positions WHERE container = ?",
                                   [&](sqlite::Statement& statement) { statement.Bind(1, container); }));
  totals->positions -= database_->Changes();
  return absl::OkStatus();
}

absl::Status LogTables::DropOldest(std::int64_t rows, LogTotals* totals) {
  if (rows <= 0) return absl::OkStatus();
  RETURN_IF_ERROR(sqlite::RunBound(*database_,
                                   "DELETE FROM log_positions WHERE container IN "
                                   "(SELECT container FROM log_positions ORDER BY written, container LIMIT ?)",
                                   [&](sqlite::Statement& statement) { statement.Bind(1, rows); }));
  totals->positions -= database_->Changes();
  return absl::OkStatus();
}

absl::Status LogTables::WriteOffKeys(const std::vector<std::string>& off_keys, LogTotals* totals) {
  RETURN_IF_ERROR(database_->Execute("DELETE FROM log_off"));
  const std::set<std::string> keys(off_keys.begin(), off_keys.end());
  for (const std::string& key : keys) {
    RETURN_IF_ERROR(
        sqlite::RunBound(*database_, "INSERT INTO log_off (deployment_key, crc) VALUES (?, ?)",
                         [&](sqlite::Statement& statement) { statement.Bind(1, key).Bind(2, ChecksumOf({}, key)); }));
  }
  totals->off_keys = static_cast<std::int64_t>(keys.size());
  return absl::OkStatus();
}

absl::Status LogTables::WriteTotals(const LogTotals& totals) {
  return sqlite::RunBound(*database_,
                          "INSERT OR REPLACE INTO log_memory (id, positions, off_keys, first_settings_us, "
                          "lost_since_us, crc) VALUES (1, ?, ?, ?, ?, ?)",
                          [&](sqlite::Statement& statement) {
                            statement.Bind(1, totals.positions)
                                .Bind(2, totals.off_keys)
                                .Bind(3, totals.first_settings)
                                .Bind(4, totals.lost_since)
                                .Bind(5, ChecksumOfTotals(totals));
                          });
}

}  // namespace muster::agent
