#include "agent/kubernetes/object_identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr struct {
  KubeKind kind;
  std::string_view name;
  std::string_view group;
  std::string_view word;
} kKinds[] = {
    {KubeKind::kDeployment, "Deployment", "apps", "deployment"},
    {KubeKind::kStatefulSet, "StatefulSet", "apps", "statefulset"},
    {KubeKind::kDaemonSet, "DaemonSet", "apps", "daemonset"},
    {KubeKind::kReplicaSet, "ReplicaSet", "apps", "replicaset"},
    {KubeKind::kJob, "Job", "batch", "job"},
    {KubeKind::kCronJob, "CronJob", "batch", "cronjob"},
    {KubeKind::kPod, "Pod", "", "pod"},
};

DeploymentIdentity Identity(std::string_view prefix, const std::string& name_space, const std::string& name,
                            types::v1::DeploymentKind kind) {
  return {.key = BoundedIdentity(fmt::format("{}/{}/{}", prefix, name_space, name), kMaxNameBytes),
          .name = BoundedIdentity(name),
          .kind = kind};
}

// The Deployment that a ReplicaSet which cannot be seen belongs to: its name ends in the hash of the pods' template.
std::string_view DeploymentOf(const KubeOwner& replica_set, const KubeLabels& labels) {
  const std::string& name = replica_set.name;
  const std::string ending = "-" + labels.pod_template_hash;
  if (labels.pod_template_hash.empty() || name.size() <= ending.size() || !name.ends_with(ending)) return "";
  return std::string_view(name).substr(0, name.size() - ending.size());
}

}  // namespace

std::string_view KubeKindWord(KubeKind kind) {
  for (const auto& row : kKinds) {
    if (row.kind == kind) return row.word;
  }
  return "object";
}

std::optional<KubeKind> KnownKind(const KubeOwner& owner) {
  for (const auto& row : kKinds) {
    if (row.name == owner.kind && row.group == owner.api_group) return row.kind;
  }
  return std::nullopt;
}

DeploymentIdentity IdentityOf(KubeKind kind, const KubeMeta& meta) {
  const KubeLabels& labels = meta.labels;
  if (!labels.instance.empty()) {
    if (labels.managed_by == "Helm") {
      return Identity("helm", meta.name_space, labels.instance, types::v1::DEPLOYMENT_KIND_HELM_RELEASE);
    }
    return Identity("app", meta.name_space, labels.instance, types::v1::DEPLOYMENT_KIND_WORKLOAD);
  }
  constexpr auto kWorkload = types::v1::DEPLOYMENT_KIND_WORKLOAD;
  if (!meta.controller.has_value()) return Identity(KubeKindWord(kind), meta.name_space, meta.name, kWorkload);
  const KubeOwner& owner = *meta.controller;
  if (const std::string_view deployment = DeploymentOf(owner, labels); !deployment.empty()) {
    return Identity(KubeKindWord(KubeKind::kDeployment), meta.name_space, std::string(deployment), kWorkload);
  }
  return Identity(absl::AsciiStrToLower(owner.kind), meta.name_space, owner.name, kWorkload);
}

std::string TopName(const KubeMeta& meta) {
  if (!meta.controller.has_value()) return meta.name;
  const std::string_view deployment = DeploymentOf(*meta.controller, meta.labels);
  return deployment.empty() ? meta.controller->name : std::string(deployment);
}

ApplicationName ApplicationOf(const std::vector<KubeSpokesman>& spokesmen, std::string_view deployment_name) {
  const auto first_with = [&spokesmen](std::string KubeLabels::*label) {
    const auto it = std::find_if(spokesmen.begin(), spokesmen.end(),
                                 [label](const KubeSpokesman& s) { return !(s.labels.*label).empty(); });
    return it == spokesmen.end() ? nullptr : &*it;
  };
  const KubeSpokesman* versioned = first_with(&KubeLabels::muster_version);
  const KubeSpokesman* speaker = first_with(&KubeLabels::muster_application);
  if (speaker == nullptr) speaker = versioned;
  if (speaker == nullptr) speaker = first_with(&KubeLabels::name);
  if (speaker == nullptr && !spokesmen.empty()) speaker = &spokesmen.front();
  ApplicationName name{.application = CleanUtf8(deployment_name, kMaxNameBytes), .version = ""};
  if (speaker == nullptr) return name;
  const KubeLabels& labels = speaker->labels;
  if (!labels.muster_application.empty()) {
    name.application = CleanUtf8(labels.muster_application, kMaxNameBytes);
  } else if (!labels.name.empty()) {
    name.application = CleanUtf8(labels.name, kMaxNameBytes);
  }
  name.version = CleanUtf8(!labels.muster_version.empty() ? labels.muster_version
                           : versioned != nullptr         ? versioned->labels.muster_version
                           : !labels.version.empty()      ? labels.version
                                                          : ImageTag(speaker->image),
                           kMaxNameBytes);
  return name;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string KubeLogPath(std::string_view name_space, std::string_view pod, std::string_view container, bool previous) {
  return fmt::format("/api/v1/namespaces/{}/pods/{}/log?container={}{}", PercentEncode(name_space), PercentEncode(pod),
                     PercentEncode(container), previous ? "&previous=true" : "");
}

}  // namespace muster::agent
