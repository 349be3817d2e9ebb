#include "hub/connect/connect_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/connect/install_script.h"
#include "hub/connect/kubernetes_manifest.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

constexpr char kConnectPath[] = "/connect/";
constexpr char kDownloadPath[] = "/download/muster-agent/linux-";
// A code is a prefix and 43 characters.
constexpr std::size_t kMaxCodeBytes = 100;
constexpr char kYaml[] = "application/yaml";

bool LooksLikeCode(std::string_view code) {
  return !code.empty() && code.size() <= kMaxCodeBytes && std::all_of(code.begin(), code.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

// As `query` tells who reads it: a shell, or kubectl.
HttpResponse Refusal(int http_status, std::string_view message, std::string_view query) {
  if (IsForKubectl(query)) {
    return {.status = http_status, .content_type = kYaml, .body = RefusalManifest(message)};
  }
  return {.status = http_status, .content_type = "text/x-shellscript; charset=utf-8", .body = RefusalScript(message)};
}

absl::Status Unknown() {
  return MakeError(absl::StatusCode::kNotFound, "CONNECT_CODE_UNKNOWN",
                   "this hub does not know the connect code: copy the whole line again, or get a new one with `muster "
                   "target reconnect`");
}

}  // namespace

ConnectEndpoint::ConnectEndpoint(ConnectEndpointOptions options) : options_(std::move(options)) {}

void ConnectEndpoint::AddTo(HttpRouter* router) {
  router->Add("GET", kConnectPath, [this](const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
    HandleConnect(request, std::move(responder));
  });
  router->Add("GET", "/download/", [this](HttpRequest request, std::unique_ptr<HttpResponder> responder) {
    HandleDownload(std::move(request), std::move(responder));
  });
}

void ConnectEndpoint::Count(std::string_view result) const {
  if (options_.on_redeemed) options_.on_redeemed(result);
}

void ConnectEndpoint::HandleConnect(const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
  // A GET mints a secret and voids the one before; a HEAD from a link preview must not.
  if (request.head_only) return responder->Send(Refusal(405, "fetch the connect line with GET", request.query));
  Asked asked{
      .code = request.path.substr(std::string_view(kConnectPath).size()), .query = request.query, .peer = request.peer};
  // Shared: a std::function must be copyable.
  auto shared = std::make_shared<std::unique_ptr<HttpResponder>>(std::move(responder));
  const bool taken =
      options_.workers->TrySubmit([this, asked = std::move(asked), shared] { (*shared)->Send(Redeem(asked)); });
  if (!taken) {
    Count("failed");
    (*shared)->Send(Refusal(503, "the hub has too much to do now: run the same line again in a moment", request.query));
  }
}

HttpResponse ConnectEndpoint::Redeem(const Asked& asked) {
  if (!failures_.Allows(asked.peer, options_.clock->Monotonic())) {
    Count("limited");
    return Refusal(429, "too many wrong connect codes from this address: wait a minute, then run the line again",
                   asked.query);
  }
  if (!LooksLikeCode(asked.code)) return Failure(Unknown(), asked);
  const auto type = options_.service->TypeOf(asked.code);
  if (!type.ok()) return Failure(type.status(), asked);
  const bool kubernetes = *type == types::v1::TARGET_TYPE_KUBERNETES;
  auto text = kubernetes ? Manifest(asked) : Script(asked);
  if (!text.ok()) return Failure(text.status(), asked);
  Count("ok");
  return {.content_type = kubernetes ? kYaml : "text/x-shellscript; charset=utf-8", .body = *std::move(text)};
}

// In both, everything that can fail comes before the service's Redeem: its secret voids the one before.

absl::StatusOr<std::string> ConnectEndpoint::Script(const Asked& asked) {
  if (IsForKubectl(asked.query)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "CONNECT_QUERY",
                     "this target is a host, not a cluster: leave out what begins with \"?\" and end the line with "
                     "\"| sudo sh\", or create a target of type kubernetes");
  }
  ASSIGN_OR_RETURN(const AgentBinary::Content binary, options_.binary->Get());
  ASSIGN_OR_RETURN(const ConnectGrant grant, options_.service->Redeem(asked.code));
  log::Info("gives the install script for target {} ({}) to {}", grant.target_name, grant.target_id, asked.peer);
  return RenderInstallScript({
      .hub_url = options_.public_url,
      .hub_grpc_address = options_.hub_grpc_address,
      .target_id = grant.target_id,
      .target_name = grant.target_name,
      .target_type = grant.type == types::v1::TARGET_TYPE_HOST ? "host" : "docker",
      .secret = grant.secret,
      .ca_pem = options_.ca_pem,
      .spki_sha256_base64 = options_.spki_sha256_base64,
      .insecure = options_.insecure,
      .version = kVersion,
      .binary_arch = binary.arch,
      .binary_sha256 = binary.sha256_hex,
      .hub_time = options_.clock->Now(),
  });
}

