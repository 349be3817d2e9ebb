// install.sh with the values of one target in it. Pure. The template is hub/connect/install.sh.in; docs/install.md says
// what the script does.
#ifndef MUSTER_HUB_CONNECT_INSTALL_SCRIPT_H_
#define MUSTER_HUB_CONNECT_INSTALL_SCRIPT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace muster::hub {

struct InstallScriptValues {
  std::string hub_url = {};           // "https://hub.example.com:8080"
  std::string hub_grpc_address = {};  // "hub.example.com:7443"
  std::string target_id = {};
  std::string target_name = {};
  std::string target_type = {};  // "docker" or "host"
  Secret secret = {};
  std::string ca_pem = {};              // empty: the host's trust store
  std::string spki_sha256_base64 = {};  // empty: no pin
  bool insecure = false;
  std::string version = {};
  std::string binary_arch = {};
  std::string binary_sha256 = {};
  absl::Time hub_time = {};
};

// Fails for an address or id with characters that the agent's settings file cannot carry.
absl::StatusOr<std::string> RenderInstallScript(const InstallScriptValues& values);

// A script that says why there is none and fails.
std::string RefusalScript(std::string_view message);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_INSTALL_SCRIPT_H_
