#include "hub/samples/metric_retention.h"

#include <algorithm>
#include <limits>
#include <string>

#include "common/log.h"
#include "common/status.h"
#include "hub/samples/metric_chunk.h"
#include "hub/samples/sample_rows.h"
#include "hub/store/reads.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

absl::StatusOr<std::int64_t> ReadNumber(sqlite::Database& database, sqlite::Sql sql) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, s.Step());
  return row ? s.Int64(0) : 0;
}

}  // namespace

absl::Status MetricRetention::ReadSizes() {
  return store_->store().Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(page_bytes_, ReadNumber(database, "PRAGMA page_size"));
    ASSIGN_OR_RETURN(const std::int64_t pages, ReadNumber(database, "PRAGMA page_count"));
    ASSIGN_OR_RETURN(const std::int64_t free, ReadNumber(database, "PRAGMA freelist_count"));
    in_use_ = (pages - free) * page_bytes_;
    file_ = pages * page_bytes_;
    return absl::OkStatus();
  });
}

absl::Status MetricRetention::SetLimits(const VolumeSpace& volume) {
  const bool is_low = IsLow(volume);
  if (is_low != is_volume_low_) {
    if (is_low) log::Warning("the volume of {} has little room; metrics grow no more until it has", store_->path());
    if (!is_low) log::Info("the volume of {} has room again; metrics may grow", store_->path());
  }
  is_volume_low_ = is_low;
  // The file grows no more: a sixteenth of its pages is kept free, for what comes until the next call.
  limit_bytes_ = options_.max_bytes;
  if (is_low) limit_bytes_ = std::min(std::max(file_ - file_ / 16, kMinBytes), options_.max_bytes);
  const std::int64_t max_pages = (options_.max_bytes + kHardStopBytes) / page_bytes_;
  if (max_pages == max_pages_) return absl::OkStatus();
  RETURN_IF_ERROR(
      store_->store().writer().Run([max_pages](sqlite::Database& database) { return database.LimitPages(max_pages); }));
  max_pages_ = max_pages;
  return absl::OkStatus();
}

absl::Status MetricRetention::Trim(absl::Time now, const VolumeSpace& volume, absl::FunctionRef<bool()> go_on) {
  // The bound is a time: of raw chunks by which they end, of rollups by which they begin.
  static constexpr ChunkChoice kRaw{.find =
                                        "SELECT id, value_count, last_us FROM raw_chunks WHERE last_us<=?1"
                                        " ORDER BY last_us LIMIT ?2",
                                    .remove = "DELETE FROM raw_chunks WHERE id=?",
                                    .is_raw_history = true};
  static constexpr ChunkChoice kRollups{.find =
                                            "SELECT id, value_count, begin_us FROM rollup_chunks WHERE begin_us<=?1"
                                            " ORDER BY begin_us LIMIT ?2",
                                        .remove = "DELETE FROM rollup_chunks WHERE id=?"};
  RETURN_IF_ERROR(ReadSizes());
  RETURN_IF_ERROR(SetLimits(volume));
  const std::int64_t raw_cutoff = absl::ToUnixMicros(now - options_.keep_raw);
  // The last piece of a chunk ends 6 h behind its begin.
  const std::int64_t cutoff = absl::ToUnixMicros(now - options_.keep) - kRollupChunkUs;
  bool is_too_much = false;
  for (int operation = 0; operation < kMaxOperations; ++operation) {
    if (operation > 0) RETURN_IF_ERROR(ReadSizes());
    const char* reason = "age";
    ASSIGN_OR_RETURN(Forgotten forgotten, Forget(kRaw, raw_cutoff, kMaxChunks));
    if (forgotten.chunks == 0) {
      ASSIGN_OR_RETURN(forgotten, Forget(kRollups, cutoff, kMaxChunks));
    }
    is_too_much = is_too_much || in_use_ > limit_bytes_;
    // A little more than there has to, so that not each move is followed by a deletion.
    if (forgotten.chunks == 0 && is_too_much && in_use_ > limit_bytes_ - limit_bytes_ / 256) {
      reason = is_volume_low_ ? "volume" : "size";
      ASSIGN_OR_RETURN(forgotten, Forget(kRaw, kForever, kMaxChunks / 4));
      if (forgotten.chunks == 0) {
        ASSIGN_OR_RETURN(forgotten, Forget(kRollups, kForever, kMaxChunks / 4));
      }
    }
    if (forgotten.chunks == 0) break;
    Tell(reason, forgotten);
    if (!go_on()) break;
  }
  return absl::OkStatus();
}