absl::StatusOr<std::string> ConnectEndpoint::Manifest(const Asked& asked) {
  ASSIGN_OR_RETURN(KubernetesChoice choice, ReadKubernetesChoice(asked.query));
  ASSIGN_OR_RETURN(const ConnectGrant grant, options_.service->Redeem(asked.code));
  log::Info("gives the manifest for target {} ({}) to {}", grant.target_name, grant.target_id, asked.peer);
  return RenderKubernetesManifest({
      .hub_url = options_.public_url,
      .hub_grpc_address = options_.hub_grpc_address,
      .target_id = grant.target_id,
      .target_name = grant.target_name,
      .secret = grant.secret,
      .ca_pem = options_.ca_pem,
      .insecure = options_.insecure,
      .image = options_.agent_image,
      .choice = std::move(choice),
  });
}

HttpResponse ConnectEndpoint::Failure(const absl::Status& status, const Asked& asked) {
  const std::string reason = ReasonOf(status);
  log::Warning("nothing to install for {}: {} [{}]", asked.peer, MessageOf(status), reason);
  int http_status = HttpStatusOf(status.code());
  std::string_view result = "failed";
  if (status.code() == absl::StatusCode::kNotFound) {
    result = "unknown";
    failures_.Failed(asked.peer, options_.clock->Monotonic());
  } else if (reason == "CONNECT_CODE_USED" || reason == "CONNECT_CODE_EXPIRED") {
    result = reason == "CONNECT_CODE_USED" ? "used" : "expired";
    http_status = 410;
    failures_.Failed(asked.peer, options_.clock->Monotonic());
  } else if (status.code() == absl::StatusCode::kFailedPrecondition) {
    http_status = 503;  // nothing the client asked for wrongly: the hub lacks something
  }
  Count(result);
  return Refusal(http_status, fmt::format("{} [{}]", MessageOf(status), reason), asked.query);
}

void ConnectEndpoint::HandleDownload(HttpRequest request, std::unique_ptr<HttpResponder> responder) {
  // Hashing a replaced binary takes 50 ms.
  auto shared = std::make_shared<std::unique_ptr<HttpResponder>>(std::move(responder));
  const bool taken = options_.workers->TrySubmit([this, path = std::move(request.path), shared] {
    const auto binary = options_.binary->Get();
    if (!binary.ok()) {
      return (*shared)->Send(ErrorResponse(503, binary.status()));
    }
    if (path != kDownloadPath + binary->arch) {
      return (*shared)->Send(
          ErrorResponse(MakeError(absl::StatusCode::kNotFound, "DOWNLOAD_NOT_FOUND",
                                  fmt::format("this hub hands out {}{} only", kDownloadPath, binary->arch))));
    }
    HttpResponse response{.content_type = "application/octet-stream", .file = binary->file};
    response.headers.push_back({"ETag", fmt::format("\"{}\"", binary->sha256_hex)});
    response.headers.push_back({"Content-Disposition", "attachment; filename=\"muster-agent\""});
    (*shared)->Send(std::move(response));
  });
  if (!taken) {
    (*shared)->Send(ErrorResponse(
        MakeError(absl::StatusCode::kResourceExhausted, "API_BUSY", "the hub has too much to do now: try again")));
  }
}

}  // namespace muster::hub
