// Which of a host's mounts stand for its block devices (docs/host-metrics.md, "Collection"). Pure functions.
#ifndef MUSTER_AGENT_METRICS_MOUNT_CHOICE_H_
#define MUSTER_AGENT_METRICS_MOUNT_CHOICE_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "agent/metrics/proc_parse.h"

namespace muster::agent {

// In a sample; a host with more has them for its containers, and the shortest paths are its own.
inline constexpr std::size_t kMaxFilesystems = 64;

struct MountChoice {
  // One for each device, by device.
  std::vector<Mount> mounts;
  // Beyond kMaxFilesystems.
  std::size_t omitted = 0;
};

// `mounts` in the kernel's order.
MountChoice ChooseMounts(const std::vector<Mount>& mounts);

// Types without a device behind them, or with one that cannot be written.
bool IsLeftOutType(std::string_view type);
// Mount points of the machine's own making.
bool IsLeftOutPath(std::string_view path);

// What a process with its root elsewhere sees, as the host has it: mounts below `root`, without it. "": all.
std::vector<Mount> BelowRoot(std::vector<Mount> mounts, std::string_view root);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_MOUNT_CHOICE_H_
