#include "hub/fleet/host_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "common/text.h"
#include "common/time_format.h"
#include "hub/fleet/container_states.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::HostReport;
using agent::v1::HostSample;
using agent::v1::HostTotals;

void Clean(std::string* text) { *text = CleanUtf8(*text, kMaxNameBytes); }

std::int64_t AtLeastZero(std::int64_t value) { return std::max<std::int64_t>(value, 0); }
double AtLeastZero(double value) { return std::isfinite(value) && value > 0 ? value : 0; }

bool IsMeasure(double value) { return std::isfinite(value) && value >= 0; }

// Keeps the first `limit` of those that `take` takes.
template <typename List, typename Take>
void Keep(List* list, int limit, Take take) {
  int kept = 0;
  for (int i = 0; i < list->size() && kept < limit; ++i) {
    if (!take(list->at(i))) continue;
    if (i != kept) list->SwapElements(i, kept);
    ++kept;
  }
  list->DeleteSubrange(kept, list->size() - kept);
}

void CleanDisks(HostSample* sample) {
  std::set<std::string> seen;
  for (HostSample::Disk& disk : *sample->mutable_disks()) {
    for (std::string* text : {disk.mutable_device(), disk.mutable_mount_path(), disk.mutable_filesystem_type()}) {
      Clean(text);
    }
    disk.set_total_bytes(AtLeastZero(disk.total_bytes()));
    disk.set_used_bytes(AtLeastZero(disk.used_bytes()));
    disk.set_available_bytes(AtLeastZero(disk.available_bytes()));
    disk.set_files(AtLeastZero(disk.files()));
    disk.set_files_free(AtLeastZero(disk.files_free()));
  }
  Keep(sample->mutable_disks(), kMaxHostDisks, [&](const HostSample::Disk& disk) {
    return seen.insert(disk.device() + '\n' + disk.mount_path() + '\n' + disk.filesystem_type()).second;
  });
}

void CleanUse(HostSample* sample) {
  std::set<std::string> seen;
  for (HostSample::DeploymentUse& use : *sample->mutable_deployments()) {
    if (use.has_cpu_cores() && !IsMeasure(use.cpu_cores())) use.clear_cpu_cores();
    use.set_memory_bytes(AtLeastZero(use.memory_bytes()));
  }
  Keep(sample->mutable_deployments(), kMaxHostContainers, [&](const HostSample::DeploymentUse& use) {
    return use.deployment_key().size() <= kMaxKeyBytes && seen.insert(use.deployment_key()).second;
  });
  ContainerCounts counts{};
  for (const HostSample::ContainerCount& count : sample->containers()) {
    counts[ContainerStateOf(count.state())] += std::max(count.count(), 0);
  }
  sample->clear_containers();
  for (std::size_t state = 0; state < kContainerStates.size(); ++state) {
    if (counts[state] == 0) continue;
    HostSample::ContainerCount* count = sample->add_containers();
    count->set_state(std::string(kContainerStates[state]));
    count->set_count(static_cast<std::int32_t>(std::min<std::int64_t>(counts[state], INT32_MAX)));
  }
}

void CleanNodes(HostSample* sample) {
  std::set<std::string> seen;
  for (HostSample::NodeUse& node : *sample->mutable_nodes()) {
    Clean(node.mutable_node());
    node.set_cpu_cores(AtLeastZero(node.cpu_cores()));
    node.set_memory_total_bytes(AtLeastZero(node.memory_total_bytes()));
    if (!IsMeasure(node.cpu_cores_used())) node.clear_cpu_cores_used();
    if (node.memory_used_bytes() < 0) node.clear_memory_used_bytes();
  }
  Keep(sample->mutable_nodes(), kMaxHostNodes,
       [&](const HostSample::NodeUse& node) { return seen.insert(node.node()).second; });
}

void CleanSample(HostSample* sample) {
  sample->set_cpu_cores(AtLeastZero(sample->cpu_cores()));
  if (sample->has_cpu_usage_ratio()) {
    if (!IsMeasure(sample->cpu_usage_ratio()))
      sample->clear_cpu_usage_ratio();
    else
      sample->set_cpu_usage_ratio(std::min(sample->cpu_usage_ratio(), 1.0));
  }
  sample->set_memory_total_bytes(AtLeastZero(sample->memory_total_bytes()));
  sample->set_memory_used_bytes(AtLeastZero(sample->memory_used_bytes()));
  if (sample->swap_total_bytes() < 0) sample->clear_swap_total_bytes();
  if (sample->swap_used_bytes() < 0) sample->clear_swap_used_bytes();
  if (!IsMeasure(sample->load1())) sample->clear_load1();
  if (!IsMeasure(sample->load5())) sample->clear_load5();
  if (!IsMeasure(sample->load15())) sample->clear_load15();
  if (sample->has_uptime()) {
    *sample->mutable_uptime() = ToProto(std::max(FromProto(sample->uptime()), absl::ZeroDuration()));
  }
  if (!IsMeasure(sample->network_receive_bytes_per_second())) sample->clear_network_receive_bytes_per_second();
  if (!IsMeasure(sample->network_transmit_bytes_per_second())) sample->clear_network_transmit_bytes_per_second();
  if (!IsMeasure(sample->disk_read_bytes_per_second())) sample->clear_disk_read_bytes_per_second();
  if (!IsMeasure(sample->disk_written_bytes_per_second())) sample->clear_disk_written_bytes_per_second();
  sample->set_container_restarts(AtLeastZero(sample->container_restarts()));
  CleanDisks(sample);
  CleanUse(sample);
  CleanNodes(sample);
  for (std::string& text : *sample->mutable_missing()) Clean(&text);
  Keep(sample->mutable_missing(), kMaxHostMissing, [](const std::string&) { return true; });
}

