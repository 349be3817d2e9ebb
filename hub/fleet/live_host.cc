#include "hub/fleet/live_host.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "common/time_format.h"
#include "common/virtual_devices.h"
#include "hub/fleet/host_check.h"

namespace muster::hub {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::size_t Mixed(std::size_t hash, std::string_view text) {
  return (hash ^ std::hash<std::string_view>()(text)) * 0x9E3779B97F4A7C15u;
}

double BootOf(const agent::v1::HostReport& report, absl::Time taken) {
  if (report.totals().has_boot_time()) return UnixSeconds(FromProto(report.totals().boot_time()));
  if (report.sample().has_uptime()) return UnixSeconds(taken - FromProto(report.sample().uptime()));
  return kUnknown;
}

HostNumbers NumbersOf(const agent::v1::HostReport& report, absl::Time taken) {
  const agent::v1::HostSample& sample = report.sample();
  HostNumbers numbers;
  numbers.scalars = {
      .taken = UnixSeconds(taken),
      .boot = BootOf(report, taken),
      .cpu_usage = sample.has_cpu_usage_ratio() ? sample.cpu_usage_ratio() : kUnknown,
      .load1 = sample.has_load1() ? sample.load1() : kUnknown,
      .load5 = sample.has_load5() ? sample.load5() : kUnknown,
      .load15 = sample.has_load15() ? sample.load15() : kUnknown,
      // No machine has none.
      .memory_total = sample.memory_total_bytes() > 0 ? static_cast<double>(sample.memory_total_bytes()) : kUnknown,
      .memory_used = sample.memory_used_bytes() > 0 ? static_cast<double>(sample.memory_used_bytes()) : kUnknown,
      .swap_total = sample.has_swap_total_bytes() ? static_cast<double>(sample.swap_total_bytes()) : kUnknown,
      .swap_used = sample.has_swap_used_bytes() ? static_cast<double>(sample.swap_used_bytes()) : kUnknown,
      .container_restarts = static_cast<double>(sample.container_restarts()),
      .missing = static_cast<double>(sample.missing_size()),
  };
  for (const auto& count : sample.containers())
    numbers.scalars.containers[ContainerStateOf(count.state())] += count.count();
  for (const auto& disk : sample.disks()) {
    numbers.filesystems.push_back({.size = static_cast<double>(disk.total_bytes()),
                                   .used = static_cast<double>(disk.used_bytes()),
                                   .available = static_cast<double>(disk.available_bytes()),
                                   .files = static_cast<double>(disk.files()),
                                   .files_free = static_cast<double>(disk.files_free()),
                                   .is_stuck = disk.is_stuck()});
  }
  for (const auto& device : report.totals().network_devices()) {
    if (IsVirtualNetworkDevice(device.device())) continue;
    numbers.network.push_back(
        {.in = static_cast<double>(device.receive_bytes()), .out = static_cast<double>(device.transmit_bytes())});
  }
  for (const auto& device : report.totals().block_devices()) {
    if (IsVirtualBlockDevice(device.device())) continue;
    numbers.disks.push_back(
        {.in = static_cast<double>(device.read_bytes()), .out = static_cast<double>(device.written_bytes())});
  }
  for (const auto& use : report.containers()) {
    numbers.use.push_back({.cpu_seconds = use.cpu_seconds(),
                           .memory = static_cast<double>(use.memory_bytes()),
                           .memory_limit = static_cast<double>(use.memory_limit_bytes())});
  }
  return numbers;
}

std::size_t HashNames(const agent::v1::HostReport& report) {
  std::size_t hash = 0;
  for (const auto& disk : report.sample().disks()) {
    hash = Mixed(Mixed(Mixed(hash, disk.device()), disk.mount_path()), disk.filesystem_type());
  }
  hash = Mixed(hash, "network");
  for (const auto& device : report.totals().network_devices()) hash = Mixed(hash, device.device());
  hash = Mixed(hash, "disks");
  for (const auto& device : report.totals().block_devices()) hash = Mixed(hash, device.device());
  hash = Mixed(hash, "containers");
  for (const auto& use : report.containers()) hash = Mixed(Mixed(hash, use.deployment_key()), use.container());
  return hash;
}

}  // namespace

LiveHost ReadHost(const agent::v1::HostReport& raw, const Moment& now) {
  const agent::v1::HostReport report = CleanHost(raw);
  const absl::Duration age = FromProto(report.age());
  return {.bytes = report.SerializeAsString(),
          .taken = now.monotonic - age,
          .taken_wall = now.wall - age,
          .numbers = NumbersOf(report, now.wall - age),
          .names = HashNames(report)};
}

agent::v1::HostReport ReportOf(const LiveHost& host) {
  agent::v1::HostReport report;
  report.ParseFromString(host.bytes);
  return report;
}

}  // namespace muster::hub