void MetricRetention::Tell(std::string_view reason, const Forgotten& forgotten) {
  store_->NoteForgotten(forgotten.chunks);
  store_->observer().pruned(reason, forgotten.values);
}

absl::StatusOr<MetricRetention::Forgotten> MetricRetention::Forget(const ChunkChoice& choice, std::int64_t bound,
                                                                   std::int64_t most) {
  Forgotten forgotten;
  std::int64_t last_us = 0;
  std::vector<std::int64_t> ids;
  RETURN_IF_ERROR(store_->store().Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(choice.find));
    s.Bind(1, bound).Bind(2, most);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, s.Step());
      if (!row) return absl::OkStatus();
      ids.push_back(s.Int64(0));
      forgotten.values += s.Int64(1);
      last_us = s.Int64(2);
    }
  }));
  if (ids.empty()) return forgotten;
  forgotten.chunks = static_cast<std::int64_t>(ids.size());
  RETURN_IF_ERROR(store_->store().writer().Run([&](sqlite::Database& database) -> absl::Status {
    for (const std::int64_t id : ids) {
      RETURN_IF_ERROR(RunBound(database, choice.remove, [&](sqlite::Statement& s) { s.Bind(1, id); }));
    }
    if (!choice.is_raw_history) return absl::OkStatus();
    return RunBound(database, "UPDATE metric_meta SET raw_pruned_us=max(raw_pruned_us, ?)",
                    [&](sqlite::Statement& s) { s.Bind(1, last_us); });
  }));
  return forgotten;
}

absl::Status MetricRetention::Sweep(absl::Time now, absl::FunctionRef<bool()> go_on) {
  std::vector<std::string> deleted;
  RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) -> absl::Status {
    ASSIGN_OR_RETURN(deleted, ReadDeletedTargets(hub, now - options_.keep_deleted));
    return absl::OkStatus();
  }));
  for (const std::string& target_id : deleted) {
    RETURN_IF_ERROR(ForgetTarget(target_id, go_on));
    if (!go_on()) break;
  }
  return absl::OkStatus();
}

absl::Status MetricRetention::ForgetTarget(const std::string& target_id, absl::FunctionRef<bool()> go_on) {
  // The bound is the target's number.
  static constexpr ChunkChoice kRaw{.find = "SELECT id, value_count, last_us FROM raw_chunks WHERE target=?1 LIMIT ?2",
                                    .remove = "DELETE FROM raw_chunks WHERE id=?"};
  static constexpr ChunkChoice kRollups{
      .find = "SELECT id, value_count, begin_us FROM rollup_chunks WHERE target=?1 LIMIT ?2",
      .remove = "DELETE FROM rollup_chunks WHERE id=?"};
  std::optional<MetricTarget> target;
  RETURN_IF_ERROR(store_->store().Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(target, FindMetricTarget(database, target_id));
    return absl::OkStatus();
  }));
  if (!target) return absl::OkStatus();
  for (const ChunkChoice& choice : {kRaw, kRollups}) {
    while (true) {
      ASSIGN_OR_RETURN(const Forgotten forgotten, Forget(choice, target->number, kMaxChunks));
      if (forgotten.chunks == 0) break;
      Tell("deleted", forgotten);
      if (!go_on()) return absl::OkStatus();
    }
  }
  return store_->store().writer().Run([&](sqlite::Database& database) -> absl::Status {
    RETURN_IF_ERROR(RunBound(database, "DELETE FROM metric_positions WHERE target_id=?",
                             [&](sqlite::Statement& s) { s.Bind(1, target_id); }));
    return RunBound(database, "DELETE FROM metric_targets WHERE target_id=?",
                    [&](sqlite::Statement& s) { s.Bind(1, target_id); });
  });
}

}  // namespace muster::hub
