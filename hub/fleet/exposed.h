// What /metrics shows of the fleet: rows of plain numbers, copied out of the live fleet target by target, and views of
// their labels. In order of target id, deployments by key: the same before and after a restart. Filled by
// Fleet::Expose, owned by the reader, who needs no lock.
#ifndef MUSTER_HUB_FLEET_EXPOSED_H_
#define MUSTER_HUB_FLEET_EXPOSED_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "hub/fleet/container_states.h"
#include "hub/fleet/live_host.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// In all of them labels are escaped, without braces; times are Unix times in seconds; NaN: not known.

// What changes rarely about a target. Made at a scrape, shared by all scrapes until something in it changes.
struct TargetLine {
  std::string_view id;
  std::string_view labels;
  // The labels without the id. `is_cut`: another target may have the same.
  std::string_view place;
  bool is_cut = false;
  // Further labels; empty: not known.
  std::string_view agent;
  std::string_view machine;
  double cpu_cores = 0;
  double memory = 0;
};

struct DeploymentLine {
  std::string_view labels;
  std::string_view info;  // further labels
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  double since = 0;
  double restarts = 0;
  std::array<std::int32_t, kContainerStates.size()> containers{};
};

struct ShownTarget {
  struct Container {
    std::uint32_t deployment = 0;
    std::uint32_t use = 0;  // in HostNumbers
    std::string_view label;
  };
  // All label texts, one behind the other: what the views below are views of.
  std::string text;
  TargetLine target;
  std::vector<DeploymentLine> deployments;
  // Of the host's parts, in the order of HostNumbers; empty: of names that were cut alike not the first. Made from a
  // report with these names.
  std::size_t host_names = 0;
  std::vector<std::string_view> filesystems;
  std::vector<std::string_view> network;
  std::vector<std::string_view> disks;
  std::vector<Container> containers;
};

struct ExposedJournal {
  double records = 0;
  double bytes = 0;
  double capacity = 0;
  double oldest_age = 0;
  double newest_applied = 0;
  double dropped = 0;
  double poisoned = 0;
  double gap_records = 0;
  double duplicate_records = 0;
};

struct ExposedTarget {
  std::string_view labels;
  const TargetLine* facts = nullptr;
  types::v1::TargetState state = types::v1::TARGET_STATE_NOT_CONNECTED;
  bool has_session = false;
  bool has_observer_fault = false;
  bool has_identity_warning = false;
  bool has_journal = false;
  bool has_journal_fault = false;
  double state_since = 0;
  double last_seen = 0;  // 0: never
  // When its deployments were last reported; 0: never.
  double reported = 0;
  double omitted = 0;
  double round_trip = 0;
  double clock_skew = 0;
  ExposedJournal journal = {};
  double log_lines = 0;
  double log_lines_rate_dropped = 0;
};

// Log lines of a target that are missing for another reason than its rate.
struct ExposedLogDrop {
  std::size_t target = 0;
  std::string reason;
  double lines = 0;
};

struct ExposedDeployment {
  std::string_view labels;
  const DeploymentLine* facts = nullptr;
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  double reported = 0;  // 0: never
  double since = 0;
  double restarts = 0;
};

// A host, or a part of one or of a deployment. With the numbers inside: a family after the other reads them.
template <typename Numbers>
struct ExposedPart {
  std::string_view labels;
  std::string_view more;  // further labels; empty: none
  Numbers numbers;
};

struct ExposedFleet {
  absl::Time taken;
  // Read from the hub's files by another process: what only its memory has is not known.
  bool is_from_files = false;
  std::vector<ExposedTarget> targets;
  std::vector<ExposedDeployment> deployments;
  std::vector<ExposedLogDrop> log_drops;  // in order of target
  // At most so many rows has each kind of part.
  std::size_t filesystems = 0;
  std::size_t network = 0;
  std::size_t disks = 0;
  std::size_t containers = 0;
  // Of each target; what all of the above points into. A host that is not shown
  // is null.
  std::vector<std::shared_ptr<const ShownTarget>> shown;
  std::vector<std::shared_ptr<const LiveHost>> live_hosts;
};

// Once targets and shown are there: the rest.
void SpreadRows(ExposedFleet* fleet);

// Made of live_hosts when they are written, one kind after the other: all of them at once would be most of a scrape's
// memory. Views into the fleet.
std::vector<ExposedPart<HostScalars>> HostRows(const ExposedFleet& fleet);
std::vector<ExposedPart<FilesystemNumbers>> FilesystemRows(const ExposedFleet& fleet);
std::vector<ExposedPart<DeviceNumbers>> NetworkRows(const ExposedFleet& fleet);
std::vector<ExposedPart<DeviceNumbers>> DiskRows(const ExposedFleet& fleet);
std::vector<ExposedPart<ContainerNumbers>> ContainerRows(const ExposedFleet& fleet);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_EXPOSED_H_
