#include "hub/logs/log_retention.h"

#include <algorithm>
#include <set>

#include "common/log.h"
#include "common/status.h"
#include "hub/logs/old_chunks.h"

namespace muster::hub {
namespace {

// Of free pages on a volume with little room.
constexpr std::int64_t kMaxSpareBytes = std::int64_t{64} << 20;
constexpr std::int64_t kMiBMask = (std::int64_t{1} << 20) - 1;

// What a file of log lines that is still small leaves free.
std::int64_t HistoryBytes(const VolumeSpace& volume) {
  return std::min(std::int64_t{256} << 20, volume.total_bytes / 2);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogRetention>> LogRetention::Open(LogStore* store, Options options) {
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(store->path(), sqlite::OpenMode::kReader));
  std::unique_ptr<LogRetention> retention(new LogRetention(store, std::move(options), std::move(database)));
  ASSIGN_OR_RETURN(retention->page_bytes_, retention->ReadNumber("PRAGMA page_size"));
  return retention;
}

absl::StatusOr<std::int64_t> LogRetention::ReadNumber(sqlite::Sql sql) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database_->Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, s.Step());
  return row ? s.Int64(0) : 0;
}

absl::Status LogRetention::ReadSizes() {
  ASSIGN_OR_RETURN(const std::int64_t pages, ReadNumber("PRAGMA page_count"));
  ASSIGN_OR_RETURN(const std::int64_t free, ReadNumber("PRAGMA freelist_count"));
  sizes_ = {.in_use = (pages - free) * page_bytes_, .file = pages * page_bytes_};
  return absl::OkStatus();
}

absl::Status LogRetention::SetLimits(const VolumeSpace& volume) {
  const bool is_low = IsLow(volume);
  if (is_low != is_volume_low_) {
    if (is_low) log::Warning("the volume of {} has little room; logs grow no more until it has", store_->path());
    if (!is_low) log::Info("the volume of {} has room again; logs may grow", store_->path());
  }
  is_volume_low_ = is_low;
  // The file keeps what it has, and a small one gets what history does not need, in whole MiB. Of its pages
  // some are kept free, for what comes until the next call.
  const std::int64_t spare = std::max<std::int64_t>(volume.free_bytes - HistoryBytes(volume), 0);
  const std::int64_t small = std::min({kMinBytes, options_.max_bytes, (sizes_.file + spare) & ~kMiBMask});
  const std::int64_t file = std::max(sizes_.file, small);
  limit_bytes_ = is_low ? std::min(file - std::min(file / 16, kMaxSpareBytes), options_.max_bytes) : options_.max_bytes;
  const std::int64_t max_pages = (is_low ? file : options_.max_bytes + kHardStopBytes) / page_bytes_;
  if (max_pages == max_pages_) return absl::OkStatus();
  RETURN_IF_ERROR(
      store_->store().writer().Run([max_pages](sqlite::Database& database) { return database.LimitPages(max_pages); }));
  max_pages_ = max_pages;
  return absl::OkStatus();
}

absl::Status LogRetention::Trim(absl::Time now, const VolumeSpace& volume, absl::FunctionRef<bool()> go_on) {
  RETURN_IF_ERROR(ReadSizes());
  RETURN_IF_ERROR(SetLimits(volume));
  bool is_too_much = false;
  for (int operation = 0; operation < kMaxOperations; ++operation) {
    if (operation > 0) RETURN_IF_ERROR(ReadSizes());
    is_too_much = is_too_much || sizes_.in_use > limit_bytes_;
    // A little more than there has to, so that not each merge is followed by a deletion.
    const std::int64_t aim = limit_bytes_ - limit_bytes_ / 256;
    ForgetRule rule{.now = now, .cutoff = now - options_.keep, .excess_bytes = 0};
    if (is_too_much) rule.excess_bytes = std::max<std::int64_t>(sizes_.in_use - aim, 0);
    ASSIGN_OR_RETURN(const std::vector<OldChunk> chunks, FindOldChunks(*database_, rule));
    if (chunks.empty()) break;
    RETURN_IF_ERROR(store_->Forget(chunks));
    for (const OldChunk& chunk : chunks) {
      store_->observer().pruned(chunk.is_aged ? "age" : is_volume_low_ ? "volume" : "size", chunk.lines);
    }
    if (!go_on()) break;
  }
  return absl::OkStatus();
}

