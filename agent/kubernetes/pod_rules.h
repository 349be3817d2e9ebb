// The status of one pod (docs/kubernetes.md, "The status of a workload"). Pure functions over plain values; no clock,
// no API server. Used by cluster_book.h, which gives what a pod alone does not tell.
#ifndef MUSTER_AGENT_KUBERNETES_POD_RULES_H_
#define MUSTER_AGENT_KUBERNETES_POD_RULES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/kubernetes/objects.h"

namespace muster::agent {

// How long a pod may wait for a node, and a workload without a deadline of its own for its pods.
inline constexpr absl::Duration kKubeDeadline = absl::Minutes(10);
inline constexpr absl::Duration kOomWindow = absl::Minutes(10);
// The first failure to pull an image may be a passing one.
inline constexpr absl::Duration kPullGrace = absl::Seconds(10);

// The newest warning of one reason about an object.
struct KubeWarning {
  std::string reason;
  std::string message;
  absl::Time last_seen = absl::InfinitePast();
};
// The newest of those with that reason, of all when it is empty; null: there is none.
const KubeWarning* NewestWarning(const std::vector<KubeWarning>& warnings, std::string_view reason);

// What was seen of a pod lately.
struct PodPast {
  // 3 restarts in 10 min; empty: no container does.
  std::string looping_container;
  absl::Time loop_since = absl::InfinitePast();
  absl::Time loop_end = absl::InfiniteFuture();
  // Since when an image cannot be pulled; InfiniteFuture: not so.
  absl::Time pull_failing_since = absl::InfiniteFuture();
  // What the registry answered last.
  std::string pull_message;
  // Its node is known and not ready.
  bool is_node_lost = false;
};

enum class PodClass { kError, kUnavailable, kProgressing, kFinished, kHealthy, kRunning };

struct PodJudgement {
  PodClass pod_class = PodClass::kRunning;
  // The container that it is about; empty: the pod as a whole.
  std::string container;
  // "exited with code 1", without the name; empty for kFinished, kHealthy and kRunning.
  std::string reason;
  // What a probe, a registry or the scheduler said.
  std::string output;
  // When this became so; InfinitePast: nothing tells.
  absl::Time since = absl::InfinitePast();
  // When it becomes something else by itself.
  absl::Time next_change = absl::InfiniteFuture();
  // An error that ends by itself with time.
  bool by_window = false;
};

PodJudgement JudgePod(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings,
                      absl::Time now);

// The present state of a container is the end of a run that is not followed by another.
bool HasEndedForGood(const KubePod& pod, const KubeContainer& container);
// It waits because its image cannot be pulled.
bool IsPullFailing(const KubeContainer& container);
const KubeCondition* FindCondition(const std::vector<KubeCondition>& conditions, std::string_view type);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_POD_RULES_H_
