#include "hub/logs/scan_plan.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "common/status.h"
#include "hub/logs/chunk.h"
#include "hub/logs/chunk_bytes.h"

namespace muster::hub {
namespace {

absl::StatusOr<std::vector<ScanSource>> ReadSources(sqlite::Database& database, const LogSelection& selection) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT id, resource, revision, first_line, first_us, last_us, last_line, lines,"
                                    " bytes, pruned_lines, pruned_to_us FROM log_sources WHERE target_id=?1"
                                    " AND deployment_id=?2 AND (?3='' OR revision=?3)"));
  s.Bind(1, selection.target_id).Bind(2, selection.deployment_id).Bind(3, selection.revision);
  const std::unordered_set<std::string_view> resources(selection.resources.begin(), selection.resources.end());
  const auto optional = [&s](int column) { return s.IsNull(column) ? std::nullopt : std::optional(s.Int64(column)); };
  std::vector<ScanSource> sources;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return sources;
    std::string resource = s.Text(1);
    if (!resources.empty() && !resources.contains(resource)) continue;
    sources.push_back({.id = s.Int64(0),
                       .resource = std::move(resource),
                       .revision = s.Text(2),
                       .first_line = s.Int64(3),
                       .first_us = optional(4),
                       .last_us = optional(5),
                       .last_line = s.Int64(6),
                       .lines = s.Int64(7),
                       .bytes = s.Int64(8),
                       .pruned_lines = s.Int64(9),
                       .pruned_to_us = s.Int64(10)});
  }
}

absl::StatusOr<bool> IsStored(sqlite::Database& database, const TailRow& row) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT 1 FROM log_tail WHERE first_line=?"));
  const absl::StatusOr<bool> found = s.Bind(1, row.first_line).Step();
  // Who reads it will say that it is damaged.
  return absl::IsDataLoss(found.status()) ? true : found;
}

// Without those that became chunks before the transaction began. They go in their order, so the others are the end.
absl::StatusOr<std::vector<TailRow>> StoredRows(sqlite::Database& database, std::vector<TailRow> rows) {
  std::size_t begin = 0;
  std::size_t end = rows.size();
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    ASSIGN_OR_RETURN(const bool is_stored, IsStored(database, rows[middle]));
    if (is_stored) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(begin));
  return rows;
}

ScanUnit UnitOfRow(const ScanSource& source, std::size_t row) {
  const TailRow& at = source.tail[row];
  const bool is_last = row + 1 == source.tail.size();
  ScanUnit unit;
  unit.source = &source;
  unit.is_tail = true;
  unit.first_line = at.first_line;
  unit.last_line = is_last ? kEndOfLineNumbers : source.tail[row + 1].first_line - 1;
  unit.first_us = at.first_us;
  unit.last_us = at.last_us;
  unit.lines = at.lines;
  return unit;
}

// Columns: first_line, last_line, first_us, last_us, lines, levels, damaged.
ScanUnit UnitOfChunk(const ScanSource& source, const sqlite::Statement& s) {
  ScanUnit unit;
  unit.source = &source;
  unit.first_line = s.Int64(0);
  unit.last_line = s.Int64(1);
  unit.first_us = s.Int64(2);
  unit.last_us = s.Int64(3);
  unit.lines = s.Int64(4);
  const std::string levels = s.Text(5);
  ByteReader bytes(levels);
  unit.markers = unit.lines;
  for (std::uint32_t& count : unit.levels) {
    count = bytes.LittleEndian<std::uint32_t>();
    unit.markers -= count;
  }
  unit.is_damaged = s.Bool(6);
  return unit;
}

absl::Status TakeChunks(const ScanSource& source, sqlite::Statement* s, std::vector<ScanUnit>* units) {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s->Step());
    if (!row) return absl::OkStatus();
    units->push_back(UnitOfChunk(source, *s));
  }
}

absl::Status ListChunks(sqlite::Database& database, const ScanSource& source, std::int64_t from_us, std::int64_t to_us,
                        std::vector<ScanUnit>* units) {
  // Without a first time retention has left none of them.
  if (!source.first_us || *source.first_us >= to_us) return absl::OkStatus();
  if (!source.last_us || *source.last_us < from_us) return absl::OkStatus();
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT first_line, last_line, first_us, last_us, lines, levels, damaged"
                                    " FROM log_chunks WHERE source=? AND last_us>=? AND first_us<?"));
  s.Bind(1, source.id).Bind(2, from_us).Bind(3, to_us);
  return TakeChunks(source, &s, units);
}

