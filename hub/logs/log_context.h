// Lines beside the hits of a page (docs/logs.md, "Context"): of the hit's source, without filter. A line is shown once,
// however many hits and pages it stands beside. Used by LogScanner; belongs to one call.
#ifndef MUSTER_HUB_LOGS_LOG_CONTEXT_H_
#define MUSTER_HUB_LOGS_LOG_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/logs/line_visitor.h"
#include "hub/logs/log_scan.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {

class ContextFinder {
 public:
  // Chunks that are kept decompressed, some 0.6 MiB each: hits of one source are mostly in the same one.
  static constexpr std::size_t kKeptUnits = 4;

  // `lines` on either side. All outlive it.
  ContextFinder(const ScanQuestion& question, const ScanView& view, UnitReader* reader, std::size_t lines)
      : question_(question), view_(view), reader_(reader), lines_(lines), kinds_(*question.selection) {}

  // Appends what stands beside a hit and was not appended before, in any order. Every hit of the page in its order.
  absl::Status AddBeside(const ScanHit& hit, std::vector<ScanHit>* context);

 private:
  // A chunk in memory; its lines are told by their indexes.
  struct OpenUnit {
    std::int64_t first_line = 0;
    std::string text;
    std::vector<std::size_t> begins;
    // Without markers, in the order of their places.
    std::vector<StoredLine> in_order;
    std::vector<std::size_t> indexes;

    // With its newline.
    std::string_view TextOf(std::size_t index) const;
  };
  struct Neighbour {
    StoredLine line;
    // With its newline.
    std::string_view text;
    std::shared_ptr<const OpenUnit> unit;
  };

  // So many lines of a source that follow `place` in this direction, nearest first; fewer when there are no more.
  absl::StatusOr<std::vector<Neighbour>> Walk(const ScanSource& source, const LogCursor& place, ScanSort direction,
                                              std::size_t count);
  absl::StatusOr<const std::vector<ScanUnit>*> UnitsOf(const ScanSource& source, ScanSort direction);
  // Null: damaged.
  absl::StatusOr<std::shared_ptr<const OpenUnit>> Open(const ScanUnit& unit);
  bool IsHit(const Neighbour& neighbour) const;

  const ScanQuestion& question_;
  const ScanView& view_;
  UnitReader* const reader_;
  const std::size_t lines_;
  const KindFilter kinds_;
  // By source, in either direction.
  absl::flat_hash_map<std::int64_t, std::vector<ScanUnit>> forward_;
  absl::flat_hash_map<std::int64_t, std::vector<ScanUnit>> backward_;
  // Last used first.
  std::list<std::shared_ptr<const OpenUnit>> open_;
  std::set<LogCursor> shown_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_CONTEXT_H_
