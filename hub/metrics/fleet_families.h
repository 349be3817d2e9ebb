// Writes the families about targets and their deployments, journals, logs and hosts (docs/metrics.md). Pure; no
// allocation per line.
#ifndef MUSTER_HUB_METRICS_FLEET_FAMILIES_H_
#define MUSTER_HUB_METRICS_FLEET_FAMILIES_H_

#include "hub/fleet/exposed.h"
#include "hub/logs/log_counts.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

void WriteDeployments(const ExposedFleet& fleet, PageWriter& page);
void WriteTargets(const ExposedFleet& fleet, PageWriter& page);
void WriteJournals(const ExposedFleet& fleet, PageWriter& page);
void WriteLogs(const ExposedFleet& fleet, PageWriter& page);
void WriteHosts(const ExposedFleet& fleet, PageWriter& page);
void WriteContainers(const ExposedFleet& fleet, PageWriter& page);

// Both are in order of target id.
void AddLogCounts(const LogCountsByTarget& counts, ExposedFleet* fleet);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_FLEET_FAMILIES_H_
