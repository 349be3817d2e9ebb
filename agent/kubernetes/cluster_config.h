// Where the API server is, and as whom the agent comes to it (docs/kubernetes.md, "Where the API server is"). Called
// once at the start, by whoever makes the observer. Both read small files and block on them.
#ifndef MUSTER_AGENT_KUBERNETES_CLUSTER_CONFIG_H_
#define MUSTER_AGENT_KUBERNETES_CLUSTER_CONFIG_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/http/http_server.h"
#include "common/clock.h"

namespace muster::agent {

struct ClusterConfig {
  // For BeastHttpClient and BeastStreamGroup; all that are made from it share its tokens.
  HttpServer server;
  // The pod's, or the kubeconfig's context's ("default" where it names none).
  std::string own_namespace;
};

using EnvLookup = std::function<std::optional<std::string>(const std::string& name)>;

// In a pod, by KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and the files ca.crt, namespace and token in
// `directory`. The token is read anew as the kubelet renews it; `clock` outlives the config. kNotFound
// (NOT_IN_CLUSTER): this is no pod. Other errors: it is one, and what is missing in it.
absl::StatusOr<ClusterConfig> InClusterConfig(const EnvLookup& environment, const std::string& directory,
                                              const Clock* clock = Clock::System());

// By the current context of a kubeconfig of at most 1 MiB. Errors name the file and say what to do; see kubeconfig.h.
absl::StatusOr<ClusterConfig> ReadKubeconfig(const std::string& path, const Clock* clock = Clock::System());

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_CLUSTER_CONFIG_H_
