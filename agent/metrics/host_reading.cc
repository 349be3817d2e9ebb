#include "agent/metrics/host_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/metrics/host_sample.h"
#include "agent/metrics/mount_choice.h"
#include "agent/present.h"
#include "common/text.h"
#include "common/virtual_devices.h"

namespace muster::agent {
namespace {

std::optional<std::string> ReadProc(const HostFiles& files, const std::string& path, std::size_t max_bytes) {
  auto content = files.Read(path, max_bytes);
  if (!content.ok()) return std::nullopt;
  return *std::move(content);
}

std::string ReadOrEmpty(const HostFiles& files, const std::string& path) {
  return ReadProc(files, path, kMaxProcBytes).value_or("");
}

void ReadNetwork(const HostFiles& files, HostReading& reading) {
  // The agent's own network may be a container's.
  std::optional<std::string> text = ReadProc(files, "/proc/1/net/dev", kMaxProcBytes);
  if (!text.has_value()) text = ReadProc(files, "/proc/net/dev", kMaxProcBytes);
  if (text.has_value()) reading.network_devices = ParseNetDev(*text);
  if (!text.has_value() || reading.network_devices->empty()) {
    reading.network_devices.reset();
    reading.missing.emplace_back("network");
    return;
  }
  for (const NetCounters& device : *reading.network_devices) {
    const bool may_be_one = !IsVirtualNetworkDevice(device.device) && device.device.find('/') == std::string::npos;
    if (may_be_one && !files.List("/sys/class/net/" + device.device + "/bonding_slave").empty()) {
      reading.bond_slaves.insert(device.device);
    }
  }
}

void ReadBlockDevices(const HostFiles& files, HostReading& reading) {
  std::set<std::string> whole;
  for (std::string name : files.List("/sys/block")) {
    // sysfs has "cciss!c0d0" for what everybody else calls "cciss/c0d0".
    std::replace(name.begin(), name.end(), '!', '/');
    whole.insert(std::move(name));
  }
  const std::optional<std::string> text = ReadProc(files, "/proc/diskstats", kMaxProcBytes);
  if (!text.has_value() || whole.empty()) {
    reading.missing.emplace_back("disk I/O");
    return;
  }
  reading.block_devices = ParseDiskstats(*text);
  std::erase_if(*reading.block_devices, [&](const DiskCounters& disk) { return !whole.contains(disk.device); });
}

std::optional<MountChoice> ReadMounts(const HostFiles& files, const std::string& root) {
  if (const auto text = ReadProc(files, "/proc/1/mountinfo", kMaxMountinfoBytes); text.has_value() && !text->empty()) {
    return ChooseMounts(ParseMountinfo(*text));
  }
  const auto own = ReadProc(files, "/proc/self/mountinfo", kMaxMountinfoBytes);
  if (!own.has_value()) return std::nullopt;
  return ChooseMounts(BelowRoot(ParseMountinfo(*own), root));
}

void ReadFilesystems(const HostFiles& files, FilesystemProbe* probe, const std::string& root, HostReading& reading) {
  std::optional<MountChoice> choice = ReadMounts(files, root);
  if (!choice.has_value()) {
    reading.missing.emplace_back("filesystems");
    return;
  }
  std::vector<std::string> paths;
  paths.reserve(choice->mounts.size());
  for (const Mount& mount : choice->mounts) paths.push_back(root + mount.mount_path);
  const auto sizes = probe->Look(paths);
  for (Mount& mount : choice->mounts) {
    const absl::StatusOr<FilesystemSize>& size = sizes.at(root + mount.mount_path);
    // Unmounted meanwhile.
    if (absl::IsNotFound(size.status())) continue;
    if (size.ok() && size->total_bytes == 0) continue;
    if (!size.ok()) {
      reading.missing.push_back(fmt::format("filesystem {}", CleanUtf8(mount.mount_path, kMaxNameBytes)));
    }
    if (!size.ok() && !absl::IsDeadlineExceeded(size.status())) continue;
    reading.filesystems.push_back({.mount = std::move(mount), .size = size.ok() ? std::optional(*size) : std::nullopt});
  }
  if (choice->omitted > 0) reading.missing.push_back(fmt::format("{} more filesystems", choice->omitted));
}

}  // namespace

HostReading ReadHost(const HostFiles& files, FilesystemProbe* probe, const std::string& root, Moment now) {
  HostReading reading;
  reading.taken = now;
  reading.stat = ParseStat(ReadOrEmpty(files, "/proc/stat"));
  if (!reading.stat.all.has_value()) reading.missing.emplace_back("cpu");
  reading.memory = ParseMeminfo(ReadOrEmpty(files, "/proc/meminfo"));
  reading.load = ParseLoadavg(ReadOrEmpty(files, "/proc/loadavg"));
  if (!reading.load.has_value()) reading.missing.emplace_back("load");
  reading.uptime = ParseUptime(ReadOrEmpty(files, "/proc/uptime"));
  if (!reading.uptime.has_value()) reading.missing.emplace_back("uptime");
  ReadNetwork(files, reading);
  ReadBlockDevices(files, reading);
  ReadFilesystems(files, probe, root, reading);
  return reading;
}

}  // namespace muster::agent
