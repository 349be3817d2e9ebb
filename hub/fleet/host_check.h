// What an agent reports about its host, brought within limits before the hub shows it: nothing is refused, what cannot
// be is left out. Pure; used by Target.
#ifndef MUSTER_HUB_FLEET_HOST_CHECK_H_
#define MUSTER_HUB_FLEET_HOST_CHECK_H_

#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// As many as the wire contract allows (agent.proto). With texts of kMaxNameBytes a report of all of them stays below
// the 1 MiB of its frame, so a target's newest report takes no more than that.
inline constexpr int kMaxHostDisks = 64;
inline constexpr int kMaxHostCpus = 256;
inline constexpr int kMaxHostDevices = 64;
inline constexpr int kMaxHostContainers = 500;
inline constexpr int kMaxHostNodes = 500;
// /proc/meminfo has some 55 lines.
inline constexpr int kMaxHostMemoryValues = 128;
// A line for each thing that could not be read: every disk and some files.
inline constexpr int kMaxHostMissing = 100;
// user, nice, system, idle, iowait, irq, softirq, steal.
inline constexpr int kMaxCpuModes = 8;

// Lists cut to their limits, of entries with the same name the first; texts cut and made valid UTF-8; negative numbers
// are 0, doubles that are no finite number or negative are absent or 0; times within the years 1 to 9999.
agent::v1::HostReport CleanHost(const agent::v1::HostReport& raw);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_HOST_CHECK_H_
