#include "agent/http/server_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/http/http_support.h"
#include "common/address.h"

namespace muster::agent {
namespace {

std::string AddressOf(const HttpServer& server) {
  return server.is_socket() ? server.socket_path : HostPort{.host = server.host, .port = server.port}.ToString();
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsOf(const HttpServer& server) {
  if (server.is_socket()) return std::shared_ptr<TlsContext>();
  return TlsContext::Make(server.tls.server_name.empty() ? server.host : server.tls.server_name, server.tls);
}

// Of a token: enough to know it by, and nothing by itself (with a JWT its algorithm).
constexpr std::size_t kTokenBeginBytes = 16;

}  // namespace

ServerAccess::ServerAccess(HttpServer server)
    : server_(std::move(server)), address_(AddressOf(server_)), tls_(TlsOf(server_)) {}

std::string ServerAccess::RequestText(std::string_view target) const {
  std::string text = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: muster-agent\r\n", target,
                                 server_.is_socket() ? "docker" : address_);
  const std::string token = server_.tokens == nullptr ? "" : server_.tokens->Token();
  const bool is_visible = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!token.empty() && is_visible) text += "Authorization: Bearer " + token + "\r\n";
  return text + "\r\n";
}

void ServerAccess::OnAnswer(int code) const {
  if (code == 401 && server_.tokens != nullptr) server_.tokens->Refused();
}

absl::Status ServerAccess::CodeError(std::string_view target, int code, std::string_view body) const {
  const std::string token = server_.tokens == nullptr ? "" : server_.tokens->Token();
  const bool has_token = !token.empty() && body.find(token.substr(0, kTokenBeginBytes)) != std::string_view::npos;
  return HttpCodeError(target, code, has_token ? "(the answer repeats the token)" : body);
}

}  // namespace muster::agent
