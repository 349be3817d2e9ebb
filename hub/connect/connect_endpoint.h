// GET /connect/CODE gives the install script, or the manifest for kubectl, with a fresh secret in it; GET
// /download/muster-agent/linux-ARCH gives the agent's binary. docs/install.md describes both and the script.
// Thread-safe.
#ifndef MUSTER_HUB_CONNECT_CONNECT_ENDPOINT_H_
#define MUSTER_HUB_CONNECT_CONNECT_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/secret.h"
#include "hub/connect/agent_binary.h"
#include "hub/connect/failure_limiter.h"
#include "hub/http/http.h"
#include "hub/http/router.h"
#include "hub/http/worker_pool.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

struct ConnectGrant {
  std::string target_id;
  std::string target_name;
  types::v1::TargetType type = types::v1::TARGET_TYPE_UNSPECIFIED;
  // Minted for this fetch; the one before it is void.
  Secret secret;
};

// Thread-safe. Called on worker threads; may block on the store.
class ConnectService {
 public:
  virtual ~ConnectService() = default;
  // Mints a secret. NotFound (CONNECT_CODE_UNKNOWN): no such code. FailedPrecondition (CONNECT_CODE_USED,
  // CONNECT_CODE_EXPIRED): the code was good once. A code is void after the first session, not after the first fetch.
  virtual absl::StatusOr<ConnectGrant> Redeem(std::string_view code) = 0;
  // The type of the code's target without minting, so that one that cannot be installed keeps its secret. Same errors.
  virtual absl::StatusOr<types::v1::TargetType> TypeOf(std::string_view code) = 0;
};

struct ConnectEndpointOptions {
  std::string public_url;        // where the script fetches the binary: "https://hub.example.com:8080"
  std::string hub_grpc_address;  // "hub.example.com:7443"
  std::string ca_pem;            // of the hub's own authority; empty: the host's trust store decides
  // Of the hub's own certificate: lets the script fetch the binary under any name of the hub. Empty: names must match.
  std::string spki_sha256_base64 = "";
  bool insecure = false;         // the agent connects without TLS
  std::string agent_image = "";  // in manifests
  ConnectService* service = nullptr;
  AgentBinary* binary = nullptr;
  WorkerPool* workers = nullptr;
  const Clock* clock = nullptr;
  // "ok", "used", "expired", "unknown", "limited", "failed": for HubMetrics::ConnectRedeemed.
  std::function<void(std::string_view result)> on_redeemed = nullptr;
};

class ConnectEndpoint {
 public:
  explicit ConnectEndpoint(ConnectEndpointOptions options);

  void AddTo(HttpRouter* router);

 private:
  struct Asked {
    std::string code;
    std::string query;
    std::string peer;
  };

  void HandleConnect(const HttpRequest& request, std::unique_ptr<HttpResponder> responder);
  void HandleDownload(HttpRequest request, std::unique_ptr<HttpResponder> responder);
  HttpResponse Redeem(const Asked& asked);
  absl::StatusOr<std::string> Script(const Asked& asked);
  absl::StatusOr<std::string> Manifest(const Asked& asked);
  HttpResponse Failure(const absl::Status& status, const Asked& asked);
  void Count(std::string_view result) const;

  const ConnectEndpointOptions options_;
  FailureLimiter failures_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_CONNECT_ENDPOINT_H_