void CleanDevices(HostTotals* totals) {
  std::set<std::string> names;
  for (agent::v1::NetworkDevice& device : *totals->mutable_network_devices()) {
    Clean(device.mutable_device());
    device.set_receive_bytes(AtLeastZero(device.receive_bytes()));
    device.set_receive_packets(AtLeastZero(device.receive_packets()));
    device.set_receive_errors(AtLeastZero(device.receive_errors()));
    device.set_receive_dropped(AtLeastZero(device.receive_dropped()));
    device.set_transmit_bytes(AtLeastZero(device.transmit_bytes()));
    device.set_transmit_packets(AtLeastZero(device.transmit_packets()));
    device.set_transmit_errors(AtLeastZero(device.transmit_errors()));
    device.set_transmit_dropped(AtLeastZero(device.transmit_dropped()));
  }
  Keep(totals->mutable_network_devices(), kMaxHostDevices,
       [&](const agent::v1::NetworkDevice& device) { return names.insert(device.device()).second; });
  names.clear();
  for (agent::v1::BlockDevice& device : *totals->mutable_block_devices()) {
    Clean(device.mutable_device());
    device.set_reads_completed(AtLeastZero(device.reads_completed()));
    device.set_read_bytes(AtLeastZero(device.read_bytes()));
    device.set_read_seconds(AtLeastZero(device.read_seconds()));
    device.set_writes_completed(AtLeastZero(device.writes_completed()));
    device.set_written_bytes(AtLeastZero(device.written_bytes()));
    device.set_write_seconds(AtLeastZero(device.write_seconds()));
    device.set_in_progress(AtLeastZero(device.in_progress()));
    device.set_io_seconds(AtLeastZero(device.io_seconds()));
    device.set_io_weighted_seconds(AtLeastZero(device.io_weighted_seconds()));
  }
  Keep(totals->mutable_block_devices(), kMaxHostDevices,
       [&](const agent::v1::BlockDevice& device) { return names.insert(device.device()).second; });
}

// Names become parts of metric names: "Active(anon)".
bool IsMemoryName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '(' ||
           c == ')';
  });
}

void CleanTotals(HostTotals* totals) {
  std::set<std::int32_t> cpus;
  for (agent::v1::CpuTimes& cpu : *totals->mutable_cpus()) {
    for (std::int64_t& ticks : *cpu.mutable_ticks()) ticks = AtLeastZero(ticks);
    if (cpu.ticks_size() > kMaxCpuModes) cpu.mutable_ticks()->Truncate(kMaxCpuModes);
  }
  Keep(totals->mutable_cpus(), kMaxHostCpus,
       [&](const agent::v1::CpuTimes& cpu) { return cpu.cpu() >= 0 && cpus.insert(cpu.cpu()).second; });
  std::set<std::string> names;
  for (agent::v1::MemoryValue& value : *totals->mutable_memory()) value.set_bytes(AtLeastZero(value.bytes()));
  Keep(totals->mutable_memory(), kMaxHostMemoryValues, [&](const agent::v1::MemoryValue& value) {
    return IsMemoryName(value.name()) && names.insert(value.name()).second;
  });
  CleanDevices(totals);
  totals->set_context_switches(AtLeastZero(totals->context_switches()));
  totals->set_interrupts(AtLeastZero(totals->interrupts()));
  totals->set_forks(AtLeastZero(totals->forks()));
  totals->set_processes_running(std::max(totals->processes_running(), 0));
  totals->set_processes_blocked(std::max(totals->processes_blocked(), 0));
  if (totals->has_boot_time()) *totals->mutable_boot_time() = ToProto(FromProto(totals->boot_time()));
}

}  // namespace

HostReport CleanHost(const HostReport& raw) {
  HostReport report = raw;
  // Kept otherwise: fields of a newer agent, or anything else.
  report.DiscardUnknownFields();
  *report.mutable_age() = ToProto(std::max(FromProto(report.age()), absl::ZeroDuration()));
  CleanSample(report.mutable_sample());
  CleanTotals(report.mutable_totals());
  std::set<std::pair<std::string, std::string>> seen;
  for (agent::v1::ContainerUse& use : *report.mutable_containers()) {
    Clean(use.mutable_container());
    use.set_cpu_seconds(AtLeastZero(use.cpu_seconds()));
    use.set_memory_bytes(AtLeastZero(use.memory_bytes()));
    use.set_memory_limit_bytes(AtLeastZero(use.memory_limit_bytes()));
  }
  Keep(report.mutable_containers(), kMaxHostContainers, [&](const agent::v1::ContainerUse& use) {
    return use.deployment_key().size() <= kMaxKeyBytes && seen.emplace(use.deployment_key(), use.container()).second;
  });
  return report;
}

}  // namespace muster::hub
