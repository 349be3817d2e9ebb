#include "hub/logs/log_merger.h"

#include <vector>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {

absl::StatusOr<std::unique_ptr<LogMerger>> LogMerger::Open(LogStore* store, std::int64_t max_tail_bytes) {
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(store->path(), sqlite::OpenMode::kReader));
  return std::unique_ptr<LogMerger>(new LogMerger(store, max_tail_bytes, std::move(database)));
}

absl::Status LogMerger::Turn(absl::Time now, absl::FunctionRef<bool()> go_on) {
  absl::Status first_error;
  for (const PlannedMerge& planned : PlanMerges(store_->tail().Sources(), now, max_tail_bytes_)) {
    const absl::StatusOr<bool> merged = MergeSource(planned, go_on);
    if (merged.ok() && !*merged) break;
    first_error.Update(merged.status());
  }
  return first_error;
}

absl::StatusOr<bool> LogMerger::MergeSource(const PlannedMerge& planned, absl::FunctionRef<bool()> go_on) {
  const std::vector<TailRow> all = store_->tail().RowsOf(planned.source);
  for (std::span<const TailRow> left = all; !left.empty();) {
    const std::span<const TailRow> rows = RowsOfNextChunk(left, planned.takes_all);
    if (rows.empty()) break;
    ASSIGN_OR_RETURN(const Merge merge, MakeChunk(rows));
    RETURN_IF_ERROR(Put(merge));
    left = left.subspan(merge.tail_rows.size());
    if (!go_on()) return false;
  }
  ASSIGN_OR_RETURN(const Merge joined, MergeSmallChunks(*database_, planned.source, &codec_));
  if (joined.chunks.empty()) return true;
  RETURN_IF_ERROR(Put(joined));
  return go_on();
}

absl::StatusOr<Merge> LogMerger::MakeChunk(std::span<const TailRow> rows) {
  const std::int64_t source = rows.front().source;
  absl::StatusOr<Merge> merge = MergeTail(*database_, rows, &codec_);
  if (ReasonOf(merge.status()) != "DISK_IO") {
    failed_reads_.erase(source);
    return merge;
  }
  if (++failed_reads_[source] < kReadAttempts) return merge;
  failed_reads_.erase(source);
  return MergeUnreadable(rows.front());
}

absl::Status LogMerger::Put(const Merge& merge) {
  RETURN_IF_ERROR(store_->Replace(merge));
  store_->observer().merged(merge.bytes);
  if (!merge.is_damaged) return absl::OkStatus();
  log::Error("{} lines from {} on in {} are damaged; they are shown as a gap", merge.lines, merge.first_line,
             store_->path());
  store_->observer().damaged();
  return absl::OkStatus();
}

}  // namespace muster::hub
