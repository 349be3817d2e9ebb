#include "hub/logs/log_gaps.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "common/status.h"
#include "hub/logs/chunk.h"
#include "hub/logs/log_marker.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {
namespace {

constexpr const char* kUnknownReason = "UNKNOWN";

// GAP_REASON_JOURNAL_FULL: JOURNAL_FULL.
std::string LostReason(int reason) {
  constexpr std::string_view kPrefix = "GAP_REASON_";
  if (reason == agent::v1::GAP_REASON_UNSPECIFIED || !agent::v1::GapReason_IsValid(reason)) return kUnknownReason;
  return agent::v1::GapReason_Name(static_cast<agent::v1::GapReason>(reason)).substr(kPrefix.size());
}

// Columns: reason, from_us, to_us, lines, first_sequence, last_sequence, line.
absl::StatusOr<std::vector<StoredGap>> TakeLost(sqlite::Statement* s) {
  std::vector<StoredGap> gaps;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s->Step());
    if (!row) return gaps;
    gaps.push_back({.gap = {.from_us = s->Int64(1),
                            .to_us = s->Int64(2),
                            .lines = s->Int64(3),
                            .records = s->Int64(5) - s->Int64(4) + 1,
                            .reason = LostReason(s->Int(0)),
                            .resource = "",
                            .number = s->Int64(6)},
                    .line = s->Int64(6)});
  }
}

}  // namespace

FoundGap GapOfMarker(const ScanSource& source, const StoredLine& marker, std::string_view text) {
  const std::int64_t from_us = marker.place.time_us;
  FoundGap gap{.from_us = from_us,
               .to_us = from_us,
               .reason = kUnknownReason,
               .resource = source.resource,
               .number = marker.place.number};
  const std::optional<LogMarker> read = ParseMarker(text);
  if (!read) return gap;
  gap.lines = read->lines;
  gap.reason = std::string(read->reason);
  std::int64_t to_us = 0;
  const bool is_sum = !__builtin_add_overflow(read->to_us, marker.shift_us, &to_us);
  gap.to_us = std::clamp(is_sum ? to_us : kMaxLineTimeUs, from_us, kMaxLineTimeUs);
  return gap;
}

FoundGap GapOfDamage(const ScanUnit& unit) {
  return {.from_us = unit.first_us,
          .to_us = unit.last_us,
          .lines = unit.lines,
          .reason = "CHUNK_DAMAGED",
          .resource = unit.source->resource};
}

absl::StatusOr<std::vector<StoredGap>> LostByTime(const ScanView& view, const LogSelection& selection) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   view.database().Prepare("SELECT reason, from_us, to_us, lines, first_sequence, last_sequence, line"
                                           " FROM log_gaps WHERE target_id=? AND from_us<? AND to_us>=?"));
  s.Bind(1, selection.target_id).Bind(2, selection.to_us).Bind(3, selection.from_us);
  return TakeLost(&s);
}

absl::StatusOr<std::vector<StoredGap>> LostByNumber(const ScanView& view, const LogSelection& selection,
                                                    std::int64_t after, std::int64_t up_to) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   view.database().Prepare("SELECT reason, from_us, to_us, lines, first_sequence, last_sequence, line"
                                           " FROM log_gaps WHERE target_id=? AND line>? AND line<=? AND from_us<?"
                                           " AND to_us>=?"));
  s.Bind(1, selection.target_id).Bind(2, after).Bind(3, up_to).Bind(4, selection.to_us).Bind(5, selection.from_us);
  return TakeLost(&s);
}

std::vector<FoundGap> PrunedGaps(const ScanView& view, const LogSelection& selection) {
  std::map<std::string_view, FoundGap> by_resource;
  for (const ScanSource& source : view.sources()) {
    if (source.pruned_lines == 0 || source.pruned_to_us < selection.from_us) continue;
    FoundGap& gap = by_resource[source.resource];
    gap.from_us = gap.to_us = std::max(gap.to_us, source.pruned_to_us);
    gap.lines += source.pruned_lines;
  }
  std::vector<FoundGap> gaps;
  for (auto& [resource, gap] : by_resource) {
    gap.reason = "RETENTION";
    gap.resource = std::string(resource);
    gaps.push_back(std::move(gap));
  }
  return gaps;
}

}  // namespace muster::hub
