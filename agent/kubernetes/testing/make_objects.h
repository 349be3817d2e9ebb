// Objects of a cluster as tests need them: ready and in order, for the test to break.
#ifndef MUSTER_AGENT_KUBERNETES_TESTING_MAKE_OBJECTS_H_
#define MUSTER_AGENT_KUBERNETES_TESTING_MAKE_OBJECTS_H_

#include <string>
#include <utility>

#include "agent/kubernetes/objects.h"

namespace muster::agent {

inline constexpr absl::Time kTestNow = absl::FromUnixSeconds(1'800'000'000);

inline void SetCondition(std::vector<KubeCondition>& conditions, const std::string& type, const std::string& status,
                         absl::Time since, const std::string& reason = "", const std::string& message = "") {
  std::erase_if(conditions, [&](const KubeCondition& condition) { return condition.type == type; });
  conditions.push_back({.type = type, .status = status, .reason = reason, .message = message, .since = since});
}

inline KubeContainer MakeContainer(const std::string& name, absl::Time started = kTestNow - absl::Hours(1)) {
  KubeContainer container;
  container.spec.name = name;
  container.spec.image = "shop/" + name + ":1.2";
  container.state = KubeContainerState::kRunning;
  container.started = started;
  container.is_ready = true;
  container.has_started = true;
  container.container_id = "containerd://" + name;
  container.image_id = "sha256:" + name;
  return container;
}

inline KubeTermination MakeEnd(int exit_code, absl::Time finished, const std::string& reason = "Error") {
  return {.exit_code = exit_code,
          .reason = reason,
          .message = "",
          .started = finished - absl::Minutes(1),
          .finished = finished,
          .container_id = "containerd://before"};
}

inline void Wait(KubeContainer& container, const std::string& reason, const std::string& message = "") {
  container.state = KubeContainerState::kWaiting;
  container.waiting_reason = reason;
  container.waiting_message = message;
  container.started = absl::InfinitePast();
  container.is_ready = false;
  container.has_started = false;
}

inline void End(KubeContainer& container, int exit_code, absl::Time finished, const std::string& reason = "Error") {
  container.state = KubeContainerState::kTerminated;
  container.terminated = MakeEnd(exit_code, finished, reason);
  container.is_ready = false;
}

inline void SetReady(KubePod& pod, bool ready, absl::Time since) {
  SetCondition(pod.conditions, "Ready", ready ? "True" : "False", since, ready ? "" : "ContainersNotReady");
  SetCondition(pod.conditions, "ContainersReady", ready ? "True" : "False", since);
}

// Ready for an hour, with one container "web" without a probe.
inline KubePod MakePod(const std::string& name, const std::string& name_space = "shop",
                       absl::Time created = kTestNow - absl::Hours(1)) {
  KubePod pod;
  pod.meta.uid = "uid-" + name_space + "-" + name;
  pod.meta.name = name;
  pod.meta.name_space = name_space;
  pod.meta.created = created;
  pod.node = "n1";
  pod.phase = "Running";
  pod.restart_policy = "Always";
  pod.containers = {MakeContainer("web", created)};
  pod.containers[0].container_id = "containerd://" + name;
  SetCondition(pod.conditions, "PodScheduled", "True", created);
  SetReady(pod, true, created);
  return pod;
}

// All of its replicas are there.
inline KubeWorkload MakeWorkload(KubeKind kind, const std::string& name, int replicas = 1,
                                 const std::string& name_space = "shop") {
  KubeWorkload workload;
  workload.kind = kind;
  workload.meta.uid = "uid-" + name_space + "-" + name;
  workload.meta.name = name;
  workload.meta.name_space = name_space;
  workload.meta.generation = workload.observed_generation = 1;
  workload.meta.created = kTestNow - absl::Hours(1);
  workload.replicas = workload.status_replicas = workload.updated_replicas = workload.ready_replicas =
      workload.available_replicas = replicas;
  KubeContainerSpec spec;
  spec.name = "web";
  spec.image = "shop/web:1.2";
  workload.containers = {spec};
  return workload;
}

inline void Own(const KubeWorkload& owner, KubeMeta& meta) {
  constexpr const char* kNames[] = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"};
  const bool is_batch = owner.kind == KubeKind::kJob || owner.kind == KubeKind::kCronJob;
  meta.controller = KubeOwner{.kind = kNames[static_cast<int>(owner.kind)],
                              .api_group = is_batch ? "batch" : "apps",
                              .name = owner.meta.name,
                              .uid = owner.meta.uid};
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_TESTING_MAKE_OBJECTS_H_
