#include "hub/http/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/text.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

bool Matches(std::string_view pattern, std::string_view path) {
  if (pattern.size() > 1 && pattern.back() == '/') return path.substr(0, pattern.size()) == pattern;
  return path == pattern;
}

}  // namespace

void HttpRouter::Add(std::string method, std::string path, HttpHandler* handler) {
  Add(std::move(method), std::move(path), [handler](HttpRequest request, std::unique_ptr<HttpResponder> responder) {
    handler->Handle(std::move(request), std::move(responder));
  });
}

void HttpRouter::Add(std::string method, std::string path, Function function) {
  routes_.push_back({std::move(method), std::move(path), std::move(function)});
}

void HttpRouter::Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) {
  std::size_t longest = 0;
  for (const Route& route : routes_) {
    if (Matches(route.path, request.path)) longest = std::max(longest, route.path.size());
  }
  std::string allowed;
  for (const Route& route : routes_) {
    if (route.path.size() != longest || !Matches(route.path, request.path)) continue;
    if (route.method.empty() || route.method == request.method) {
      return route.function(std::move(request), std::move(responder));
    }
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
    if (route.method == "GET") allowed += ", HEAD";
  }
  if (longest == 0) {
    return responder->Send(
        ErrorResponse(MakeError(absl::StatusCode::kNotFound, "PATH_NOT_FOUND",
                                fmt::format("there is nothing at {}: see docs/api.md for the paths of this hub",
                                            EscapeControl(CleanUtf8(request.path, 200))))));
  }
  HttpResponse response =
      ErrorResponse(405, MakeError(absl::StatusCode::kUnimplemented, "METHOD_NOT_ALLOWED",
                                   fmt::format("{} takes {}", EscapeControl(CleanUtf8(request.path, 200)), allowed)));
  response.headers.push_back({"Allow", allowed});
  responder->Send(std::move(response));
}

}  // namespace muster::hub
