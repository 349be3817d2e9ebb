// Feeds bytes to every parser of /proc, and what they made of them to a sample. Nothing may crash or hang, and what is
// told must be text and numbers that can be put into a frame.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/metrics/host_sample.h"
#include "agent/metrics/mount_choice.h"
#include "agent/metrics/proc_parse.h"
#include "agent/reports.h"
#include "common/text.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

HostReading ReadingOf(std::string_view bytes, absl::Duration at) {
  HostReading reading;
  reading.taken = {.monotonic = Instant::FromDuration(at), .wall = absl::FromUnixSeconds(1'800'000'000)};
  reading.stat = ParseStat(bytes);
  reading.memory = ParseMeminfo(bytes);
  reading.load = ParseLoadavg(bytes);
  reading.uptime = ParseUptime(bytes);
  reading.network_devices = ParseNetDev(bytes);
  reading.block_devices = ParseDiskstats(bytes);
  for (Mount& mount : ChooseMounts(BelowRoot(ParseMountinfo(bytes), "/host")).mounts) {
    reading.filesystems.push_back({.mount = std::move(mount), .size = FilesystemSize()});
  }
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const HostReading before = ReadingOf(bytes.substr(0, size / 2), absl::Seconds(1));
  const HostReading now = ReadingOf(bytes, absl::Seconds(31));
  v1::HostReport report = MakeHostReport(&before, now);
  KeepWithinLimits(&report);
  const v1::HostSample& sample = report.sample();
  Require(report.ByteSizeLong() <= kMaxHostReportBytes);
  Require(sample.cpu_usage_ratio() >= 0 && sample.cpu_usage_ratio() <= 1);
  Require(sample.memory_used_bytes() >= 0 && sample.memory_used_bytes() <= sample.memory_total_bytes());
  Require(sample.network_receive_bytes_per_second() >= 0 && sample.disk_written_bytes_per_second() >= 0);
  for (const v1::HostSample::Disk& disk : sample.disks()) {
    Require(IsValidUtf8(disk.device()) && IsValidUtf8(disk.mount_path()) && IsValidUtf8(disk.filesystem_type()));
  }
  for (const v1::NetworkDevice& device : report.totals().network_devices()) Require(IsValidUtf8(device.device()));
  return 0;
}
