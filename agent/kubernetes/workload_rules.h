// The status of one workload, from its own state and that of its pods, and of a deployment of several
// (docs/kubernetes.md, "The status of a workload"). Pure functions over plain values; no clock, no API server. Used by
// cluster_book.h.
#ifndef MUSTER_AGENT_KUBERNETES_WORKLOAD_RULES_H_
#define MUSTER_AGENT_KUBERNETES_WORKLOAD_RULES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/deployments/messages.h"
#include "agent/kubernetes/objects.h"
#include "agent/kubernetes/pod_rules.h"
#include "muster/types/v1/types.pb.h"

namespace muster::agent {

struct PodOfWorkload {
  std::string name;
  PodJudgement judgement;
  // Its phase is Failed or Succeeded.
  bool is_over = false;
  bool is_deleted = false;
  // Its ReplicaSet is one that the Deployment wants no pods of.
  bool is_unwanted = false;
  absl::Time created = absl::InfinitePast();
};

enum class WorkloadClass { kError, kProgressing, kHealthy, kRunning };

struct WorkloadJudgement {
  WorkloadClass workload_class = WorkloadClass::kRunning;
  // What is wrong or under way, most important first.
  std::vector<Complaint> complaints;
  // "completed", "scaled to 0": said when there are no complaints.
  std::string note;
  // When this became so; InfinitePast: nothing tells.
  absl::Time since = absl::InfinitePast();
  absl::Time next_change = absl::InfiniteFuture();
  // An error that ends by itself with time.
  bool by_window = false;
  // It waits for something, so that its deadline runs.
  bool is_waiting = false;
};

struct WorkloadView {
  KubeWorkload workload;
  std::vector<PodOfWorkload> pods;
  // Of a CronJob: its Jobs.
  std::vector<WorkloadView> jobs;
  // When it last got further, as far as known: its deadline runs from there. InfinitePast: not known, it begins now.
  absl::Time last_progress = absl::InfinitePast();
  // About the workload itself or its ReplicaSets.
  std::vector<KubeWarning> warnings;
};

WorkloadJudgement JudgeWorkload(const WorkloadView& view, absl::Time now);

// Pods without a controller, or of one of a kind that is not read.
WorkloadJudgement JudgeLoosePods(const std::vector<PodOfWorkload>& pods, absl::Time last_progress, absl::Time now);

bool IsJobComplete(const KubeWorkload& job);
bool IsJobFailed(const KubeWorkload& job);

struct KubeVerdict {
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  // At most kMaxMessageBytes of valid UTF-8.
  std::string message;
  absl::Time since = absl::InfinitePast();
  absl::Time next_change = absl::InfiniteFuture();
  bool by_window = false;
};

// Empty: all are gone.
KubeVerdict JudgeKubeDeployment(const std::vector<WorkloadJudgement>& workloads);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_WORKLOAD_RULES_H_
