#include "agent/kubernetes/object_fields.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "agent/deployments/json_values.h"
#include "agent/deployments/names.h"
#include "agent/kubernetes/object_decode.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using nlohmann::json;

constexpr const char* kMetaPaths[] = {
    "metadata uid",
    "metadata namespace",
    "metadata name",
    "metadata resourceVersion",
    "metadata generation",
    "metadata creationTimestamp",
    "metadata deletionTimestamp",
    "metadata labels app.kubernetes.io/instance",
    "metadata labels app.kubernetes.io/name",
    "metadata labels app.kubernetes.io/version",
    "metadata labels app.kubernetes.io/managed-by",
    "metadata labels muster.application",
    "metadata labels muster.version",
    "metadata labels pod-template-hash",
    "metadata labels controller-revision-hash",
    "metadata ownerReferences apiVersion",
    "metadata ownerReferences kind",
    "metadata ownerReferences name",
    "metadata ownerReferences uid",
    "metadata ownerReferences controller",
};
constexpr const char* kConditionPaths[] = {
    "status conditions type",
    "status conditions status",
    "status conditions reason",
    "status conditions message",
    "status conditions lastTransitionTime",
};
constexpr const char* kWorkloadPaths[] = {
    "metadata annotations deployment.kubernetes.io/revision",
    "spec replicas",
    "spec progressDeadlineSeconds",
    "spec paused",
    "spec suspend",
    "spec parallelism",
    "spec ttlSecondsAfterFinished",
    "spec updateStrategy type",
    "spec updateStrategy rollingUpdate partition",
    "status observedGeneration",
    "status replicas",
    "status updatedReplicas",
    "status readyReplicas",
    "status availableReplicas",
    "status desiredNumberScheduled",
    "status currentNumberScheduled",
    "status updatedNumberScheduled",
    "status numberReady",
    "status numberAvailable",
    "status updateRevision",
    "status currentRevision",
    "status active",
    "status succeeded",
    "status failed",
    "status startTime",
    "status completionTime",
    "status lastScheduleTime",
};
constexpr const char* kPodPaths[] = {
    "metadata annotations kubernetes.io/config.mirror",
    "spec nodeName",
    "spec restartPolicy",
    "status phase",
    "status reason",
    "status message",
    "status startTime",
};
constexpr const char* kContainerPaths[] = {
    "name", "image", "restartPolicy", "readinessProbe", "livenessProbe", "startupProbe",
};
constexpr const char* kContainerStatusPaths[] = {
    "name",
    "ready",
    "started",
    "restartCount",
    "containerID",
    "imageID",
    "state waiting reason",
    "state waiting message",
    "state running startedAt",
    "state terminated exitCode",
    "state terminated reason",
    "state terminated message",
    "state terminated startedAt",
    "state terminated finishedAt",
    "state terminated containerID",
    "lastState terminated exitCode",
    "lastState terminated reason",
    "lastState terminated message",
    "lastState terminated startedAt",
    "lastState terminated finishedAt",
    "lastState terminated containerID",
};
constexpr const char* kEventPaths[] = {
    "involvedObject kind", "involvedObject name", "involvedObject uid",      "reason", "message", "lastTimestamp",
    "firstTimestamp",      "eventTime",           "series lastObservedTime",
};
constexpr const char* kNodePaths[] = {"status capacity cpu", "status capacity memory",
                                      "status nodeInfo kubeletVersion"};

template <typename Paths>
void AddPaths(const std::string& prefix, const Paths& paths, std::vector<std::string>& all) {
  for (const char* path : paths) all.push_back(prefix + path);
}

std::string Text(const json& object, std::string_view key) { return JsonText(JsonAt(object, key), kMaxKubeTextBytes); }

std::string Message(const json& object) { return FirstLine(JsonText(JsonAt(object, "message")), kMaxKubeMessageBytes); }

// What a program said at its end, or the tail of its log: what matters comes last.
std::string LastMessage(const json& object) {
  std::string_view text = JsonText(JsonAt(object, "message"));
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return "";
  text = text.substr(0, end + 1);
  const std::size_t begin = text.find_last_of("\r\n");
  return FirstLine(begin == std::string_view::npos ? text : text.substr(begin), kMaxKubeMessageBytes);
}

std::int64_t Count(const json& object, std::string_view key) { return JsonCount(JsonAt(object, key)); }

