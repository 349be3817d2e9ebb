#include "hub/samples/metric_series.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

namespace muster::hub {
namespace {

using agent::v1::HostSample;

constexpr double kMillionths = 1e6;

constexpr MetricSeriesInfo kSeries[] = {
    {MetricSeries::kCpuUsage, "cpu_usage", "ratio", kMillionths},
    {MetricSeries::kCpuCores, "cpu_cores", "cores", kMillionths},
    {MetricSeries::kMemoryTotal, "memory_total", "bytes", 1},
    {MetricSeries::kMemoryUsed, "memory_used", "bytes", 1},
    {MetricSeries::kSwapTotal, "swap_total", "bytes", 1},
    {MetricSeries::kSwapUsed, "swap_used", "bytes", 1},
    {MetricSeries::kLoad1, "load1", "", kMillionths},
    {MetricSeries::kLoad5, "load5", "", kMillionths},
    {MetricSeries::kLoad15, "load15", "", kMillionths},
    {MetricSeries::kNetworkReceive, "network_receive", "bytes_per_second", 1},
    {MetricSeries::kNetworkTransmit, "network_transmit", "bytes_per_second", 1},
    {MetricSeries::kDiskRead, "disk_read", "bytes_per_second", 1},
    {MetricSeries::kDiskWritten, "disk_written", "bytes_per_second", 1},
    {MetricSeries::kFilesystemTotal, "filesystem_total", "bytes", 1},
    {MetricSeries::kFilesystemUsed, "filesystem_used", "bytes", 1},
    {MetricSeries::kFilesystemAvailable, "filesystem_available", "bytes", 1},
    {MetricSeries::kContainersRunning, "containers_running", "", 1},
    {MetricSeries::kContainersOther, "containers_other", "", 1},
    {MetricSeries::kDeploymentCpu, "deployment_cpu", "cores", kMillionths},
    {MetricSeries::kDeploymentMemory, "deployment_memory", "bytes", 1},
    {MetricSeries::kNodeCpu, "node_cpu", "cores", kMillionths},
    {MetricSeries::kNodeMemory, "node_memory", "bytes", 1},
};

constexpr bool NumbersFollowOneAnother() {
  for (std::size_t i = 0; i < std::size(kSeries); ++i) {
    if (static_cast<std::size_t>(kSeries[i].series) != i + 1) return false;
  }
  return true;
}
static_assert(NumbersFollowOneAnother());

const MetricSeriesInfo& InfoOf(MetricSeries series) { return kSeries[static_cast<std::size_t>(series) - 1]; }

// Gathers values; the first one of a key counts.
class Values {
 public:
  void Add(MetricSeries series, double value, const std::string& instance = "") {
    values_.try_emplace({.series = series, .instance = instance},
                        static_cast<std::int64_t>(std::llround(value * InfoOf(series).scale)));
  }
  void AddBytes(MetricSeries series, std::int64_t bytes, const std::string& instance = "") {
    values_.try_emplace({.series = series, .instance = instance}, bytes);
  }
  std::vector<SeriesValue> Take() const {
    std::vector<SeriesValue> taken;
    taken.reserve(values_.size());
    for (const auto& [key, value] : values_) taken.push_back({.key = key, .value = value});
    return taken;
  }

