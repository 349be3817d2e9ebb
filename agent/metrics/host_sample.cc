#include "agent/metrics/host_sample.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/present.h"
#include "agent/reports.h"
#include "common/text.h"
#include "common/time_format.h"
#include "common/virtual_devices.h"

namespace muster::agent {
namespace {

constexpr std::int64_t kSectorBytes = 512;
// Names of kernels are 15 bytes long; what is longer was never one.
constexpr std::size_t kMaxDeviceBytes = 64;
constexpr std::size_t kMaxTypeBytes = 64;
// Of tag and length around a member of a list.
constexpr std::size_t kFieldOverheadBytes = 8;

// Of /proc/meminfo, as docs/host-metrics.md lists them.
constexpr std::array<std::string_view, 26> kMemoryNames = {
    "MemTotal",     "MemFree",     "MemAvailable", "Buffers",     "Cached",
    "SwapCached",   "Active",      "Inactive",     "SwapTotal",   "SwapFree",
    "Dirty",        "Writeback",   "AnonPages",    "Mapped",      "Shmem",
    "KReclaimable", "Slab",        "SReclaimable", "SUnreclaim",  "KernelStack",
    "PageTables",   "CommitLimit", "Committed_AS", "VmallocUsed", "HardwareCorrupted",
    "Unevictable"};

bool StartsWithAny(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [text](std::string_view p) { return text.starts_with(p); });
}

std::int64_t Sum(std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return a > kMax - b ? kMax : a + b;
}

std::int64_t Bytes(std::int64_t sectors) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return std::min(sectors, kMax / kSectorBytes) * kSectorBytes;
}

// Not below 0: the device was plugged in anew, or the counter is 32 bits wide and began again.
std::int64_t Rise(std::int64_t before, std::int64_t now) { return std::max<std::int64_t>(0, now - before); }

std::optional<std::int64_t> Find(const HostReading& reading, std::string_view name) {
  const auto it = reading.memory.find(name);
  if (it == reading.memory.end()) return std::nullopt;
  return it->second;
}

std::optional<double> CpuUsage(const CpuTicks& before, const CpuTicks& now) {
  double all = 0;
  double unused = 0;
  for (std::size_t i = 0; i < kCpuColumns; ++i) {
    const auto rise = static_cast<double>(Rise(before.columns[i], now.columns[i]));
    all += rise;
    if (i == kIdle || i == kIowait || i == kSteal) unused += rise;
  }
  if (all <= 0) return std::nullopt;
  return 1 - unused / all;
}

std::optional<std::int64_t> AvailableMemory(const HostReading& reading) {
  if (const auto available = Find(reading, "MemAvailable")) return available;
  const auto free = Find(reading, "MemFree");
  if (!free.has_value()) return std::nullopt;
  std::int64_t all = *free;
  for (const std::string_view name : {"Buffers", "Cached", "SReclaimable"}) {
    all = Sum(all, Find(reading, name).value_or(0));
  }
  return std::max<std::int64_t>(0, all - Find(reading, "Shmem").value_or(0));
}

void FillMemory(const HostReading& reading, v1::HostSample* sample) {
  const auto total = Find(reading, "MemTotal");
  const auto available = AvailableMemory(reading);
  if (total.has_value()) sample->set_memory_total_bytes(*total);
  if (total.has_value() && available.has_value()) sample->set_memory_used_bytes(Rise(*available, *total));
  if (!total.has_value() || !available.has_value()) sample->add_missing("memory");
  const auto swap = Find(reading, "SwapTotal");
  const auto swap_free = Find(reading, "SwapFree");
  if (swap.has_value() && swap_free.has_value()) {
    sample->set_swap_total_bytes(*swap);
    sample->set_swap_used_bytes(Rise(*swap_free, *swap));
  } else {
    sample->add_missing("swap");
  }
}

void FillDisks(const HostReading& reading, v1::HostSample* sample) {
  for (const FilesystemReading& filesystem : reading.filesystems) {
    v1::HostSample::Disk* disk = sample->add_disks();
    disk->set_device(CleanUtf8(filesystem.mount.source, kMaxNameBytes));
    disk->set_mount_path(CleanUtf8(filesystem.mount.mount_path, kMaxNameBytes));
    disk->set_filesystem_type(CleanUtf8(filesystem.mount.filesystem_type, kMaxTypeBytes));
    if (!filesystem.size.has_value()) {
      disk->set_is_stuck(true);
      continue;
    }
    disk->set_total_bytes(filesystem.size->total_bytes);
    disk->set_used_bytes(filesystem.size->used_bytes);
    disk->set_available_bytes(filesystem.size->available_bytes);
    disk->set_files(filesystem.size->files);
    disk->set_files_free(filesystem.size->files_free);
  }
}

