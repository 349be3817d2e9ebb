#include "hub/fleet/exposed.h"

#include <algorithm>

namespace muster::hub {
namespace {

// What a row is made of is spread over the heap: it is on its way while the rows before it are made. First what the
// pointers of a target point to, then what its vectors point to.
constexpr std::size_t kPrefetchAhead = 8;
constexpr std::size_t kPrefetchPartsAhead = 4;

template <typename Element>
void Prefetch(const std::vector<std::shared_ptr<Element>>& elements, std::size_t i) {
  constexpr std::size_t kLineBytes = 64;
  if (i + kPrefetchAhead >= elements.size()) return;
  const char* const next = reinterpret_cast<const char*>(elements[i + kPrefetchAhead].get());
  for (std::size_t at = 0; at < sizeof(Element); at += kLineBytes) __builtin_prefetch(next + at);
}

// Calls with each target that shows a host. `parts`: where its parts begin.
template <typename Call, typename Parts>
void ForEachHost(const ExposedFleet& fleet, Call call, Parts parts) {
  const std::size_t count = fleet.live_hosts.size();
  for (std::size_t i = 0; i < count; ++i) {
    Prefetch(fleet.live_hosts, i);
    Prefetch(fleet.shown, i);
    if (const std::size_t next = i + kPrefetchPartsAhead; next < count && fleet.live_hosts[next] != nullptr) {
      parts(*fleet.shown[next], fleet.live_hosts[next]->numbers);
    }
    if (fleet.live_hosts[i] != nullptr) call(*fleet.shown[i], fleet.live_hosts[i]->numbers);
  }
}

// The parts of one kind of all hosts. Reserved: a growing vector takes twice the memory.
template <typename Numbers>
std::vector<ExposedPart<Numbers>> PartRows(const ExposedFleet& fleet, std::size_t count,
                                           std::vector<std::string_view> ShownTarget::*names,
                                           std::vector<Numbers> HostNumbers::*values) {
  std::vector<ExposedPart<Numbers>> rows;
  rows.reserve(count);
  ForEachHost(
      fleet,
      [&](const ShownTarget& shown, const HostNumbers& numbers) {
        // As many as there are names, unless somebody found two reports with the same hash.
        const std::size_t parts = std::min((shown.*names).size(), (numbers.*values).size());
        for (std::size_t part = 0; part < parts; ++part) {
          const std::string_view name = (shown.*names)[part];
          if (!name.empty()) rows.push_back({shown.target.labels, name, (numbers.*values)[part]});
        }
      },
      [&](const ShownTarget& shown, const HostNumbers& numbers) {
        __builtin_prefetch((shown.*names).data());
        __builtin_prefetch((numbers.*values).data());
      });
  return rows;
}

}  // namespace

void SpreadRows(ExposedFleet* fleet) {
  std::size_t deployments = 0;
  for (std::size_t i = 0; i < fleet->shown.size(); ++i) {
    Prefetch(fleet->shown, i);
    const ShownTarget& shown = *fleet->shown[i];
    deployments += shown.deployments.size();
    fleet->filesystems += shown.filesystems.size();
    fleet->network += shown.network.size();
    fleet->disks += shown.disks.size();
    fleet->containers += shown.containers.size();
  }
  fleet->deployments.reserve(deployments);
  for (std::size_t i = 0; i < fleet->targets.size(); ++i) {
    Prefetch(fleet->shown, i);
    const ShownTarget& shown = *fleet->shown[i];
    ExposedTarget& target = fleet->targets[i];
    target.labels = shown.target.labels;
    target.facts = &shown.target;
    for (const DeploymentLine& facts : shown.deployments) {
      ExposedDeployment row{
          .labels = facts.labels, .facts = &facts, .status = facts.status, .reported = target.reported};
      // Before the first report since the hub's start: when it came into its status.
      const bool has_status = facts.status != types::v1::DEPLOYMENT_STATUS_NO_STATUS;
      if (row.reported == 0 && has_status) row.reported = facts.since;
      row.since = facts.since;
      row.restarts = facts.restarts;
      fleet->deployments.push_back(row);
    }
  }
}

std::vector<ExposedPart<HostScalars>> HostRows(const ExposedFleet& fleet) {
  std::vector<ExposedPart<HostScalars>> rows;
  rows.reserve(fleet.live_hosts.size());
  ForEachHost(
      fleet,
      [&](const ShownTarget& shown, const HostNumbers& numbers) {
        rows.push_back({.labels = shown.target.labels, .more = {}, .numbers = numbers.scalars});
      },
      [](const ShownTarget&, const HostNumbers&) {});
  return rows;
}

std::vector<ExposedPart<FilesystemNumbers>> FilesystemRows(const ExposedFleet& fleet) {
  return PartRows(fleet, fleet.filesystems, &ShownTarget::filesystems, &HostNumbers::filesystems);
}

std::vector<ExposedPart<DeviceNumbers>> NetworkRows(const ExposedFleet& fleet) {
  return PartRows(fleet, fleet.network, &ShownTarget::network, &HostNumbers::network);
}

std::vector<ExposedPart<DeviceNumbers>> DiskRows(const ExposedFleet& fleet) {
  return PartRows(fleet, fleet.disks, &ShownTarget::disks, &HostNumbers::disks);
}

std::vector<ExposedPart<ContainerNumbers>> ContainerRows(const ExposedFleet& fleet) {
  std::vector<ExposedPart<ContainerNumbers>> rows;
  rows.reserve(fleet.containers);
  ForEachHost(
      fleet,
      [&](const ShownTarget& shown, const HostNumbers& numbers) {
        for (const ShownTarget::Container& container : shown.containers) {
          if (container.use >= numbers.use.size()) continue;
          rows.push_back({.labels = shown.deployments[container.deployment].labels,
                          .more = container.label,
                          .numbers = numbers.use[container.use]});
        }
      },
      [](const ShownTarget& shown, const HostNumbers& numbers) {
        __builtin_prefetch(shown.containers.data());
        __builtin_prefetch(shown.deployments.data());
        __builtin_prefetch(numbers.use.data());
      });
  return rows;
}

}  // namespace muster::hub
