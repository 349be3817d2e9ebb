#include "hub/http/service_pages.h"

#include <fmt/format.h>

#include <utility>

#include "common/status.h"

namespace muster::hub {
namespace {

constexpr char kFrontPage[] =
    "This is a Muster hub, version {}: the roll call for software on other people's machines.\n"
    "\n"
    "  GET  /healthz                               is the process alive\n"
    "  GET  /readyz                                does it serve, and why not\n"
    "  POST /muster.fleet.v1.FleetService/METHOD   the operators' API (Connect JSON, bearer token)\n"
    "  GET  /connect/CODE                          the install script of a connect command\n"
    "\n"
    "The same API speaks gRPC on the agents' port. The command line client is `muster`.\n";

}  // namespace

void AddServicePages(HttpRouter* router, const std::string& version, std::function<absl::Status()> ready) {
  router->Add("GET", "/", [version](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
    responder->Send({.body = fmt::format(kFrontPage, version)});
  });
  router->Add("GET", "/healthz", [](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
    responder->Send({.body = "ok\n"});
  });
  router->Add(
      "GET", "/readyz",
      [ready = std::move(ready)](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
        const absl::Status status = ready();
        if (status.ok()) return responder->Send({.body = "ready\n"});
        responder->Send({.status = 503, .body = fmt::format("not ready: {}\n", MessageOf(status))});
      });
}

}  // namespace muster::hub
