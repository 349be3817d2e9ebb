// Configuration of `muster-agent run`: raw text from flags and environment, and the validated form everything else
// uses.
#ifndef MUSTER_AGENT_CONFIG_H_
#define MUSTER_AGENT_CONFIG_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/secret.h"

namespace muster::agent {

// As written by a person: flags, else MUSTER_AGENT_*, else these defaults.
struct RawRunConfig {
  std::string hub;
  std::string target_id;
  std::string target_secret_file;
  std::string data_dir;
  std::string runtime = "auto";
  std::string docker_socket = "/var/run/docker.sock";
  // Of Kubernetes. Empty: as a pod sees it.
  std::string kubeconfig;
  std::string service_account_dir = "/var/run/secrets/kubernetes.io/serviceaccount";
  std::string kube_namespace;
  bool cluster = false;
  std::string host_root = "/";
  std::string ca_file;
  std::string journal_bytes = "256MiB";
  std::string container_logs = "on";
  std::string mask_file;
  // Empty: push.sock in the data folder.
  std::string push_socket;
  std::string push_socket_mode = "0660";
  bool insecure = false;
  bool verbose = false;
};

enum class Runtime { kAuto, kDocker, kKubernetes, kNone };

struct HubAddress {
  std::string address;  // "host:port"
  std::string ca_pem;   // empty: the system's roots
  bool insecure = false;
};

struct RunConfig {
  HubAddress hub;
  std::string target_id;
  std::string secret_file;
  Secret secret;
  std::string data_dir;
  Runtime runtime = Runtime::kAuto;
  std::string docker_socket;
  std::string kubeconfig;
  std::string service_account_dir;
  // One namespace, empty: the agent's own; or the whole cluster.
  std::string kube_namespace;
  bool cluster = false;
  // What stands in front of the host's paths: "" is this machine, else without a slash at the end.
  std::string host_root;
  std::int64_t journal_bytes = 0;
  // False: forbidden on this host, whatever the hub says.
  bool container_logs = true;
  // The host's own, of --mask-file: Masker::Create takes them.
  std::vector<std::string> mask_expressions;
  // Empty: jobs cannot push on this host.
  std::string push_socket;
  mode_t push_socket_mode = 0660;
};

// Reads the secret, the CA and the mask file. Every error is one sentence that says what to do.
absl::StatusOr<RunConfig> Finalize(const RawRunConfig& raw);
// The part that says where the hub is.
absl::StatusOr<HubAddress> FinalizeHub(const RawRunConfig& raw);
// The forms that RunConfig has.
absl::StatusOr<Runtime> ParseRuntime(const std::string& text);
absl::StatusOr<std::string> ParseHostRoot(const std::string& text);
// The expressions in a mask file, one a line; empty lines and those that begin with # are skipped. An error names the
// file and the line.
absl::StatusOr<std::vector<std::string>> ReadMaskFile(const std::string& path);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_CONFIG_H_