struct Traffic {
  std::int64_t in = 0;
  std::int64_t out = 0;
};

// Over the devices that both readings have and `counts` wants.
template <typename Device, typename Counts>
Traffic RiseOf(const std::vector<Device>& before, const std::vector<Device>& now, Counts counts) {
  std::map<std::string_view, const Device*> last;
  for (const Device& device : before) last.emplace(device.device, &device);
  Traffic sum;
  for (const Device& device : now) {
    const auto it = last.find(device.device);
    if (it == last.end()) continue;
    const std::optional<Traffic> then = counts(*it->second);
    const std::optional<Traffic> total = counts(device);
    if (!then.has_value() || !total.has_value()) continue;
    sum.in = Sum(sum.in, Rise(then->in, total->in));
    sum.out = Sum(sum.out, Rise(then->out, total->out));
  }
  return sum;
}

void FillRates(const HostReading& before, const HostReading& now, v1::HostSample* sample) {
  const double seconds = absl::ToDoubleSeconds(now.taken.monotonic - before.taken.monotonic);
  if (seconds <= 0) return;
  if (before.network_devices.has_value() && now.network_devices.has_value()) {
    const Traffic sum =
        RiseOf(*before.network_devices, *now.network_devices, [&](const NetCounters& device) -> std::optional<Traffic> {
          const bool is_counted_elsewhere =
              IsVirtualNetworkDevice(device.device) || now.bond_slaves.contains(device.device);
          if (is_counted_elsewhere) return std::nullopt;
          return Traffic{.in = device.receive_bytes, .out = device.transmit_bytes};
        });
    sample->set_network_receive_bytes_per_second(static_cast<double>(sum.in) / seconds);
    sample->set_network_transmit_bytes_per_second(static_cast<double>(sum.out) / seconds);
  }
  if (before.block_devices.has_value() && now.block_devices.has_value()) {
    const Traffic sum =
        RiseOf(*before.block_devices, *now.block_devices, [](const DiskCounters& device) -> std::optional<Traffic> {
          if (IsVirtualBlockDevice(device.device)) return std::nullopt;
          return Traffic{.in = Bytes(device.sectors_read), .out = Bytes(device.sectors_written)};
        });
    sample->set_disk_read_bytes_per_second(static_cast<double>(sum.in) / seconds);
    sample->set_disk_written_bytes_per_second(static_cast<double>(sum.out) / seconds);
  }
}

void FillSample(const HostReading* before, const HostReading& now, v1::HostSample* sample) {
  sample->set_cpu_cores(static_cast<double>(now.stat.cpus.size()));
  FillMemory(now, sample);
  FillDisks(now, sample);
  if (now.load.has_value()) {
    sample->set_load1(now.load->load1);
    sample->set_load5(now.load->load5);
    sample->set_load15(now.load->load15);
  }
  if (now.uptime.has_value()) *sample->mutable_uptime() = ToProto(*now.uptime);
  for (const std::string& missing : now.missing) sample->add_missing(missing);
  if (before == nullptr) return;
  if (before->stat.all.has_value() && now.stat.all.has_value()) {
    if (const auto usage = CpuUsage(*before->stat.all, *now.stat.all)) sample->set_cpu_usage_ratio(*usage);
  }
  FillRates(*before, now, sample);
}

void FillCpus(const ProcStat& stat, v1::HostTotals* totals) {
  for (const auto& [number, ticks] : stat.cpus) {
    if (totals->cpus_size() == kMaxCpus) return;
    v1::CpuTimes* cpu = totals->add_cpus();
    cpu->set_cpu(number);
    for (std::size_t i = 0; i < ticks.count; ++i) cpu->add_ticks(ticks.columns[i]);
  }
}

void FillNetwork(std::vector<NetCounters> devices, v1::HostTotals* totals) {
  // Where there are too many those of containers give way.
  std::stable_partition(devices.begin(), devices.end(),
                        [](const NetCounters& device) { return !IsVirtualNetworkDevice(device.device); });
  for (const NetCounters& device : devices) {
    if (totals->network_devices_size() == kMaxDevices) return;
    v1::NetworkDevice* told = totals->add_network_devices();
    told->set_device(CleanUtf8(device.device, kMaxDeviceBytes));
    told->set_receive_bytes(device.receive_bytes);
    told->set_receive_packets(device.receive_packets);
    told->set_receive_errors(device.receive_errors);
    told->set_receive_dropped(device.receive_dropped);
    told->set_transmit_bytes(device.transmit_bytes);
    told->set_transmit_packets(device.transmit_packets);
    told->set_transmit_errors(device.transmit_errors);
    told->set_transmit_dropped(device.transmit_dropped);
  }
}

