// One machine's newest sample under node_exporter's own names (docs/metrics.md, "Service discovery"), so that stock
// dashboards work for machines that nobody can reach. Pure.
#ifndef MUSTER_HUB_METRICS_TARGET_PAGE_H_
#define MUSTER_HUB_METRICS_TARGET_PAGE_H_

#include "hub/fleet/fleet.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

// Ends the page.
void WriteTargetPage(const Fleet::NamedHost& host, PageWriter& page);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_TARGET_PAGE_H_
