// Samples a cluster while its target's toggle is on: the nodes' capacity, which the observer knows, and what the
// metrics API (metrics.k8s.io) says is in use, by node and by container (docs/kubernetes.md, "Metrics"). A node or an
// API that is not there makes the sample partial, not absent. Owns one thread, and nobody waits for it.
#ifndef MUSTER_AGENT_KUBERNETES_CLUSTER_METRICS_H_
#define MUSTER_AGENT_KUBERNETES_CLUSTER_METRICS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/http/http_client.h"
#include "agent/kubernetes/object_decode.h"
#include "agent/kubernetes/watch_loop.h"
#include "agent/metrics/metrics_source.h"
#include "agent/metrics/sample_loop.h"
#include "agent/records.h"
#include "agent/reports.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

// Some 600 bytes a pod.
inline constexpr std::size_t kMaxUsageBytes = 16 * 1024 * 1024;

// What a sample is made of.
struct ClusterReading {
  // False: one namespace is looked at, and nodes are nobody's business.
  bool has_nodes = false;
  // Absent: not listed yet, or never to be.
  std::optional<std::vector<KubeNode>> nodes;
  std::vector<LogContainer> containers;
  std::optional<ContainerCensus> census;
  absl::StatusOr<std::vector<KubeNodeUsage>> node_usage;
  absl::StatusOr<std::vector<KubeContainerUsage>> container_usage;
};
// Pure.
v1::HostReport MakeClusterReport(const ClusterReading& reading);

class ClusterMetrics : public MetricsSource, public NodeSink {
 public:
  struct Parts {
    std::unique_ptr<HttpClient> api;
    // Empty: the whole cluster.
    std::string name_space;
    // Outlive this.
    const Clock* clock;
    RecordSink* records;
    HostReportSink* reports;
  };
  // Starts; nothing is sampled before SetEnabled(true).
  explicit ClusterMetrics(Parts parts);
  // Stops within milliseconds, whatever hangs.
  ~ClusterMetrics() override;

  void SetEnabled(bool enabled) override { loop_.SetEnabled(enabled); }
  void Publish(std::vector<LogContainer> containers) override;
  void PublishCensus(const std::optional<ContainerCensus>& census) override;
  void PublishNodes(std::vector<KubeNode> nodes) override;

 private:
  v1::HostReport Read();
  absl::StatusOr<std::string> Get(std::string target);

  const std::unique_ptr<HttpClient> api_;
  const std::string name_space_;

  Mutex mutex_;
  std::vector<LogContainer> containers_ ABSL_GUARDED_BY(mutex_);
  std::optional<ContainerCensus> census_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::vector<KubeNode>> nodes_ ABSL_GUARDED_BY(mutex_);

  // Last: it reads all of the above.
  SampleLoop loop_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_CLUSTER_METRICS_H_