std::int64_t CountOr(const json& object, std::string_view key, std::int64_t absent) {
  const json& value = JsonAt(object, key);
  return value.is_number_integer() ? JsonCount(value) : absent;
}

std::int64_t NumberIn(std::string_view text) {
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || number > std::numeric_limits<std::int64_t>::max() / 10 - 10) return 0;
    number = number * 10 + (c - '0');
  }
  return number;
}

// "apps" of "apps/v1"; empty of "v1".
std::string GroupOf(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? "" : std::string(api_version.substr(0, slash));
}

KubeMeta MetaOfJson(const json& object) {
  const json& metadata = JsonAt(object, "metadata");
  KubeMeta meta;
  meta.uid = Text(metadata, "uid");
  meta.name_space = Text(metadata, "namespace");
  meta.name = Text(metadata, "name");
  meta.resource_version = Text(metadata, "resourceVersion");
  meta.generation = Count(metadata, "generation");
  meta.created = JsonTime(JsonAt(metadata, "creationTimestamp"));
  meta.is_deleted = JsonAt(metadata, "deletionTimestamp").is_string();
  const json& labels = JsonAt(metadata, "labels");
  meta.labels.instance = Text(labels, "app.kubernetes.io/instance");
  meta.labels.name = Text(labels, "app.kubernetes.io/name");
  meta.labels.version = Text(labels, "app.kubernetes.io/version");
  meta.labels.managed_by = Text(labels, "app.kubernetes.io/managed-by");
  meta.labels.muster_application = Text(labels, "muster.application");
  meta.labels.muster_version = Text(labels, "muster.version");
  meta.labels.pod_template_hash = Text(labels, "pod-template-hash");
  meta.labels.controller_revision = Text(labels, "controller-revision-hash");
  const json& owners = JsonAt(metadata, "ownerReferences");
  for (std::size_t i = 0; owners.is_array() && i < owners.size(); ++i) {
    if (!JsonFlag(JsonAt(owners[i], "controller"))) continue;
    meta.controller = KubeOwner{.kind = Text(owners[i], "kind"),
                                .api_group = GroupOf(JsonText(JsonAt(owners[i], "apiVersion"))),
                                .name = Text(owners[i], "name"),
                                .uid = Text(owners[i], "uid")};
    break;
  }
  return meta;
}

std::vector<KubeCondition> ConditionsOf(const json& status) {
  std::vector<KubeCondition> conditions;
  const json& rows = JsonAt(status, "conditions");
  for (std::size_t i = 0; rows.is_array() && i < rows.size(); ++i) {
    conditions.push_back({.type = Text(rows[i], "type"),
                          .status = Text(rows[i], "status"),
                          .reason = Text(rows[i], "reason"),
                          .message = Message(rows[i]),
                          .since = JsonTime(JsonAt(rows[i], "lastTransitionTime"))});
  }
  return conditions;
}

KubeContainerSpec SpecOf(const json& row) {
  KubeContainerSpec spec;
  spec.name = Text(row, "name");
  spec.image = Text(row, "image");
  for (const char* probe : {"readinessProbe", "livenessProbe", "startupProbe"}) {
    spec.has_probe = spec.has_probe || JsonAt(row, probe).is_object();
  }
  spec.is_sidecar = JsonText(JsonAt(row, "restartPolicy")) == "Always";
  return spec;
}

std::vector<KubeContainerSpec> SpecsOf(const json& rows) {
  std::vector<KubeContainerSpec> specs;
  for (std::size_t i = 0; rows.is_array() && i < rows.size(); ++i) specs.push_back(SpecOf(rows[i]));
  return specs;
}

KubeTermination TerminationOf(const json& terminated) {
  return {.exit_code = JsonInt(JsonAt(terminated, "exitCode")),
          .reason = Text(terminated, "reason"),
          .message = LastMessage(terminated),
          .started = JsonTime(JsonAt(terminated, "startedAt")),
          .finished = JsonTime(JsonAt(terminated, "finishedAt")),
          .container_id = Text(terminated, "containerID")};
}

