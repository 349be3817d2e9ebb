#include "hub/samples/sample_rows.h"

#include "common/status.h"

namespace muster::hub {
namespace {

WaitingSample RowOf(const sqlite::Statement& s) {
  return {.at_us = s.Int64(0), .epoch = s.Text(1), .sequence = s.Int64(2), .sample = s.Text(3)};
}

absl::StatusOr<std::int64_t> EnsureTarget(sqlite::Database& metrics, const SampleMove& move) {
  RETURN_IF_ERROR(RunBound(metrics,
                           "INSERT INTO metric_targets(target_id, newest_us) VALUES(?1,?2) ON CONFLICT(target_id)"
                           " DO UPDATE SET newest_us=max(newest_us, ?2)",
                           [&](sqlite::Statement& s) { s.Bind(1, move.target_id).Bind(2, move.newest_us); }));
  ASSIGN_OR_RETURN(const std::optional<MetricTarget> target, FindMetricTarget(metrics, move.target_id));
  if (!target) return MakeError(absl::StatusCode::kInternal, "INTERNAL", "a target that was stored is not there");
  return target->number;
}

absl::Status StorePositions(sqlite::Database& metrics, const SampleMove& move, absl::Time now) {
  bool is_new = false;
  for (const auto& position : move.positions) {
    // No structured binding: clang 14 takes none into a lambda.
    const auto& epoch = position.first;
    const auto& sequence = position.second;
    RETURN_IF_ERROR(RunBound(
        metrics,
        "UPDATE metric_positions SET sequence=max(sequence, ?3), touched_us=?4 WHERE target_id=?1 AND epoch=?2",
        [&](sqlite::Statement& s) { s.Bind(1, move.target_id).Bind(2, epoch).Bind(3, sequence).Bind(4, now); }));
    if (metrics.Changes() > 0) continue;
    is_new = true;
    RETURN_IF_ERROR(RunBound(
        metrics, "INSERT INTO metric_positions(target_id, epoch, sequence, touched_us) VALUES(?1,?2,?3,?4)",
        [&](sqlite::Statement& s) { s.Bind(1, move.target_id).Bind(2, epoch).Bind(3, sequence).Bind(4, now); }));
  }
  if (!is_new) return absl::OkStatus();
  return RunBound(metrics,
                  "DELETE FROM metric_positions WHERE target_id=?1 AND touched_us<(SELECT touched_us FROM"
                  " metric_positions WHERE target_id=?1 ORDER BY touched_us DESC LIMIT 1 OFFSET ?2)",
                  [&](sqlite::Statement& s) { s.Bind(1, move.target_id).Bind(2, kKeptMetricPositions - 1); });
}

}  // namespace

absl::StatusOr<std::string> NextWaitingTarget(sqlite::Database& hub, std::string_view id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   hub.Prepare("SELECT target_id FROM host_samples WHERE target_id>? ORDER BY target_id LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, id).Step());
  return row ? s.Text(0) : "";
}

absl::StatusOr<WaitingCount> CountWaiting(sqlite::Database& hub, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s, hub.Prepare("SELECT count(*), min(at_us) FROM host_samples WHERE target_id=?"));
  RETURN_IF_ERROR(s.Bind(1, target_id).Step().status());
  WaitingCount count{.samples = s.Int64(0), .oldest_us = {}};
  if (count.samples > 0) count.oldest_us = s.Int64(1);
  return count;
}

absl::Status VisitWaiting(sqlite::Database& hub, std::string_view target_id, std::int64_t from_us, std::int64_t to_us,
                          std::int64_t limit, absl::FunctionRef<absl::Status(WaitingSample)> visit) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   hub.Prepare("SELECT at_us, epoch, sequence, sample FROM host_samples WHERE target_id=?1"
                               " AND at_us>=?2 AND at_us<?3 ORDER BY at_us, epoch, sequence LIMIT ?4"));
  s.Bind(1, target_id).Bind(2, from_us).Bind(3, to_us).Bind(4, limit);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    RETURN_IF_ERROR(visit(RowOf(s)));
  }
}

absl::StatusOr<std::optional<WaitingSample>> ReadNewestWaiting(sqlite::Database& hub, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   hub.Prepare("SELECT at_us, epoch, sequence, sample FROM host_samples WHERE target_id=?"
                               " ORDER BY at_us DESC, epoch DESC, sequence DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Step());
  return row ? std::optional(RowOf(s)) : std::nullopt;
}

absl::Status DeleteWaiting(sqlite::Database& hub, std::string_view target_id, const std::vector<WaitingSample>& rows) {
  for (const WaitingSample& row : rows) {
    RETURN_IF_ERROR(RunBound(hub, "DELETE FROM host_samples WHERE target_id=? AND at_us=? AND epoch=? AND sequence=?",
                             [&](sqlite::Statement& s) {
                               s.Bind(1, target_id).Bind(2, row.at_us).Bind(3, row.epoch).Bind(4, row.sequence);
                             }));
  }
  return absl::OkStatus();
}

absl::StatusOr<SamplePositions> ReadSamplePositions(sqlite::Database& metrics, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   metrics.Prepare("SELECT epoch, sequence FROM metric_positions WHERE target_id=?"));
  s.Bind(1, target_id);
  SamplePositions positions;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return positions;
    positions[s.Text(0)] = s.Int64(1);
  }
}