void FillBlockDevices(const std::vector<DiskCounters>& devices, v1::HostTotals* totals) {
  const auto seconds = [](std::int64_t milliseconds) { return static_cast<double>(milliseconds) / 1000; };
  for (const DiskCounters& device : devices) {
    if (totals->block_devices_size() == kMaxDevices) return;
    // node_exporter tells those that stand on others, but not those on memory and files.
    if (StartsWithAny(device.device, {"loop", "ram", "zram", "fd"})) continue;
    v1::BlockDevice* told = totals->add_block_devices();
    told->set_device(CleanUtf8(device.device, kMaxDeviceBytes));
    told->set_reads_completed(device.reads_completed);
    told->set_read_bytes(Bytes(device.sectors_read));
    told->set_read_seconds(seconds(device.read_ms));
    told->set_writes_completed(device.writes_completed);
    told->set_written_bytes(Bytes(device.sectors_written));
    told->set_write_seconds(seconds(device.write_ms));
    told->set_in_progress(device.in_progress);
    told->set_io_seconds(seconds(device.io_ms));
    told->set_io_weighted_seconds(seconds(device.io_weighted_ms));
  }
}

std::int32_t Small(std::int64_t number) {
  return static_cast<std::int32_t>(std::min<std::int64_t>(number, std::numeric_limits<std::int32_t>::max()));
}

void FillTotals(const HostReading& now, v1::HostTotals* totals) {
  FillCpus(now.stat, totals);
  for (const std::string_view name : kMemoryNames) {
    const auto bytes = Find(now, name);
    if (!bytes.has_value()) continue;
    v1::MemoryValue* value = totals->add_memory();
    value->set_name(std::string(name));
    value->set_bytes(*bytes);
  }
  if (now.network_devices.has_value()) FillNetwork(*now.network_devices, totals);
  if (now.block_devices.has_value()) FillBlockDevices(*now.block_devices, totals);
  totals->set_context_switches(now.stat.context_switches);
  totals->set_interrupts(now.stat.interrupts);
  totals->set_forks(now.stat.forks);
  totals->set_processes_running(Small(now.stat.processes_running));
  totals->set_processes_blocked(Small(now.stat.processes_blocked));
  if (now.stat.boot_time.has_value()) *totals->mutable_boot_time() = ToProto(*now.stat.boot_time);
}

// Takes members off the end of `list` until what is around it fits; the number of those that went.
template <typename List>
int CutToFit(std::size_t size, std::size_t limit, List* list) {
  int kept = list->size();
  while (size > limit && kept > 0) size -= std::min(size, list->Get(--kept).ByteSizeLong());
  const int cut = list->size() - kept;
  list->DeleteSubrange(kept, cut);
  return cut;
}

}  // namespace

v1::HostReport MakeHostReport(const HostReading* before, const HostReading& now) {
  v1::HostReport report;
  FillSample(before, now, report.mutable_sample());
  FillTotals(now, report.mutable_totals());
  return report;
}

void FillCensus(const ContainerCensus& census, v1::HostSample* sample) {
  for (const auto& [state, count] : census.states) {
    v1::HostSample::ContainerCount* told = sample->add_containers();
    told->set_state(state);
    told->set_count(count);
  }
  sample->set_container_restarts(census.restarts);
}

void KeepWithinLimits(v1::HostReport* report) {
  v1::HostSample* const sample = report->mutable_sample();
  if (sample->missing_size() > static_cast<int>(kMaxMissing)) {
    sample->mutable_missing()->DeleteSubrange(kMaxMissing, sample->missing_size() - static_cast<int>(kMaxMissing));
  }
  const auto keep_first = [&](auto* list, int limit, const char* what) {
    if (list->size() <= limit) return;
    list->DeleteSubrange(limit, list->size() - limit);
    sample->add_missing(what);
  };
  keep_first(sample->mutable_deployments(), kMaxDeploymentsTold, "some deployments");
  keep_first(sample->mutable_nodes(), kMaxNodesTold, "some nodes");
  // What is added here has room in what a record may be longer.
  if (CutToFit(sample->ByteSizeLong(), kMaxHostSampleBytes, sample->mutable_deployments()) > 0) {
    sample->add_missing("some deployments");
  }
  if (CutToFit(sample->ByteSizeLong(), kMaxHostSampleBytes, sample->mutable_nodes()) > 0) {
    sample->add_missing("some nodes");
  }
  const std::size_t around = kFieldOverheadBytes * 4;
  if (CutToFit(report->ByteSizeLong() + around, kMaxHostReportBytes, report->mutable_containers()) > 0) {
    sample->add_missing("some containers");
  }
}

}  // namespace muster::agent