void SetContainerStatus(const json& row, KubeContainer& container) {
  const json& state = JsonAt(row, "state");
  if (const json& running = JsonAt(state, "running"); running.is_object()) {
    container.state = KubeContainerState::kRunning;
    container.started = JsonTime(JsonAt(running, "startedAt"));
  } else if (const json& terminated = JsonAt(state, "terminated"); terminated.is_object()) {
    container.state = KubeContainerState::kTerminated;
    container.terminated = TerminationOf(terminated);
    container.started = container.terminated.started;
  } else if (const json& waiting = JsonAt(state, "waiting"); waiting.is_object()) {
    container.state = KubeContainerState::kWaiting;
    container.waiting_reason = Text(waiting, "reason");
    container.waiting_message = Message(waiting);
  }
  if (const json& last = JsonAt(JsonAt(row, "lastState"), "terminated"); last.is_object()) {
    container.last = TerminationOf(last);
  }
  container.is_ready = JsonFlag(JsonAt(row, "ready"));
  container.has_started = JsonFlag(JsonAt(row, "started"));
  container.restart_count = Count(row, "restartCount");
  container.container_id = Text(row, "containerID");
  container.image_id = Text(row, "imageID");
}

void AddContainers(const json& specs, const json& statuses, bool is_init, std::vector<KubeContainer>& containers) {
  for (KubeContainerSpec& spec : SpecsOf(specs)) {
    if (containers.size() == kMaxKubeParts) return;
    KubeContainer container;
    for (std::size_t i = 0; statuses.is_array() && i < statuses.size(); ++i) {
      if (JsonText(JsonAt(statuses[i], "name")) == spec.name) SetContainerStatus(statuses[i], container);
    }
    container.spec = std::move(spec);
    container.is_init = is_init;
    container.spec.is_sidecar = is_init && container.spec.is_sidecar;
    containers.push_back(std::move(container));
  }
}

KubePod PodOf(const json& object) {
  const json& spec = JsonAt(object, "spec");
  const json& status = JsonAt(object, "status");
  KubePod pod;
  pod.meta = MetaOfJson(object);
  pod.node = Text(spec, "nodeName");
  pod.phase = Text(status, "phase");
  pod.reason = Text(status, "reason");
  pod.message = Message(status);
  pod.restart_policy = Text(spec, "restartPolicy");
  pod.is_mirror = JsonAt(JsonAt(JsonAt(object, "metadata"), "annotations"), "kubernetes.io/config.mirror").is_string();
  pod.conditions = ConditionsOf(status);
  AddContainers(JsonAt(spec, "initContainers"), JsonAt(status, "initContainerStatuses"), true, pod.containers);
  AddContainers(JsonAt(spec, "containers"), JsonAt(status, "containerStatuses"), false, pod.containers);
  pod.started = JsonTime(JsonAt(status, "startTime"));
  return pod;
}

void SetReplicas(const json& spec, const json& status, KubeWorkload& workload) {
  if (workload.kind == KubeKind::kDaemonSet) {
    workload.replicas = Count(status, "desiredNumberScheduled");
    workload.status_replicas = Count(status, "currentNumberScheduled");
    workload.updated_replicas = Count(status, "updatedNumberScheduled");
    workload.ready_replicas = Count(status, "numberReady");
    workload.available_replicas = Count(status, "numberAvailable");
    return;
  }
  workload.replicas = CountOr(spec, workload.kind == KubeKind::kJob ? "parallelism" : "replicas", 1);
  workload.status_replicas = Count(status, "replicas");
  workload.updated_replicas = Count(status, "updatedReplicas");
  workload.ready_replicas = Count(status, "readyReplicas");
  workload.available_replicas = Count(status, "availableReplicas");
}

