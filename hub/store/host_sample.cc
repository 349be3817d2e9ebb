#include "hub/store/host_sample.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::HostSample;

bool IsSize(std::int64_t bytes) { return bytes >= 0 && bytes <= kMaxSampleBytes; }
// False for NaN, too.
bool IsWithin(double value, double most) { return value >= 0 && value <= most; }

std::string FindRangeDefect(const HostSample& sample) {
  const struct {
    const char* name;
    std::int64_t bytes;
  } sizes[] = {{"memory_total_bytes", sample.memory_total_bytes()},
               {"memory_used_bytes", sample.memory_used_bytes()},
               {"swap_total_bytes", sample.swap_total_bytes()},
               {"swap_used_bytes", sample.swap_used_bytes()}};
  for (const auto& size : sizes) {
    if (!IsSize(size.bytes)) return fmt::format("{} is {}", size.name, size.bytes);
  }
  constexpr auto kMaxRate = static_cast<double>(kMaxSampleBytes);
  const struct {
    const char* name;
    double value;
    double most;
  } numbers[] = {{"cpu_cores", sample.cpu_cores(), kMaxSampleCores},
                 {"cpu_usage_ratio", sample.cpu_usage_ratio(), 1},
                 {"load1", sample.load1(), kMaxSampleLoad},
                 {"load5", sample.load5(), kMaxSampleLoad},
                 {"load15", sample.load15(), kMaxSampleLoad},
                 {"network_receive_bytes_per_second", sample.network_receive_bytes_per_second(), kMaxRate},
                 {"network_transmit_bytes_per_second", sample.network_transmit_bytes_per_second(), kMaxRate},
                 {"disk_read_bytes_per_second", sample.disk_read_bytes_per_second(), kMaxRate},
                 {"disk_written_bytes_per_second", sample.disk_written_bytes_per_second(), kMaxRate}};
  for (const auto& number : numbers) {
    if (!IsWithin(number.value, number.most)) return fmt::format("{} is {}", number.name, number.value);
  }
  return "";
}

std::string FindDiskDefect(const HostSample& sample) {
  if (sample.disks_size() > kMaxSampleDisks) return fmt::format("{} block devices are too many", sample.disks_size());
  for (const HostSample::Disk& disk : sample.disks()) {
    if (disk.device().empty()) return "a block device without a name";
    if (!IsSize(disk.total_bytes()) || !IsSize(disk.used_bytes()) || !IsSize(disk.available_bytes())) {
      return "a block device of an impossible size";
    }
  }
  return "";
}

std::string FindUseDefect(const HostSample& sample) {
  if (sample.deployments_size() > kMaxSampleDeployments) {
    return fmt::format("{} deployments are too many", sample.deployments_size());
  }
  for (const HostSample::DeploymentUse& use : sample.deployments()) {
    if (use.deployment_key().empty()) return "the use of a deployment without a key";
    if (use.deployment_key().size() > kMaxKeyBytes) return "a deployment's key is too long";
    if (!IsWithin(use.cpu_cores(), kMaxSampleCores)) return fmt::format("a deployment uses {} cores", use.cpu_cores());
    if (!IsSize(use.memory_bytes())) return fmt::format("a deployment uses {} bytes of memory", use.memory_bytes());
  }
  if (sample.containers_size() > kMaxSampleStates) return "too many states of containers";
  for (const HostSample::ContainerCount& count : sample.containers()) {
    if (count.count() < 0) return fmt::format("{} containers", count.count());
  }
  return "";
}

std::string FindNodeDefect(const HostSample& sample) {
  if (sample.nodes_size() > kMaxSampleNodes) return fmt::format("{} nodes are too many", sample.nodes_size());
  for (const HostSample::NodeUse& node : sample.nodes()) {
    if (node.node().empty()) return "a node without a name";
    for (const double cores : {node.cpu_cores(), node.cpu_cores_used()}) {
      if (!IsWithin(cores, kMaxSampleCores)) return fmt::format("a node with {} cores", cores);
    }
    if (!IsSize(node.memory_total_bytes()) || !IsSize(node.memory_used_bytes())) {
      return "a node with an impossible size of memory";
    }
  }
  return "";
}

void Clean(std::string* text) { *text = CleanUtf8(*text, kMaxNameBytes); }

HostSample SampleToKeep(HostSample sample) {
  for (HostSample::Disk& disk : *sample.mutable_disks()) {
    Clean(disk.mutable_device());
    Clean(disk.mutable_mount_path());
    Clean(disk.mutable_filesystem_type());
  }
  for (HostSample::ContainerCount& count : *sample.mutable_containers()) Clean(count.mutable_state());
  for (HostSample::NodeUse& node : *sample.mutable_nodes()) Clean(node.mutable_node());
  for (std::string& missing : *sample.mutable_missing()) Clean(&missing);
  if (sample.missing_size() > kMaxSampleMissing) {
    sample.mutable_missing()->DeleteSubrange(kMaxSampleMissing, sample.missing_size() - kMaxSampleMissing);
  }
  // What a newer agent adds is not known to be harmless.
  sample.DiscardUnknownFields();
  return sample;
}

}  // namespace

std::string FindSampleDefect(const HostSample& sample) {
  std::string defect = FindRangeDefect(sample);
  if (defect.empty()) defect = FindDiskDefect(sample);
  if (defect.empty()) defect = FindUseDefect(sample);
  if (defect.empty()) defect = FindNodeDefect(sample);
  return defect;
}

absl::Status StoreSample(sqlite::Database& database, const SampleName& name, const HostSample& sample) {
  const std::string bytes = SampleToKeep(sample).SerializeAsString();
  return RunBound(database, "INSERT INTO host_samples(target_id, at_us, epoch, sequence, sample) VALUES(?,?,?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, name.target_id).Bind(2, name.at).Bind(3, name.epoch).Bind(4, name.sequence);
                    s.BindBlob(5, bytes.data(), bytes.size());
                  });
}

}  // namespace muster::hub
