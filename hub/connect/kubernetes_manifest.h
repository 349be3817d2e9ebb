// What `kubectl apply -f -` gets for a target of type kubernetes. Pure. The template is kubernetes_agent.yaml.in, the
// rights are those of packaging/kubernetes/agent; docs/install.md describes both.
#ifndef MUSTER_HUB_CONNECT_KUBERNETES_MANIFEST_H_
#define MUSTER_HUB_CONNECT_KUBERNETES_MANIFEST_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/secret.h"

namespace muster::hub {

// What the connect address says behind '?'.
struct KubernetesChoice {
  bool cluster = false;          // scope=cluster: every namespace, and the nodes
  std::string target_namespace;  // namespace=NS: where the agent lives; empty: where kubectl says
  std::string storage;           // storage=1Gi: a volume of that size; empty: gone with the pod
};

// Whether kubectl reads the answer, by the "scope" that the printed line has: also when the code is not known.
bool IsForKubectl(std::string_view query);

// INVALID_ARGUMENT (CONNECT_QUERY) that names the parameter and what may be written. Unknown and repeated parameters
// are refused, because a misspelt one would otherwise install something else.
absl::StatusOr<KubernetesChoice> ReadKubernetesChoice(std::string_view query);

struct KubernetesValues {
  std::string hub_url = {};           // "https://hub.example.com:8080"
  std::string hub_grpc_address = {};  // "hub.example.com:7443"
  std::string target_id = {};
  std::string target_name = {};
  Secret secret = {};
  std::string ca_pem = {};  // empty: the authorities in the agent's image
  bool insecure = false;
  std::string image = {};
  KubernetesChoice choice = {};
};

// Fails for an address, id, image or certificate that the manifest cannot carry.
absl::StatusOr<std::string> RenderKubernetesManifest(const KubernetesValues& values);

// A document that kubectl refuses before it asks a cluster for anything, with the message in its error: it quotes an
// apiVersion that has more than one slash.
std::string RefusalManifest(std::string_view message);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_KUBERNETES_MANIFEST_H_
