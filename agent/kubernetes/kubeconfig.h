// What a kubeconfig's current context says, still with the paths of its files. A pure function; the files are read by
// cluster_config.h. Fuzzed by kubeconfig_fuzz.cc.
// Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
#ifndef MUSTER_AGENT_KUBERNETES_KUBECONFIG_H_
#define MUSTER_AGENT_KUBERNETES_KUBECONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster::agent {

// Of a pair of data and file, the data is used where there is some, as kubectl does.
struct KubeconfigPem {
  // Decoded from base64.
  std::string data;
  std::string file;
};

struct Kubeconfig {
  // Of `server`: https://HOST[:PORT], IPv6 without brackets.
  std::string host;
  std::uint16_t port = 443;
  std::string server_name;
  bool skip_verify = false;
  KubeconfigPem ca;
  KubeconfigPem client_certificate;
  KubeconfigPem client_key;
  std::string token;
  // Wins over `token`.
  std::string token_file;
  // "default" where the context names none.
  std::string name_space;
};

// kInvalidArgument or kResourceExhausted with what to do; kUnimplemented for what an agent does not do (exec,
// auth-provider, a proxy, user and password, impersonation, an address with a path). No error has a secret in it.
absl::StatusOr<Kubeconfig> DecodeKubeconfig(std::string_view text);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_KUBECONFIG_H_
