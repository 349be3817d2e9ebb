#include "agent/kubernetes/cluster_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/kubernetes/object_identity.h"
#include "agent/metrics/host_sample.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kUsageDeadline = absl::Seconds(10);

void AddNodes(const ClusterReading& reading, v1::HostSample* sample) {
  if (!reading.nodes.has_value()) {
    sample->add_missing("nodes");
    return;
  }
  std::map<std::string_view, const KubeNodeUsage*> usages;
  if (reading.node_usage.ok()) {
    for (const KubeNodeUsage& usage : *reading.node_usage) usages.emplace(usage.node, &usage);
  } else {
    sample->add_missing("usage of nodes (metrics.k8s.io)");
  }
  double cores = 0;
  double known_cores = 0;
  double used_cores = 0;
  std::int64_t memory = 0;
  std::int64_t used_memory = 0;
  std::vector<const KubeNode*> nodes;  // by name
  for (const KubeNode& node : *reading.nodes) nodes.push_back(&node);
  std::sort(nodes.begin(), nodes.end(), [](const auto* a, const auto* b) { return a->meta.name < b->meta.name; });
  for (const KubeNode* const known : nodes) {
    const KubeNode& node = *known;
    const double node_cores = static_cast<double>(node.cpu_millicores) / 1000;
    cores += node_cores;
    memory += node.memory_bytes;
    const auto usage = usages.find(node.meta.name);
    v1::HostSample::NodeUse* told = sample->add_nodes();
    told->set_node(node.meta.name);
    told->set_cpu_cores(node_cores);
    told->set_memory_total_bytes(node.memory_bytes);
    told->set_is_ready(node.is_ready);
    if (usage != usages.end()) {
      told->set_cpu_cores_used(usage->second->cpu_cores);
      told->set_memory_used_bytes(usage->second->memory_bytes);
      known_cores += node_cores;
      used_cores += usage->second->cpu_cores;
      used_memory += usage->second->memory_bytes;
    } else if (reading.node_usage.ok()) {
      sample->add_missing(fmt::format("usage of node {}", node.meta.name));
    }
  }
  sample->set_cpu_cores(cores);
  sample->set_memory_total_bytes(memory);
  if (known_cores > 0) sample->set_cpu_usage_ratio(std::min(1.0, used_cores / known_cores));
  sample->set_memory_used_bytes(used_memory);
}

// By deployment; the containers are known by the path of their log.
void AddDeployments(const ClusterReading& reading, v1::HostSample* sample) {
  if (!reading.container_usage.ok()) {
    sample->add_missing("usage of pods (metrics.k8s.io)");
    return;
  }
  std::map<std::string_view, std::string_view> keys;
  for (const LogContainer& container : reading.containers) {
    if (container.is_running) keys.emplace(container.log_path, container.deployment_key);
  }
  struct Sum {
    double cpu_cores = 0;
    std::int64_t memory_bytes = 0;
  };
  std::map<std::string_view, Sum> sums;
  for (const KubeContainerUsage& usage : *reading.container_usage) {
    const auto key = keys.find(KubeLogPath(usage.name_space, usage.pod, usage.container, /*previous=*/false));
    if (key == keys.end()) continue;
    Sum& sum = sums[key->second];
    sum.cpu_cores += usage.cpu_cores;
    sum.memory_bytes += usage.memory_bytes;
  }
  for (const auto& [key, sum] : sums) {
    v1::HostSample::DeploymentUse* use = sample->add_deployments();
    use->set_deployment_key(std::string(key));
    use->set_cpu_cores(sum.cpu_cores);
    use->set_memory_bytes(sum.memory_bytes);
  }
}

}  // namespace

v1::HostReport MakeClusterReport(const ClusterReading& reading) {
  v1::HostReport report;
  if (reading.has_nodes) AddNodes(reading, report.mutable_sample());
  AddDeployments(reading, report.mutable_sample());
  if (reading.census.has_value()) {
    FillCensus(*reading.census, report.mutable_sample());
  } else {
    report.mutable_sample()->add_missing("containers");
  }
  KeepWithinLimits(&report);
  return report;
}

ClusterMetrics::ClusterMetrics(Parts parts)
    : api_(std::move(parts.api)),
      name_space_(std::move(parts.name_space)),
      loop_({.clock = parts.clock,
             .records = parts.records,
             .reports = parts.reports,
             .forget = [] {},
             .read = [this](Moment /*now*/) { return Read(); }}) {}

ClusterMetrics::~ClusterMetrics() {
  loop_.Stop();
  api_->Cancel();
}

void ClusterMetrics::Publish(std::vector<LogContainer> containers) {
  MutexLock lock(&mutex_);
  containers_ = std::move(containers);
}

void ClusterMetrics::PublishCensus(const std::optional<ContainerCensus>& census) {
  MutexLock lock(&mutex_);
  census_ = census;
}

void ClusterMetrics::PublishNodes(std::vector<KubeNode> nodes) {
  MutexLock lock(&mutex_);
  nodes_ = std::move(nodes);
}

absl::StatusOr<std::string> ClusterMetrics::Get(std::string target) {
  ASSIGN_OR_RETURN(HttpResponse response,
                   api_->Get({.target = target, .deadline = kUsageDeadline, .max_body_bytes = kMaxUsageBytes}));
  if (response.code == 200) return std::move(response.body);
  const std::string message = KubeStatusMessage(response.body);
  return MakeError(absl::StatusCode::kUnavailable, "HTTP_CODE",
                   fmt::format("{}: {}{}{}", target, response.code, message.empty() ? "" : ": ", message));
}

v1::HostReport ClusterMetrics::Read() {
  ClusterReading reading;
  reading.has_nodes = name_space_.empty();
  {
    MutexLock lock(&mutex_);
    reading.nodes = nodes_;
    reading.containers = containers_;
    reading.census = census_;
  }
  if (reading.has_nodes) {
    const absl::StatusOr<std::string> body = Get("/apis/metrics.k8s.io/v1beta1/nodes");
    reading.node_usage = body.ok() ? DecodeKubeNodeUsage(*body) : body.status();
    if (!reading.node_usage.ok()) log::Debug("usage of nodes: {}", MessageOf(reading.node_usage.status()));
  }
  {
    const absl::StatusOr<std::string> body =
        Get(name_space_.empty()
                ? std::string("/apis/metrics.k8s.io/v1beta1/pods")
                : fmt::format("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", PercentEncode(name_space_)));
    reading.container_usage = body.ok() ? DecodeKubePodUsage(*body) : body.status();
    if (!reading.container_usage.ok()) log::Debug("usage of pods: {}", MessageOf(reading.container_usage.status()));
  }
  return MakeClusterReport(reading);
}

}  // namespace muster::agent