 private:
  std::map<SeriesKey, std::int64_t> values_;
};

void AddHost(const HostSample& sample, Values& values) {
  if (sample.has_cpu_usage_ratio()) values.Add(MetricSeries::kCpuUsage, sample.cpu_usage_ratio());
  if (sample.cpu_cores() > 0) values.Add(MetricSeries::kCpuCores, sample.cpu_cores());
  // No host has no memory: nothing of /proc/meminfo could be read.
  if (sample.memory_total_bytes() > 0) {
    values.AddBytes(MetricSeries::kMemoryTotal, sample.memory_total_bytes());
    // Of a cluster without a metrics API only the total is known.
    if (sample.memory_used_bytes() > 0) values.AddBytes(MetricSeries::kMemoryUsed, sample.memory_used_bytes());
  }
  if (sample.has_swap_total_bytes()) values.AddBytes(MetricSeries::kSwapTotal, sample.swap_total_bytes());
  if (sample.has_swap_used_bytes()) values.AddBytes(MetricSeries::kSwapUsed, sample.swap_used_bytes());
  if (sample.has_load1()) values.Add(MetricSeries::kLoad1, sample.load1());
  if (sample.has_load5()) values.Add(MetricSeries::kLoad5, sample.load5());
  if (sample.has_load15()) values.Add(MetricSeries::kLoad15, sample.load15());
  if (sample.has_network_receive_bytes_per_second()) {
    values.Add(MetricSeries::kNetworkReceive, sample.network_receive_bytes_per_second());
  }
  if (sample.has_network_transmit_bytes_per_second()) {
    values.Add(MetricSeries::kNetworkTransmit, sample.network_transmit_bytes_per_second());
  }
  if (sample.has_disk_read_bytes_per_second()) {
    values.Add(MetricSeries::kDiskRead, sample.disk_read_bytes_per_second());
  }
  if (sample.has_disk_written_bytes_per_second()) {
    values.Add(MetricSeries::kDiskWritten, sample.disk_written_bytes_per_second());
  }
}

// A host whose containers cannot be seen tells no states; one that has none tells none either.
void AddContainers(const HostSample& sample, Values& values) {
  if (sample.containers().empty()) return;
  double running = 0;
  double other = 0;
  for (const HostSample::ContainerCount& count : sample.containers()) {
    (count.state() == "running" ? running : other) += count.count();
  }
  values.Add(MetricSeries::kContainersRunning, running);
  values.Add(MetricSeries::kContainersOther, other);
}

HostSample::Disk* DiskOf(HostSample& sample, const std::string& device) {
  for (HostSample::Disk& disk : *sample.mutable_disks()) {
    if (disk.device() == device) return &disk;
  }
  HostSample::Disk* disk = sample.add_disks();
  disk->set_device(device);
  return disk;
}

HostSample::DeploymentUse* UseOf(HostSample& sample, const std::string& key) {
  for (HostSample::DeploymentUse& use : *sample.mutable_deployments()) {
    if (use.deployment_key() == key) return &use;
  }
  HostSample::DeploymentUse* use = sample.add_deployments();
  use->set_deployment_key(key);
  return use;
}

HostSample::NodeUse* NodeOf(HostSample& sample, const std::string& name) {
  for (HostSample::NodeUse& node : *sample.mutable_nodes()) {
    if (node.node() == name) return &node;
  }
  HostSample::NodeUse* node = sample.add_nodes();
  node->set_node(name);
  return node;
}

void AddCount(HostSample& sample, const char* state, std::int64_t count) {
  HostSample::ContainerCount* told = sample.add_containers();
  told->set_state(state);
  told->set_count(static_cast<std::int32_t>(count));
}

void Set(const SeriesValue& stored, HostSample& sample) {
  const std::int64_t whole = stored.value;
  const double value = FromStored(stored.key.series, static_cast<double>(whole));
  switch (stored.key.series) {
    case MetricSeries::kCpuUsage:
      return sample.set_cpu_usage_ratio(value);
    case MetricSeries::kCpuCores:
      return sample.set_cpu_cores(value);
    case MetricSeries::kMemoryTotal:
      return sample.set_memory_total_bytes(whole);
    case MetricSeries::kMemoryUsed:
      return sample.set_memory_used_bytes(whole);
    case MetricSeries::kSwapTotal:
      return sample.set_swap_total_bytes(whole);
    case MetricSeries::kSwapUsed:
      return sample.set_swap_used_bytes(whole);
    case MetricSeries::kLoad1:
      return sample.set_load1(value);
    case MetricSeries::kLoad5:
      return sample.set_load5(value);
    case MetricSeries::kLoad15:
      return sample.set_load15(value);
    case MetricSeries::kNetworkReceive:
      return sample.set_network_receive_bytes_per_second(value);
    case MetricSeries::kNetworkTransmit:
      return sample.set_network_transmit_bytes_per_second(value);
    case MetricSeries::kDiskRead:
      return sample.set_disk_read_bytes_per_second(value);
    case MetricSeries::kDiskWritten:
      return sample.set_disk_written_bytes_per_second(value);
    case MetricSeries::kFilesystemTotal:
      return DiskOf(sample, stored.key.instance)->set_total_bytes(whole);
    case MetricSeries::kFilesystemUsed:
      return DiskOf(sample, stored.key.instance)->set_used_bytes(whole);
    case MetricSeries::kFilesystemAvailable:
      return DiskOf(sample, stored.key.instance)->set_available_bytes(whole);
    case MetricSeries::kContainersRunning:
      return AddCount(sample, "running", whole);
    case MetricSeries::kContainersOther:
      return AddCount(sample, "other", whole);
    case MetricSeries::kDeploymentCpu:
      return UseOf(sample, stored.key.instance)->set_cpu_cores(value);
    case MetricSeries::kDeploymentMemory:
      return UseOf(sample, stored.key.instance)->set_memory_bytes(whole);
    case MetricSeries::kNodeCpu:
      return NodeOf(sample, stored.key.instance)->set_cpu_cores_used(value);
    case MetricSeries::kNodeMemory:
      return NodeOf(sample, stored.key.instance)->set_memory_used_bytes(whole);
  }
}

}  // namespace

std::span<const MetricSeriesInfo> AllMetricSeries() { return kSeries; }

const MetricSeriesInfo* FindMetricSeries(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kSeries), std::end(kSeries), [&](const auto& info) { return name == info.name; });
  return found == std::end(kSeries) ? nullptr : found;
}

const MetricSeriesInfo* FindMetricSeries(std::uint32_t number) {
  return number >= 1 && number <= std::size(kSeries) ? &kSeries[number - 1] : nullptr;
}

std::vector<SeriesValue> ValuesOf(const HostSample& sample) {
  Values values;
  AddHost(sample, values);
  AddContainers(sample, values);
  for (const HostSample::Disk& disk : sample.disks()) {
    // Nothing without a size is told; this one did not answer.
    if (disk.total_bytes() == 0) continue;
    values.AddBytes(MetricSeries::kFilesystemTotal, disk.total_bytes(), disk.device());
    values.AddBytes(MetricSeries::kFilesystemUsed, disk.used_bytes(), disk.device());
    values.AddBytes(MetricSeries::kFilesystemAvailable, disk.available_bytes(), disk.device());
  }
  for (const HostSample::DeploymentUse& use : sample.deployments()) {
    if (use.has_cpu_cores()) values.Add(MetricSeries::kDeploymentCpu, use.cpu_cores(), use.deployment_key());
    values.AddBytes(MetricSeries::kDeploymentMemory, use.memory_bytes(), use.deployment_key());
  }
  for (const HostSample::NodeUse& node : sample.nodes()) {
    if (node.has_cpu_cores_used()) values.Add(MetricSeries::kNodeCpu, node.cpu_cores_used(), node.node());
    if (node.has_memory_used_bytes()) values.AddBytes(MetricSeries::kNodeMemory, node.memory_used_bytes(), node.node());
  }
  return values.Take();
}

HostSample SampleOf(std::span<const SeriesValue> values) {
  HostSample sample;
  for (const SeriesValue& value : values) Set(value, sample);
  return sample;
}

double FromStored(MetricSeries series, double stored) { return stored / InfoOf(series).scale; }

}  // namespace muster::hub
