// The newest report of a target about its host, as the fleet keeps it: its bytes for those who ask for one target, and
// the numbers that /metrics shows of all. Plain values; owned by Target.
#ifndef MUSTER_HUB_FLEET_LIVE_HOST_H_
#define MUSTER_HUB_FLEET_LIVE_HOST_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"
#include "hub/fleet/container_states.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Three intervals of sampling: an older sample is not the present.
inline constexpr absl::Duration kHostPresentFor = absl::Seconds(90);

struct HostPresent {
  agent::v1::HostReport report;
  // By the hub's clock.
  absl::Time taken;
};

struct FilesystemNumbers {
  double size = 0;
  double used = 0;
  double available = 0;
  double files = 0;
  double files_free = 0;
  bool is_stuck = false;
};

struct ContainerNumbers {
  double cpu_seconds = 0;
  double memory = 0;
  double memory_limit = 0;  // 0: none
};

// A device's bytes since the machine's boot.
struct DeviceNumbers {
  double in = 0;
  double out = 0;
};

// Seconds, bytes, Unix times. NaN: not known.
struct HostScalars {
  double taken = 0;
  double boot = 0;
  double cpu_usage = 0;
  double load1 = 0;
  double load5 = 0;
  double load15 = 0;
  double memory_total = 0;
  double memory_used = 0;
  double swap_total = 0;
  double swap_used = 0;
  double container_restarts = 0;
  double missing = 0;
  ContainerCounts containers{};
};

struct HostNumbers {
  HostScalars scalars;
  // In the order of the report, without virtual devices.
  std::vector<FilesystemNumbers> filesystems = {};
  std::vector<DeviceNumbers> network = {};
  std::vector<DeviceNumbers> disks = {};
  std::vector<ContainerNumbers> use = {};
};

struct LiveHost {
  // A HostReport, cleaned.
  std::string bytes;
  Instant taken;
  absl::Time taken_wall;
  HostNumbers numbers;
  // Of all names in the report, in their order: labels that were made from reports with the same hash are the same.
  std::size_t names = 0;
};

// `now`: when the heartbeat came.
LiveHost ReadHost(const agent::v1::HostReport& raw, const Moment& now);
agent::v1::HostReport ReportOf(const LiveHost& host);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_LIVE_HOST_H_
