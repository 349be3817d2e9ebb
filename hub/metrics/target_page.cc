#include "hub/metrics/target_page.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/time_format.h"

namespace muster::hub {
namespace {

using agent::v1::BlockDevice;
using agent::v1::HostSample;
using agent::v1::HostTotals;
using agent::v1::NetworkDevice;

constexpr double kTicksPerSecond = 100;  // USER_HZ
// In the order of /proc/stat and of CpuTimes.
constexpr std::array<std::string_view, 8> kModes = {"user",   "nice", "system",  "idle",
                                                    "iowait", "irq",  "softirq", "steal"};

void Single(PageWriter& page, std::string_view name, FamilyType type, std::string_view help, double value) {
  page.Family(name, type, help);
  page.Sample({}, value);
}

// "Active(anon)" -> "node_memory_Active_anon_bytes", as node_exporter makes it.
std::string MemoryFamily(std::string_view name) {
  std::string family = "node_memory_";
  for (const char c : name) {
    if (c != ')') family += c == '(' ? '_' : c;
  }
  return family + "_bytes";
}

void WriteLoad(const HostSample& sample, PageWriter& page) {
  if (sample.has_load1()) Single(page, "node_load1", FamilyType::kGauge, "1m load average.", sample.load1());
  if (sample.has_load5()) Single(page, "node_load5", FamilyType::kGauge, "5m load average.", sample.load5());
  if (sample.has_load15()) Single(page, "node_load15", FamilyType::kGauge, "15m load average.", sample.load15());
}

void WriteFilesystems(const HostSample& sample, PageWriter& page) {
  struct Row {
    const HostSample::Disk* disk;
    std::string labels;
  };
  std::vector<Row> rows;
  std::set<std::string> seen;
  for (const HostSample::Disk& disk : sample.disks()) {
    std::string labels = fmt::format("{},{},{}", Label("device", disk.device()),
                                     Label("fstype", disk.filesystem_type()), Label("mountpoint", disk.mount_path()));
    // Of names that are cut alike the first stands for all; so below.
    if (seen.insert(labels).second) rows.push_back({.disk = &disk, .labels = std::move(labels)});
  }
  const auto family = [&](std::string_view name, std::string_view help, auto value) {
    page.Family(name, FamilyType::kGauge, help);
    for (const Row& row : rows) {
      if (!row.disk->is_stuck()) page.Sample(row.labels, static_cast<double>(value(*row.disk)));
    }
  };
  using Disk = HostSample::Disk;
  family("node_filesystem_size_bytes", "Filesystem size in bytes.", [](const Disk& d) { return d.total_bytes(); });
  family("node_filesystem_free_bytes", "Filesystem free space in bytes.",
         [](const Disk& d) { return d.total_bytes() - d.used_bytes(); });
  family("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
         [](const Disk& d) { return d.available_bytes(); });
  family("node_filesystem_files", "Filesystem total file nodes.", [](const Disk& d) { return d.files(); });
  family("node_filesystem_files_free", "Filesystem total free file nodes.",
         [](const Disk& d) { return d.files_free(); });
  page.Family("node_filesystem_device_error", FamilyType::kGauge,
              "Whether an error occurred while getting statistics for the given device.");
  for (const Row& row : rows) page.Sample(row.labels, row.disk->is_stuck() ? 1 : 0);
}

// A family for each of `families`, with a sample for each of `devices`.
template <typename Device, typename Families>
void WriteDevices(const google::protobuf::RepeatedPtrField<Device>& devices, std::string_view help,
                  const Families& families, PageWriter& page) {
  std::vector<std::string> labels;
  std::set<std::string> seen;
  for (const Device& device : devices) {
    std::string label = Label("device", device.device());
    labels.push_back(seen.insert(label).second ? std::move(label) : "");
  }
  for (const auto& family : families) {
    page.Family(family.name, family.type, fmt::format(fmt::runtime(help), family.name));
    for (int i = 0; i < devices.size(); ++i) {
      const std::string& label = labels[static_cast<std::size_t>(i)];
      if (!label.empty()) page.Sample(label, family.value(devices[i]));
    }
  }
}

template <typename Device>
struct DeviceFamily {
  std::string_view name;
  FamilyType type;
  double (*value)(const Device&);
};

void WriteNetwork(const HostTotals& totals, PageWriter& page) {
  using Family = DeviceFamily<NetworkDevice>;
  constexpr FamilyType kCounter = FamilyType::kCounter;
  static constexpr std::array<Family, 8> kFamilies = {
      Family{"node_network_receive_bytes_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.receive_bytes()); }},
      Family{"node_network_receive_packets_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.receive_packets()); }},
      Family{"node_network_receive_errs_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.receive_errors()); }},
      Family{"node_network_receive_drop_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.receive_dropped()); }},
      Family{"node_network_transmit_bytes_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.transmit_bytes()); }},
      Family{"node_network_transmit_packets_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.transmit_packets()); }},
      Family{"node_network_transmit_errs_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.transmit_errors()); }},
      Family{"node_network_transmit_drop_total", kCounter,
             [](const NetworkDevice& d) { return static_cast<double>(d.transmit_dropped()); }},
  };
  WriteDevices(totals.network_devices(), "Network device statistic {}.", kFamilies, page);
}

void WriteBlockDevices(const HostTotals& totals, PageWriter& page) {
  using Family = DeviceFamily<BlockDevice>;
  constexpr FamilyType kCounter = FamilyType::kCounter;
  static constexpr std::array<Family, 9> kFamilies = {
      Family{"node_disk_reads_completed_total", kCounter,
             [](const BlockDevice& d) { return static_cast<double>(d.reads_completed()); }},
      Family{"node_disk_read_bytes_total", kCounter,
             [](const BlockDevice& d) { return static_cast<double>(d.read_bytes()); }},
      Family{"node_disk_read_time_seconds_total", kCounter, [](const BlockDevice& d) { return d.read_seconds(); }},
      Family{"node_disk_writes_completed_total", kCounter,
             [](const BlockDevice& d) { return static_cast<double>(d.writes_completed()); }},
      Family{"node_disk_written_bytes_total", kCounter,
             [](const BlockDevice& d) { return static_cast<double>(d.written_bytes()); }},
      Family{"node_disk_write_time_seconds_total", kCounter, [](const BlockDevice& d) { return d.write_seconds(); }},
      Family{"node_disk_io_now", FamilyType::kGauge,
             [](const BlockDevice& d) { return static_cast<double>(d.in_progress()); }},
      Family{"node_disk_io_time_seconds_total", kCounter, [](const BlockDevice& d) { return d.io_seconds(); }},
      Family{"node_disk_io_time_weighted_seconds_total", kCounter,
             [](const BlockDevice& d) { return d.io_weighted_seconds(); }},
  };
  WriteDevices(totals.block_devices(), "Block device statistic {}.", kFamilies, page);
}

void WriteTotals(const HostTotals& totals, PageWriter& page) {
  page.Family("node_cpu_seconds_total", FamilyType::kCounter, "Seconds the CPUs spent in each mode.");
  for (const agent::v1::CpuTimes& cpu : totals.cpus()) {
    const std::string label = Label("cpu", fmt::format("{}", cpu.cpu()));
    for (std::size_t mode = 0; mode < kModes.size() && mode < static_cast<std::size_t>(cpu.ticks_size()); ++mode) {
      page.Sample(label, Label("mode", kModes[mode]),
                  static_cast<double>(cpu.ticks(static_cast<int>(mode))) / kTicksPerSecond);
    }
  }
  std::set<std::string> seen;
  for (const agent::v1::MemoryValue& value : totals.memory()) {
    const std::string family = MemoryFamily(value.name());
    if (!seen.insert(family).second) continue;
    Single(page, family, FamilyType::kGauge, fmt::format("Memory information field {}.", value.name()),
           static_cast<double>(value.bytes()));
  }
  WriteNetwork(totals, page);
  WriteBlockDevices(totals, page);
  if (totals.has_boot_time()) {
    Single(page, "node_boot_time_seconds", FamilyType::kGauge, "Node boot time, in unixtime.",
           UnixSeconds(FromProto(totals.boot_time())));
  }
  // No kernel that tells them has counted none.
  if (totals.context_switches() == 0) return;
  Single(page, "node_context_switches_total", FamilyType::kCounter, "Total number of context switches.",
         static_cast<double>(totals.context_switches()));
  Single(page, "node_intr_total", FamilyType::kCounter, "Total number of interrupts serviced.",
         static_cast<double>(totals.interrupts()));
  Single(page, "node_forks_total", FamilyType::kCounter, "Total number of forks.", static_cast<double>(totals.forks()));
  Single(page, "node_procs_running", FamilyType::kGauge, "Number of processes in runnable state.",
         totals.processes_running());
  Single(page, "node_procs_blocked", FamilyType::kGauge, "Number of processes blocked waiting for I/O to complete.",
         totals.processes_blocked());
}

}  // namespace

void WriteTargetPage(const Fleet::NamedHost& host, PageWriter& page) {
  WriteLoad(host.host.report.sample(), page);
  WriteFilesystems(host.host.report.sample(), page);
  WriteTotals(host.host.report.totals(), page);
  Single(page, "node_time_seconds", FamilyType::kGauge, "Unix time of the sample, by the hub's clock.",
         UnixSeconds(host.host.taken));
  if (!host.machine.kernel().empty()) {
    page.Family("node_uname_info", FamilyType::kGauge, "What uname told of the machine; always 1.");
    page.Sample(fmt::format("{},{},{},{}", Label("machine", host.machine.architecture()),
                            Label("nodename", host.machine.hostname()), Label("release", host.machine.kernel()),
                            Label("sysname", "Linux")),
                1);
  }
  page.Finish();
}

}  // namespace muster::hub
