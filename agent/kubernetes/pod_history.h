// What was seen of one pod lately and its present state does not tell: restarts, and how long its image cannot be
// pulled. Used by object_tree.h and the book. Pure functions over values.
#ifndef MUSTER_AGENT_KUBERNETES_POD_HISTORY_H_
#define MUSTER_AGENT_KUBERNETES_POD_HISTORY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/deployments/restart_ring.h"
#include "agent/kubernetes/objects.h"
#include "agent/kubernetes/pod_rules.h"
#include "common/clock.h"

namespace muster::agent {

struct PodRecord {
  std::vector<std::pair<std::string, RestartRing>> restarts;  // by container
  absl::Time pull_failing_since = absl::InfiniteFuture();
  // What the registry answered last.
  std::string pull_message;
};

// Brings the record up to date. Null: there is nothing to remember, as of most pods. `before` is null for a pod that is
// seen for the first time: then only what its timestamps prove is counted.
void RecordPod(const KubePod* before, const KubePod& pod, const Moment& now, std::unique_ptr<PodRecord>& record);

// `record` may be null.
PodPast PastOf(const PodRecord* record, const Moment& now);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_POD_HISTORY_H_