absl::StatusOr<std::optional<MetricTarget>> FindMetricTarget(sqlite::Database& metrics, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   metrics.Prepare("SELECT number, newest_us FROM metric_targets WHERE target_id=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Step());
  if (!row) return std::nullopt;
  return MetricTarget{.number = s.Int64(0), .newest_us = s.Int64(1)};
}

absl::StatusOr<std::optional<std::string>> ReadRollupChunk(sqlite::Database& metrics, std::int64_t target,
                                                           std::int64_t begin_us) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   metrics.Prepare("SELECT data FROM rollup_chunks WHERE target=? AND begin_us=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target).Bind(2, begin_us).Step());
  return row ? std::optional(s.Text(0)) : std::nullopt;
}

absl::StatusOr<std::optional<RollupChunkRow>> ReadNewestRollupChunk(sqlite::Database& metrics, std::int64_t target) {
  ASSIGN_OR_RETURN(sqlite::Statement s, metrics.Prepare("SELECT begin_us, value_count, data FROM rollup_chunks"
                                                        " WHERE target=? ORDER BY begin_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target).Step());
  if (!row) return std::nullopt;
  return RollupChunkRow{.begin_us = s.Int64(0), .values = s.Int64(1), .data = s.Text(2)};
}

absl::StatusOr<std::optional<std::string>> ReadNewestRawChunk(sqlite::Database& metrics, std::int64_t target) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      metrics.Prepare("SELECT data FROM raw_chunks WHERE target=? ORDER BY last_us DESC, first_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target).Step());
  return row ? std::optional(s.Text(0)) : std::nullopt;
}

absl::Status VisitRawChunks(sqlite::Database& metrics, std::int64_t target, std::int64_t from_us, std::int64_t to_us,
                            absl::FunctionRef<absl::Status(const std::string& data)> visit) {
  ASSIGN_OR_RETURN(sqlite::Statement s, metrics.Prepare("SELECT data FROM raw_chunks WHERE target=?1 AND last_us>=?2"
                                                        " AND first_us<?3 ORDER BY last_us, first_us"));
  s.Bind(1, target).Bind(2, from_us).Bind(3, to_us);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    RETURN_IF_ERROR(visit(s.Text(0)));
  }
}

absl::Status VisitRollupChunks(sqlite::Database& metrics, std::int64_t target, std::int64_t from_us, std::int64_t to_us,
                               absl::FunctionRef<absl::Status(std::int64_t begin_us, const std::string& data)> visit) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   metrics.Prepare("SELECT begin_us, data FROM rollup_chunks WHERE target=?1 AND begin_us>=?2"
                                   " AND begin_us<?3 ORDER BY begin_us"));
  s.Bind(1, target).Bind(2, from_us).Bind(3, to_us);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    RETURN_IF_ERROR(visit(s.Int64(0), s.Text(1)));
  }
}

absl::StatusOr<std::int64_t> ReadRawPruned(sqlite::Database& metrics) {
  ASSIGN_OR_RETURN(sqlite::Statement s, metrics.Prepare("SELECT raw_pruned_us FROM metric_meta"));
  ASSIGN_OR_RETURN(const bool row, s.Step());
  return row ? s.Int64(0) : 0;
}

absl::StatusOr<std::int64_t> CountChunks(sqlite::Database& metrics) {
  ASSIGN_OR_RETURN(sqlite::Statement s, metrics.Prepare("SELECT (SELECT count(*) FROM raw_chunks)"
                                                        " + (SELECT count(*) FROM rollup_chunks)"));
  RETURN_IF_ERROR(s.Step().status());
  return s.Int64(0);
}

absl::StatusOr<std::int64_t> StoreMove(sqlite::Database& metrics, const SampleMove& move, absl::Time now) {
  RETURN_IF_ERROR(StorePositions(metrics, move, now));
  if (move.raw.empty()) return 0;
  ASSIGN_OR_RETURN(const std::int64_t target, EnsureTarget(metrics, move));
  auto added = static_cast<std::int64_t>(move.raw.size());
  for (const RawChunkRow& chunk : move.raw) {
    RETURN_IF_ERROR(RunBound(metrics,
                             "INSERT INTO raw_chunks(target, first_us, last_us, value_count, data) VALUES(?,?,?,?,?)",
                             [&](sqlite::Statement& s) {
                               s.Bind(1, target).Bind(2, chunk.first_us).Bind(3, chunk.last_us).Bind(4, chunk.values);
                               s.BindBlob(5, chunk.data.data(), chunk.data.size());
                             }));
  }
  for (const RollupChunkRow& chunk : move.rollups) {
    const auto bind = [&](sqlite::Statement& s) {
      s.Bind(1, target).Bind(2, chunk.begin_us).Bind(3, chunk.values);
      s.BindBlob(4, chunk.data.data(), chunk.data.size());
    };
    RETURN_IF_ERROR(
        RunBound(metrics, "UPDATE rollup_chunks SET value_count=?3, data=?4 WHERE target=?1 AND begin_us=?2", bind));
    if (metrics.Changes() > 0) continue;
    ++added;
    RETURN_IF_ERROR(
        RunBound(metrics, "INSERT INTO rollup_chunks(target, begin_us, value_count, data) VALUES(?1,?2,?3,?4)", bind));
  }
  return added;
}

}  // namespace muster::hub
