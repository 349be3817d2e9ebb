// What is known about a cluster's objects, and the picture of deployments made from it (docs/kubernetes.md, "Which
// deployment an object belongs to" and "The status of a workload"): grouping, status with its time, application and
// version, revision, the memory of deployments whose workloads are gone, the containers whose logs are there. Knows no
// API server and no clock. Not thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_CLUSTER_BOOK_H_
#define MUSTER_AGENT_KUBERNETES_CLUSTER_BOOK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kubernetes/objects.h"
#include "agent/logs/log_sources.h"
#include "agent/present.h"
#include "common/clock.h"

namespace muster::agent {

class ClusterBook {
 public:
  ClusterBook();
  ~ClusterBook();

  // An object as it is now, known before or not. Events older than the newest known about the same object, and those
  // beyond a bound, are dropped; so are pods and workloads beyond kMaxKubeObjects (object_tree.h). Some 2 us.
  void Put(KubeKind kind, KubeObject object, const Moment& now);
  // It no longer exists. Nothing for a uid that is not known.
  void Remove(KubeKind kind, std::string_view uid, const Moment& now);
  // The uids of that kind that are known: after a list, those it did not have are removed.
  std::vector<std::string> Uids(KubeKind kind) const;

  // Judges what changed since the last call and what depends on time, and gives the whole picture. A picture at its
  // bounds takes 1 ms, so changes that come fast are better gathered.
  Present Look(const Moment& now);
  // When Look would say something else although nothing is put or removed; infinite future: never.
  Instant NextChange() const;
  // All containers, running or not, of the deployments in the picture that Look just made.
  std::vector<LogContainer> LogContainers() const;
  // Another number whenever LogContainers may say something else than before: 10,000 containers take 10 ms to name.
  std::uint64_t LogsVersion() const;
  ContainerCensus Census() const;
  std::vector<KubeNode> Nodes() const;
  // Of the nodes' kubelets, the most frequent: "kubernetes v1.29.1"; empty: no node is known.
  std::string RuntimeName() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_CLUSTER_BOOK_H_