KubeWorkload WorkloadOf(KubeKind kind, const json& object) {
  const json& spec = JsonAt(object, "spec");
  const json& status = JsonAt(object, "status");
  const json& strategy = JsonAt(spec, "updateStrategy");
  const json& template_owner = kind == KubeKind::kCronJob ? JsonAt(JsonAt(spec, "jobTemplate"), "spec") : spec;
  KubeWorkload workload;
  workload.kind = kind;
  workload.meta = MetaOfJson(object);
  workload.containers = SpecsOf(JsonAt(JsonAt(JsonAt(template_owner, "template"), "spec"), "containers"));
  workload.observed_generation = Count(status, "observedGeneration");
  workload.conditions = ConditionsOf(status);
  SetReplicas(spec, status, workload);
  workload.progress_deadline_seconds = CountOr(spec, "progressDeadlineSeconds", workload.progress_deadline_seconds);
  workload.is_paused = JsonFlag(JsonAt(spec, "paused"));
  workload.update_revision = Text(status, "updateRevision");
  workload.current_revision = Text(status, "currentRevision");
  workload.keeps_old_pods =
      JsonText(JsonAt(strategy, "type")) == "OnDelete" || Count(JsonAt(strategy, "rollingUpdate"), "partition") > 0;
  workload.revision = NumberIn(
      JsonText(JsonAt(JsonAt(JsonAt(object, "metadata"), "annotations"), "deployment.kubernetes.io/revision")));
  workload.is_suspended = JsonFlag(JsonAt(spec, "suspend"));
  // A CronJob names its active Jobs.
  const json& active = JsonAt(status, "active");
  workload.active = active.is_array() ? static_cast<std::int64_t>(active.size()) : JsonCount(active);
  workload.succeeded = Count(status, "succeeded");
  workload.failed = Count(status, "failed");
  workload.started = JsonTime(JsonAt(status, "startTime"));
  workload.completed = JsonTime(JsonAt(status, "completionTime"));
  workload.last_scheduled = JsonTime(JsonAt(status, "lastScheduleTime"));
  workload.removes_itself = JsonAt(spec, "ttlSecondsAfterFinished").is_number_integer();
  return workload;
}

KubeEvent EventOf(const json& object) {
  const json& about = JsonAt(object, "involvedObject");
  KubeEvent event;
  event.meta = MetaOfJson(object);
  event.about_kind = Text(about, "kind");
  event.about_name = Text(about, "name");
  event.about_uid = Text(about, "uid");
  event.reason = Text(object, "reason");
  event.message = Message(object);
  event.last_seen = std::max({event.meta.created, JsonTime(JsonAt(object, "firstTimestamp")),
                              JsonTime(JsonAt(object, "lastTimestamp")), JsonTime(JsonAt(object, "eventTime")),
                              JsonTime(JsonAt(JsonAt(object, "series"), "lastObservedTime"))});
  return event;
}

KubeNode NodeOf(const json& object) {
  const json& status = JsonAt(object, "status");
  const json& capacity = JsonAt(status, "capacity");
  KubeNode node;
  node.meta = MetaOfJson(object);
  node.cpu_millicores = ParseKubeMilli(JsonText(JsonAt(capacity, "cpu"))).value_or(0);
  node.memory_bytes = ParseKubeBytes(JsonText(JsonAt(capacity, "memory"))).value_or(0);
  const std::vector<KubeCondition> conditions = ConditionsOf(status);
  node.is_ready = std::any_of(conditions.begin(), conditions.end(), [](const KubeCondition& condition) {
    return condition.type == "Ready" && condition.status == "True";
  });
  node.kubelet_version = Text(JsonAt(status, "nodeInfo"), "kubeletVersion");
  return node;
}

}  // namespace

std::vector<std::string> KubeFieldPaths(KubeKind kind, const std::string& prefix) {
  std::vector<std::string> paths;
  AddPaths(prefix, kMetaPaths, paths);
  if (kind == KubeKind::kEvent) {
    AddPaths(prefix, kEventPaths, paths);
    return paths;
  }
  AddPaths(prefix, kConditionPaths, paths);
  if (kind == KubeKind::kNode) {
    AddPaths(prefix, kNodePaths, paths);
  } else if (kind == KubeKind::kPod) {
    AddPaths(prefix, kPodPaths, paths);
    for (const char* list : {"spec containers ", "spec initContainers "}) {
      AddPaths(prefix + list, kContainerPaths, paths);
    }
    for (const char* list : {"status containerStatuses ", "status initContainerStatuses "}) {
      AddPaths(prefix + list, kContainerStatusPaths, paths);
    }
  } else {
    AddPaths(prefix, kWorkloadPaths, paths);
    const char* list = kind == KubeKind::kCronJob ? "spec jobTemplate spec template spec containers "
                                                  : "spec template spec containers ";
    AddPaths(prefix + list, kContainerPaths, paths);
  }
  return paths;
}

KubeObject KubeObjectOf(KubeKind kind, const json& json) {
  switch (kind) {
    case KubeKind::kPod:
      return PodOf(json);
    case KubeKind::kEvent:
      return EventOf(json);
    case KubeKind::kNode:
      return NodeOf(json);
    default:
      return WorkloadOf(kind, json);
  }
}

}  // namespace muster::agent
