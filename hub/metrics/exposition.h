// Writes one scrape: the fleet, the hub and its process, group by group. A pure function of its input, on any thread.
// The families, their labels and their meaning are in docs/metrics.md.
#ifndef MUSTER_HUB_METRICS_EXPOSITION_H_
#define MUSTER_HUB_METRICS_EXPOSITION_H_

#include <prometheus/metric_family.h>

#include <functional>
#include <optional>
#include <vector>

#include "hub/fleet/exposed.h"
#include "hub/metrics/hub_families.h"
#include "hub/metrics/page_groups.h"
#include "hub/metrics/page_writer.h"
#include "hub/metrics/process_stats.h"

namespace muster::hub {

// Families that another part of the hub writes. Called on any thread; must not wait for a store.
struct PagePart {
  PageGroup group;
  std::function<void(PageWriter&)> write;
};

struct ScrapeInput {
  PageGroups groups = PageGroups::All();
  // Only what the groups need is looked at.
  ExposedFleet fleet = {};
  HubGauges hub = {};
  std::vector<prometheus::MetricFamily> counters = {};
  // Absent where /proc cannot be read.
  std::optional<ProcessStats> process = std::nullopt;
  std::vector<PagePart> parts = {};
};

void WriteExposition(const ScrapeInput& input, PageWriter& page);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_EXPOSITION_H_