absl::Status LogRetention::Sweep(absl::Time now) {
  const absl::Time cutoff = now - options_.keep;
  RETURN_IF_ERROR(
      DeleteEnded("DELETE FROM log_gaps WHERE (target_id, epoch, first_sequence) IN (SELECT target_id, epoch,"
                  " first_sequence FROM log_gaps WHERE to_us<=?1 LIMIT ?2)",
                  cutoff));
  RETURN_IF_ERROR(
      DeleteEnded("DELETE FROM poisoned_records WHERE (target_id, epoch, lane, sequence) IN (SELECT target_id, epoch,"
                  " lane, sequence FROM poisoned_records WHERE noted_us<=?1 LIMIT ?2)",
                  cutoff));
  RETURN_IF_ERROR(ForgetPositions(cutoff));
  return ForgetSources(cutoff);
}

absl::Status LogRetention::DeleteEnded(sqlite::Sql sql, absl::Time cutoff) {
  std::int64_t deleted = kMaxRows;
  while (deleted == kMaxRows) {
    RETURN_IF_ERROR(store_->store().writer().Run([&](sqlite::Database& database) -> absl::Status {
      RETURN_IF_ERROR(RunBound(database, sql, [&](sqlite::Statement& s) { s.Bind(1, cutoff).Bind(2, kMaxRows); }));
      deleted = database.Changes();
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

// An agent asks for what it was told, however long ago: positions stay as long as their target.
absl::Status LogRetention::ForgetPositions(absl::Time cutoff) {
  if (!options_.deleted_targets) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> deleted, options_.deleted_targets(cutoff));
  for (const std::string& target : deleted) {
    {
      ASSIGN_OR_RETURN(sqlite::Statement s,
                       database_->Prepare("SELECT 1 FROM journal_positions WHERE target_id=? LIMIT 1"));
      ASSIGN_OR_RETURN(const bool has_some, s.Bind(1, target).Step());
      if (!has_some) continue;
    }
    RETURN_IF_ERROR(store_->store().writer().Run([&](sqlite::Database& database) {
      return RunBound(database, "DELETE FROM journal_positions WHERE target_id=?",
                      [&](sqlite::Statement& s) { s.Bind(1, target); });
    }));
  }
  return absl::OkStatus();
}

absl::Status LogRetention::ForgetSources(absl::Time cutoff) {
  // Rows of the tail before this line are in its index when an operation runs; those behind it may be in the
  // operation's own transaction.
  ASSIGN_OR_RETURN(const std::int64_t line, ReadNumber("SELECT next_line FROM log_meta"));
  std::vector<std::int64_t> candidates;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s,
                     database_->Prepare("SELECT id FROM log_sources WHERE lines=0 AND pruned_to_us<=? LIMIT ?"));
    s.Bind(1, cutoff).Bind(2, kMaxRows);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, s.Step());
      if (!row) break;
      candidates.push_back(s.Int64(0));
    }
  }
  if (candidates.empty()) return absl::OkStatus();
  return store_->store().writer().Run([&](sqlite::Database& database) -> absl::Status {
    for (const std::int64_t id : candidates) {
      if (!store_->tail().RowsOf(id).empty()) continue;
      RETURN_IF_ERROR(RunBound(database,
                               "DELETE FROM log_sources WHERE id=?1 AND lines=0 AND NOT EXISTS"
                               " (SELECT 1 FROM log_tail WHERE first_line>=?2 AND source=?1)",
                               [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, line); }));
    }
    return absl::OkStatus();
  });
}

}  // namespace muster::hub
