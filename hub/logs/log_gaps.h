// Where lines are missing, and why (docs/logs.md, "Gaps"): from markers, from damaged chunks, from what agents and
// retention gave up. Used by LogScanner and its parts; no state.
#ifndef MUSTER_HUB_LOGS_LOG_GAPS_H_
#define MUSTER_HUB_LOGS_LOG_GAPS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/logs/line_visitor.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"

namespace muster::hub {

// One whose text does not read as a marker's is of reason UNKNOWN.
FoundGap GapOfMarker(const ScanSource& source, const StoredLine& marker, std::string_view text);
FoundGap GapOfDamage(const ScanUnit& unit);

struct StoredGap {
  FoundGap gap;
  // Number of the line that came next.
  std::int64_t line = 0;
};
// Of the whole target, what its agent lost: those that touch the selection's window, and those that came with the
// numbers in (after, up_to]. In any order.
absl::StatusOr<std::vector<StoredGap>> LostByTime(const ScanView& view, const LogSelection& selection);
absl::StatusOr<std::vector<StoredGap>> LostByNumber(const ScanView& view, const LogSelection& selection,
                                                    std::int64_t after, std::int64_t up_to);

// What retention took, for each resource. When it began is not known: both times are its end.
std::vector<FoundGap> PrunedGaps(const ScanView& view, const LogSelection& selection);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_GAPS_H_
