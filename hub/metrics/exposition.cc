#include "hub/metrics/exposition.h"

#include "hub/metrics/fleet_families.h"

namespace muster::hub {

void WriteExposition(const ScrapeInput& input, PageWriter& page) {
  const auto group = [&](PageGroup wanted, auto write) {
    if (!input.groups.Has(wanted)) return;
    write();
    for (const PagePart& part : input.parts) {
      if (part.group == wanted) part.write(page);
    }
  };
  const ExposedFleet& fleet = input.fleet;
  group(PageGroup::kDeployments, [&] { WriteDeployments(fleet, page); });
  group(PageGroup::kTargets, [&] { WriteTargets(fleet, page); });
  group(PageGroup::kJournals, [&] { WriteJournals(fleet, page); });
  group(PageGroup::kLogs, [&] { WriteLogs(fleet, page); });
  group(PageGroup::kHost, [&] { WriteHosts(fleet, page); });
  group(PageGroup::kContainers, [&] { WriteContainers(fleet, page); });
  group(PageGroup::kJobs, [] {});
  group(PageGroup::kHub, [&] {
    WriteHubGauges(input.hub, page);
    WriteHubCounters(input.counters, page);
  });
  group(PageGroup::kProcess, [&] {
    if (input.process) WriteProcess(*input.process, page);
  });
}

}  // namespace muster::hub
