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
  // The other families of the fleet are in a running hub's memory alone.
  const auto live = [&](PageGroup wanted, auto write) {
    if (!fleet.is_from_files) group(wanted, [&] { write(fleet, page); });
  };
  live(PageGroup::kJournals, WriteJournals);
  live(PageGroup::kLogs, WriteLogs);
  live(PageGroup::kHost, WriteHosts);
  live(PageGroup::kContainers, WriteContainers);
  group(PageGroup::kJobs, [] {});
  group(PageGroup::kHub, [&] {
    WriteHubFacts(input.hub, page);
    if (!fleet.is_from_files) WriteHubGauges(input.hub, page);
    WriteHubCounters(input.counters, page);
  });
  group(PageGroup::kProcess, [&] {
    if (input.process) WriteProcess(*input.process, page);
  });
}

}  // namespace muster::hub
