#include "hub/connect/connect_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/connect/install_script.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

constexpr char kConnectPath[] = "/connect/";
constexpr char kDownloadPath[] = "/download/muster-agent/linux-";
// A code is a prefix and 43 characters.
constexpr std::size_t kMaxCodeBytes = 100;

bool LooksLikeCode(std::string_view code) {
  return !code.empty() && code.size() <= kMaxCodeBytes && std::all_of(code.begin(), code.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

HttpResponse Refusal(int http_status, std::string_view message) {
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
  if (request.head_only) return responder->Send(Refusal(405, "fetch the connect line with GET"));
  std::string code = request.path.substr(std::string_view(kConnectPath).size());
  // Shared: a std::function must be copyable.
  auto shared = std::make_shared<std::unique_ptr<HttpResponder>>(std::move(responder));
  const bool taken = options_.workers->TrySubmit(
      [this, code = std::move(code), peer = request.peer, shared] { (*shared)->Send(Redeem(code, peer)); });
  if (!taken) {
    Count("failed");
    (*shared)->Send(Refusal(503, "the hub has too much to do now: run the same line again in a moment"));
  }
}

HttpResponse ConnectEndpoint::Redeem(const std::string& code, const std::string& peer) {
  if (!failures_.Allows(peer, options_.clock->Monotonic())) {
    Count("limited");
    return Refusal(429, "too many wrong connect codes from this address: wait a minute, then run the line again");
  }
  if (!LooksLikeCode(code)) return Failure(Unknown(), peer);
  // Everything that can fail comes before Redeem: its secret voids the one before.
  const auto type = options_.service->TypeOf(code);
  if (!type.ok()) return Failure(type.status(), peer);
  if (*type != types::v1::TARGET_TYPE_DOCKER && *type != types::v1::TARGET_TYPE_HOST) {
    return Failure(MakeError(absl::StatusCode::kUnimplemented, "CONNECT_NOT_YET",
                             "this target is a Kubernetes cluster, which this hub cannot connect yet: create a target "
                             "of type docker or host for this machine"),
                   peer);
  }
  const auto binary = options_.binary->Get();
  if (!binary.ok()) return Failure(binary.status(), peer);
  const auto grant = options_.service->Redeem(code);
  if (!grant.ok()) return Failure(grant.status(), peer);
  const auto script = RenderInstallScript({
      .hub_url = options_.public_url,
      .hub_grpc_address = options_.hub_grpc_address,
      .target_id = grant->target_id,
      .target_name = grant->target_name,
      .target_type = grant->type == types::v1::TARGET_TYPE_HOST ? "host" : "docker",
      .secret = grant->secret,
      .ca_pem = options_.ca_pem,
      .spki_sha256_base64 = options_.spki_sha256_base64,
      .insecure = options_.insecure,
      .version = kVersion,
      .binary_arch = binary->arch,
      .binary_sha256 = binary->sha256_hex,
      .hub_time = options_.clock->Now(),
  });
  if (!script.ok()) return Failure(script.status(), peer);
  log::Info("gave the install script for target {} ({}) to {}", grant->target_name, grant->target_id, peer);
  Count("ok");
  return {.content_type = "text/x-shellscript; charset=utf-8", .body = *script};
}

HttpResponse ConnectEndpoint::Failure(const absl::Status& status, const std::string& peer) {
  const std::string reason = ReasonOf(status);
  log::Warning("no install script for {}: {} [{}]", peer, MessageOf(status), reason);
  int http_status = HttpStatusOf(status.code());
  std::string_view result = "failed";
  if (status.code() == absl::StatusCode::kNotFound) {
    result = "unknown";
    failures_.Failed(peer, options_.clock->Monotonic());
  } else if (reason == "CONNECT_CODE_USED" || reason == "CONNECT_CODE_EXPIRED") {
    result = reason == "CONNECT_CODE_USED" ? "used" : "expired";
    http_status = 410;
    failures_.Failed(peer, options_.clock->Monotonic());
  } else if (status.code() == absl::StatusCode::kFailedPrecondition) {
    http_status = 503;  // nothing the client asked for wrongly: the hub lacks something
  }
  Count(result);
  return Refusal(http_status, fmt::format("{} [{}]", MessageOf(status), reason));
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
