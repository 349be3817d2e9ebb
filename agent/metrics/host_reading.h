// One reading of everything that a host counts, from its /proc, /sys and filesystems. What could not be read is absent
// and named in `missing`.
#ifndef MUSTER_AGENT_METRICS_HOST_READING_H_
#define MUSTER_AGENT_METRICS_HOST_READING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/metrics/filesystem_probe.h"
#include "agent/metrics/host_files.h"
#include "agent/metrics/proc_parse.h"
#include "common/clock.h"

namespace muster::agent {

// /proc/stat has a number for each of thousands of interrupts; a /proc/net/dev has 200 bytes for each device.
inline constexpr std::size_t kMaxProcBytes = 4 * 1024 * 1024;
// 5,000 mounts of containers whose layers take 3 KiB each.
inline constexpr std::size_t kMaxMountinfoBytes = 16 * 1024 * 1024;

struct FilesystemReading {
  Mount mount;
  // Nullopt: it is stuck.
  std::optional<FilesystemSize> size;
};

struct HostReading {
  // Of the counters; filesystems are asked afterwards.
  Moment taken;
  ProcStat stat;
  std::map<std::string, std::int64_t, std::less<>> memory;
  std::optional<LoadAverages> load;
  std::optional<absl::Duration> uptime;
  std::optional<std::vector<NetCounters>> network_devices;
  // Devices behind a bond: the bond counts the same bytes.
  std::set<std::string> bond_slaves;
  // Whole devices only.
  std::optional<std::vector<DiskCounters>> block_devices;
  std::vector<FilesystemReading> filesystems;
  std::vector<std::string> missing;
};

// Blocks for as long as FilesystemProbe::Look does. `root`: where the host's "/" is; "" is this machine.
HostReading ReadHost(const HostFiles& files, FilesystemProbe* probe, const std::string& root, Moment now);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_HOST_READING_H_
