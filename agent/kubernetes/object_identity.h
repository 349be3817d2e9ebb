// Which deployment an object of a cluster belongs to, and what a deployment calls itself (docs/kubernetes.md, "Which
// deployment an object belongs to"). Pure functions over plain values.
#ifndef MUSTER_AGENT_KUBERNETES_OBJECT_IDENTITY_H_
#define MUSTER_AGENT_KUBERNETES_OBJECT_IDENTITY_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/deployments/names.h"
#include "agent/kubernetes/objects.h"

namespace muster::agent {

// "deployment"; of a pod "pod".
std::string_view KubeKindWord(KubeKind kind);
// The kind that we read and that this owner is of; nullopt: another one, or one of the same name from elsewhere.
std::optional<KubeKind> KnownKind(const KubeOwner& owner);

// Of an object that stands at the top: it has no controller, or one that is not known. The name is without a namespace.
DeploymentIdentity IdentityOf(KubeKind kind, const KubeMeta& meta);

// What lines and messages name as the workload: the controller that is not known, else the object itself.
std::string TopName(const KubeMeta& meta);

// One workload, or pod without one, that may speak for its deployment.
struct KubeSpokesman {
  KubeLabels labels;
  std::string image;  // of its first container
};
// `spokesmen` in the order in which they may speak. Texts are bounded and never empty but the version.
ApplicationName ApplicationOf(const std::vector<KubeSpokesman>& spokesmen, std::string_view deployment_name);

// For a part of a path or query: everything but what RFC 3986 calls unreserved becomes %XX.
std::string PercentEncode(std::string_view text);

// "/api/v1/namespaces/NS/pods/POD/log?container=C", with "&previous=true" for the run before.
std::string KubeLogPath(std::string_view name_space, std::string_view pod, std::string_view container, bool previous);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_OBJECT_IDENTITY_H_
