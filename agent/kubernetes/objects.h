// What the rules need of the Kubernetes API's objects, as plain values: made by object_decode.h, used by the rules and
// the book (docs/kubernetes.md). Texts are valid UTF-8 and bounded, see there. Shapes:
// https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.29/
#ifndef MUSTER_AGENT_KUBERNETES_OBJECTS_H_
#define MUSTER_AGENT_KUBERNETES_OBJECTS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace muster::agent {

enum class KubeKind {
  kDeployment,
  kStatefulSet,
  kDaemonSet,
  kReplicaSet,
  kJob,
  kCronJob,
  kPod,
  kEvent,
  kNode,
};
inline constexpr std::array<KubeKind, 9> kKubeKinds = {
    KubeKind::kDeployment, KubeKind::kStatefulSet, KubeKind::kDaemonSet, KubeKind::kReplicaSet, KubeKind::kJob,
    KubeKind::kCronJob,    KubeKind::kPod,         KubeKind::kEvent,     KubeKind::kNode};

// The object that owns and drives another (`controller: true`).
struct KubeOwner {
  std::string kind;       // "ReplicaSet"
  std::string api_group;  // "apps"; empty for the core group. Others have kinds of the same name.
  std::string name;
  std::string uid;
};

// The labels and annotations that mean something to us; all others stay in the cluster.
struct KubeLabels {
  std::string instance;             // app.kubernetes.io/instance
  std::string name;                 // app.kubernetes.io/name
  std::string version;              // app.kubernetes.io/version
  std::string managed_by;           // app.kubernetes.io/managed-by
  std::string muster_application;   // muster.application
  std::string muster_version;       // muster.version
  std::string pod_template_hash;    // pod-template-hash
  std::string controller_revision;  // controller-revision-hash
};

// Times that the API does not give are absl::InfinitePast().
struct KubeMeta {
  std::string uid;
  std::string name_space;
  std::string name;
  std::string resource_version;
  std::int64_t generation = 0;
  absl::Time created = absl::InfinitePast();
  // `deletionTimestamp` is set: it is on its way out.
  bool is_deleted = false;
  KubeLabels labels;
  std::optional<KubeOwner> controller;
};

struct KubeCondition {
  std::string type;    // "Progressing"
  std::string status;  // "True", "False", "Unknown"
  std::string reason;
  std::string message;
  absl::Time since = absl::InfinitePast();  // lastTransitionTime
};

// A container of a pod or of a pod's template.
struct KubeContainerSpec {
  std::string name;
  std::string image;
  bool has_probe = false;  // readiness, liveness or startup
  // An init container with restartPolicy Always.
  bool is_sidecar = false;
};

// A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob.
struct KubeWorkload {
  KubeKind kind = KubeKind::kDeployment;
  KubeMeta meta;
  std::vector<KubeContainerSpec> containers;  // of the template
  std::int64_t observed_generation = 0;
  std::vector<KubeCondition> conditions;

  // Wanted; a DaemonSet's desiredNumberScheduled, a Job's parallelism. Absent: 1 by default of the API.
  std::int64_t replicas = 1;
  std::int64_t status_replicas = 0;   // there are, of any generation
  std::int64_t updated_replicas = 0;  // of the newest template
  std::int64_t ready_replicas = 0;
  std::int64_t available_replicas = 0;
  std::int64_t progress_deadline_seconds = 600;
  bool is_paused = false;
  std::string update_revision;   // of a StatefulSet
  std::string current_revision;  // likewise
  // Of a StatefulSet: OnDelete, or a partition, keeps older pods on purpose. Of a DaemonSet: OnDelete.
  bool keeps_old_pods = false;
  // deployment.kubernetes.io/revision, of Deployments and their ReplicaSets.
  std::int64_t revision = 0;

  // Of a Job and a CronJob.
  bool is_suspended = false;
  std::int64_t active = 0;
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
  absl::Time started = absl::InfinitePast();
  absl::Time completed = absl::InfinitePast();
  absl::Time last_scheduled = absl::InfinitePast();
  // ttlSecondsAfterFinished is set: the cluster removes it by itself.
  bool removes_itself = false;
};

enum class KubeContainerState { kWaiting, kRunning, kTerminated, kUnknown };

struct KubeTermination {
  int exit_code = 0;
  std::string reason;   // "OOMKilled", "Error", "Completed"
  std::string message;  // the last line of the termination message
  absl::Time started = absl::InfinitePast();
  absl::Time finished = absl::InfinitePast();
  std::string container_id;
};

// A container of a pod: its spec and its status.
struct KubeContainer {
  KubeContainerSpec spec;
  bool is_init = false;
  KubeContainerState state = KubeContainerState::kUnknown;
  std::string waiting_reason;  // "CrashLoopBackOff"
  std::string waiting_message;
  absl::Time started = absl::InfinitePast();  // of the present run
  KubeTermination terminated;                 // of kTerminated
  // The run before.
  std::optional<KubeTermination> last;
  bool is_ready = false;
  bool has_started = false;  // its startup probe passed, or it has none
  std::int64_t restart_count = 0;
  std::string container_id;  // "containerd://..."; empty before the first run
  std::string image_id;
};

struct KubePod {
  KubeMeta meta;
  std::string node;
  std::string phase;   // "Pending", "Running", "Succeeded", "Failed", "Unknown"
  std::string reason;  // "Evicted", "NodeLost"
  std::string message;
  std::string restart_policy;  // "Always", "OnFailure", "Never"
  // annotation kubernetes.io/config.mirror
  bool is_mirror = false;
  std::vector<KubeCondition> conditions;
  std::vector<KubeContainer> containers;  // init containers first, each in the order of the spec
  absl::Time started = absl::InfinitePast();
};

// A warning about an object.
struct KubeEvent {
  KubeMeta meta;
  std::string about_kind;
  std::string about_name;
  std::string about_uid;
  std::string reason;  // "FailedScheduling", "Unhealthy"
  std::string message;
  absl::Time last_seen = absl::InfinitePast();
};

struct KubeNode {
  KubeMeta meta;
  std::int64_t cpu_millicores = 0;  // capacity
  std::int64_t memory_bytes = 0;
  bool is_ready = false;
  std::string kubelet_version;  // "v1.29.1"
};

using KubeObject = std::variant<KubeWorkload, KubePod, KubeEvent, KubeNode>;

inline const KubeMeta& MetaOf(const KubeObject& object) {
  return std::visit([](const auto& value) -> const KubeMeta& { return value.meta; }, object);
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_OBJECTS_H_