// The last one that ends before the window.
absl::Status ListBefore(sqlite::Database& database, const ScanSource& source, std::int64_t from_us,
                        std::vector<ScanUnit>* units) {
  if (from_us == std::numeric_limits<std::int64_t>::min()) return absl::OkStatus();
  std::vector<ScanUnit> before;
  if (source.first_us && *source.first_us < from_us) {
    ASSIGN_OR_RETURN(sqlite::Statement s,
                     database.Prepare("SELECT first_line, last_line, first_us, last_us, lines, levels, damaged"
                                      " FROM log_chunks WHERE source=? AND last_us<?"
                                      " ORDER BY last_us DESC, first_line DESC LIMIT 1"));
    s.Bind(1, source.id).Bind(2, from_us);
    RETURN_IF_ERROR(TakeChunks(source, &s, &before));
  }
  for (std::size_t row = 0; row < source.tail.size(); ++row) {
    const std::int64_t last_us = source.tail[row].last_us;
    if (last_us >= from_us || (!before.empty() && before.back().last_us > last_us)) continue;
    before.push_back(UnitOfRow(source, row));
  }
  if (before.empty()) return absl::OkStatus();
  units->push_back(before.back());
  units->back().is_before_window = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ScanUnit>> ScanView::ListByTime(std::int64_t from_us, std::int64_t to_us) const {
  std::vector<ScanUnit> units;
  if (from_us >= to_us) return units;
  for (const ScanSource& source : sources_) {
    RETURN_IF_ERROR(ListChunks(database_, source, from_us, to_us, &units));
    for (std::size_t row = 0; row < source.tail.size(); ++row) {
      if (source.tail[row].last_us < from_us || source.tail[row].first_us >= to_us) continue;
      units.push_back(UnitOfRow(source, row));
    }
    RETURN_IF_ERROR(ListBefore(database_, source, from_us, &units));
  }
  return units;
}

absl::StatusOr<std::vector<ScanUnit>> ScanView::ListByNumber(std::int64_t after, std::int64_t up_to) const {
  std::vector<ScanUnit> units;
  for (const ScanSource& source : sources_) {
    if (source.last_line > after) {
      ASSIGN_OR_RETURN(sqlite::Statement s,
                       database_.Prepare("SELECT first_line, last_line, first_us, last_us, lines, levels, damaged"
                                         " FROM log_chunks WHERE source=? AND last_line>? AND first_line<=?"));
      s.Bind(1, source.id).Bind(2, after).Bind(3, up_to);
      RETURN_IF_ERROR(TakeChunks(source, &s, &units));
    }
    for (std::size_t row = 0; row < source.tail.size(); ++row) {
      const ScanUnit unit = UnitOfRow(source, row);
      if (unit.last_line > after && unit.first_line <= up_to) units.push_back(unit);
    }
  }
  return units;
}

absl::StatusOr<std::vector<ScanUnit>> ScanView::ListAll(const ScanSource& source) const {
  std::vector<ScanUnit> units;
  RETURN_IF_ERROR(ListChunks(database_, source, std::numeric_limits<std::int64_t>::min(),
                             std::numeric_limits<std::int64_t>::max(), &units));
  for (std::size_t row = 0; row < source.tail.size(); ++row) units.push_back(UnitOfRow(source, row));
  return units;
}

absl::Status InScanView(LogStore* store, const LogSelection& selection,
                        absl::FunctionRef<absl::Status(const ScanView&)> run) {
  return store->store().Read([&](sqlite::Database& database) -> absl::Status {
    // The rows of the tail first, the transaction behind them: a row that becomes a chunk meanwhile is in the chunk.
    // The other way round it would be in neither.
    ASSIGN_OR_RETURN(const std::vector<ScanSource> before, ReadSources(database, selection));
    absl::flat_hash_map<std::int64_t, std::vector<TailRow>> tails;
    for (const ScanSource& source : before) tails[source.id] = store->tail().RowsOf(source.id);
    const auto look = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(std::vector<ScanSource> sources, ReadSources(database, selection));
      for (ScanSource& source : sources) {
        const auto tail = tails.find(source.id);
        if (tail == tails.end()) continue;
        ASSIGN_OR_RETURN(source.tail, StoredRows(database, std::move(tail->second)));
      }
      return run(ScanView(database, std::move(sources)));
    };
    RETURN_IF_ERROR(database.Execute("BEGIN"));
    absl::Status looked = look();
    // Nothing was written, so there is nothing that could be lost.
    database.Execute("COMMIT").IgnoreError();
    return looked;
  });
}

}  // namespace muster::hub
