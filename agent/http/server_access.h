// An HttpServer made ready for many connections: its TLS is set up once, requests and their token are written here.
// Internal to BeastHttpClient, BeastStreamGroup and Wire. Thread-safe.
#ifndef MUSTER_AGENT_HTTP_SERVER_ACCESS_H_
#define MUSTER_AGENT_HTTP_SERVER_ACCESS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/http/http_server.h"
#include "agent/http/tls_session.h"

namespace muster::agent {

class ServerAccess {
 public:
  explicit ServerAccess(HttpServer server);

  const HttpServer& server() const { return server_; }
  // "host:port", or the socket's path.
  const std::string& address() const { return address_; }
  // Null for a unix socket. Not OK: the settings cannot be used (kInvalidArgument), and no connection can be made.
  const absl::StatusOr<std::shared_ptr<TlsContext>>& tls() const { return tls_; }

  // All that is sent for a GET. Holds the token: not for logs.
  std::string RequestText(std::string_view target) const;
  // An answer with this code came.
  void OnAnswer(int code) const;
  // HttpCodeError, without the body when that repeats the token.
  absl::Status CodeError(std::string_view target, int code, std::string_view body) const;

 private:
  const HttpServer server_;
  const std::string address_;
  const absl::StatusOr<std::shared_ptr<TlsContext>> tls_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_SERVER_ACCESS_H_
