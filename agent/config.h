// Configuration of `muster-agent run`: raw text from flags and environment, and the validated form everything else
// uses.
#ifndef MUSTER_AGENT_CONFIG_H_
#define MUSTER_AGENT_CONFIG_H_

#include <cstdint>
#include <string>

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
  std::string ca_file;
  std::string journal_bytes = "256MiB";
  bool insecure = false;
  bool verbose = false;
};

enum class Runtime { kAuto, kDocker, kNone };

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
  std::int64_t journal_bytes = 0;
};

// Reads the secret and the CA. Every error is one sentence that says what to do.
absl::StatusOr<RunConfig> Finalize(const RawRunConfig& raw);
// The part that says where the hub is.
absl::StatusOr<HubAddress> FinalizeHub(const RawRunConfig& raw);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_CONFIG_H_
