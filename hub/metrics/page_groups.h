// The parts of the page that a scrape may ask for or leave out: collect[]=host&collect[]=jobs, or exclude[]=logs
// (docs/metrics.md, "Filters").
#ifndef MUSTER_HUB_METRICS_PAGE_GROUPS_H_
#define MUSTER_HUB_METRICS_PAGE_GROUPS_H_

#include <string_view>

#include "absl/status/statusor.h"

namespace muster::hub {

// Those of the fleet first.
enum class PageGroup { kDeployments, kTargets, kJournals, kLogs, kHost, kContainers, kJobs, kHub, kProcess };
inline constexpr int kPageGroups = 9;

class PageGroups {
 public:
  static constexpr PageGroups All() { return PageGroups((1u << kPageGroups) - 1); }
  static constexpr PageGroups FromBits(unsigned bits) { return PageGroups(bits); }
  constexpr PageGroups() = default;

  constexpr bool Has(PageGroup group) const { return (bits_ >> static_cast<unsigned>(group) & 1u) != 0; }
  constexpr PageGroups With(PageGroup group) const { return PageGroups(bits_ | 1u << static_cast<unsigned>(group)); }
  constexpr PageGroups Without(PageGroups others) const { return PageGroups(bits_ & ~others.bits_); }
  // Whether rows of the fleet are shown.
  constexpr bool NeedsFleet() const {
    return (bits_ & ((1u << (static_cast<unsigned>(PageGroup::kContainers) + 1)) - 1)) != 0;
  }
  constexpr unsigned bits() const { return bits_; }

 private:
  constexpr explicit PageGroups(unsigned bits) : bits_(bits) {}
  unsigned bits_ = 0;
};

// Of the query of a request, not decoded. INVALID_ARGUMENT "BAD_FILTER" for a name that is no group, and for both
// parameters at once. Other parameters are nobody's business.
absl::StatusOr<PageGroups> ReadPageGroups(std::string_view query);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_PAGE_GROUPS_H_
