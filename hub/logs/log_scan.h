// The scan behind a page (docs/logs.md, "Scan"): units in the order of their ends, what they hold gathers in a heap of
// one page, and is certain when no unit that is left reaches behind it. Used by LogScanner; belongs to one call.
#ifndef MUSTER_HUB_LOGS_LOG_SCAN_H_
#define MUSTER_HUB_LOGS_LOG_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "hub/logs/line_visitor.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {

enum class ScanSort { kOldestFirst, kNewestFirst, kByNumber };

// Where something stands in the order of a scan: keys always rise. (Newest first: both negative. By number: no time.)
using ScanKey = LogCursor;
ScanKey KeyOf(const LogCursor& place, ScanSort sort);
// Of a key that KeyOf made, but for the order by number.
LogCursor PlaceOf(const ScanKey& key, ScanSort sort);
// No line of the unit has a lesser one.
ScanKey BeginOf(const ScanUnit& unit, ScanSort sort);

struct ScanHit {
  ScanKey key;
  // Null: a gap.
  const ScanSource* source = nullptr;
  FoundEntry entry;
};
// Of text.
std::size_t BytesOf(const FoundEntry& entry);

struct ScanQuestion {
  const LogSelection* selection = nullptr;
  ScanSort sort = ScanSort::kOldestFirst;
  // Behind this, up to that.
  std::optional<ScanKey> after = std::nullopt;
  ScanKey up_to = {.time_us = std::numeric_limits<std::int64_t>::max(),
                   .number = std::numeric_limits<std::int64_t>::max()};
  // At least one.
  std::size_t max_hits = 1;
  ScanLimits limits = {};
  Instant began = {};
};

struct ScanFound {
  // By their keys.
  std::vector<ScanHit> hits;
  // All up to here was looked at; absent: all there is.
  std::optional<ScanKey> next;
  ScanReport report;
};

// A page always gets further than `after`, whatever the limits are.
absl::StatusOr<ScanFound> Scan(const ScanQuestion& question, std::vector<ScanUnit> units, UnitReader* reader,
                               const Clock* clock);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_SCAN_H_
