#include "hub/logs/tail_index.h"

#include <algorithm>

#include "common/status.h"

namespace muster::hub {

absl::Status TailIndex::Load(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement meta, database.Prepare("SELECT next_line FROM log_meta"));
  ASSIGN_OR_RETURN(const bool has_meta, meta.Step());
  if (!has_meta) return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "log_meta is empty");
  // Rows that could not be read and are damaged chunks now. A page of lines that is damaged must not count as the
  // table's damage: the chunks' index alone is looked at.
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT first_line, source, first_us, last_us, arrived_us, lines, bytes FROM"
                                    " log_tail t WHERE NOT EXISTS (SELECT 1 FROM log_chunks c WHERE c.source=t.source"
                                    " AND c.last_us=t.last_us AND c.first_line=t.first_line) ORDER BY first_line"));
  MutexLock lock(&mutex_);
  next_line_ = meta.Int64(0);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    AddOne({.first_line = s.Int64(0),
            .source = s.Int64(1),
            .first_us = s.Int64(2),
            .last_us = s.Int64(3),
            .arrived_us = s.Int64(4),
            .lines = s.Int(5),
            .bytes = s.Int(6)});
  }
}

void TailIndex::Add(const std::vector<TailRow>& rows) {
  MutexLock lock(&mutex_);
  for (const TailRow& row : rows) {
    AddOne(row);
    next_line_ += row.lines;
  }
}

void TailIndex::AddOne(const TailRow& row) {
  rows_[row.source].push_back(row);
  ++totals_.rows;
  totals_.bytes += row.bytes;
}

void TailIndex::RemoveBefore(std::int64_t source, std::int64_t line) {
  MutexLock lock(&mutex_);
  const auto found = rows_.find(source);
  if (found == rows_.end()) return;
  std::vector<TailRow>& rows = found->second;
  const auto end = std::find_if(rows.begin(), rows.end(), [&](const TailRow& row) { return row.first_line >= line; });
  for (auto row = rows.begin(); row != end; ++row) totals_.bytes -= row->bytes;
  totals_.rows -= static_cast<std::size_t>(end - rows.begin());
  rows.erase(rows.begin(), end);
  if (rows.empty()) rows_.erase(found);
}

std::vector<TailRow> TailIndex::RowsOf(std::int64_t source) const {
  MutexLock lock(&mutex_);
  const auto found = rows_.find(source);
  return found == rows_.end() ? std::vector<TailRow>() : found->second;
}

std::vector<SourceTail> TailIndex::Sources() const {
  MutexLock lock(&mutex_);
  std::vector<SourceTail> sources;
  sources.reserve(rows_.size());
  for (const auto& [source, rows] : rows_) {
    SourceTail& tail = sources.emplace_back();
    tail.source = source;
    tail.rows = rows.size();
    tail.arrived_us = rows.front().arrived_us;
    for (const TailRow& row : rows) tail.bytes += row.bytes;
  }
  return sources;
}

TailIndex::Totals TailIndex::totals() const {
  MutexLock lock(&mutex_);
  return totals_;
}

std::int64_t TailIndex::next_line() const {
  MutexLock lock(&mutex_);
  return next_line_;
}

}  // namespace muster::hub
