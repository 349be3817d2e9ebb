// Where an HTTP server is and how it is spoken to, as a value: Docker's unix socket, or a TCP address with TLS. Made by
// whoever reads the configuration (ClusterConfig, the command line), taken by BeastHttpClient and BeastStreamGroup.
// There is no TCP without TLS.
#ifndef MUSTER_AGENT_HTTP_HTTP_SERVER_H_
#define MUSTER_AGENT_HTTP_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace muster::agent {

// Bearer tokens, which may change while the agent runs. Thread-safe; shared by all clients of a server. Both may read a
// small file and nothing slower: they are called between two requests, on the thread that sends them.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // For the next request; empty: none is sent. Visible ASCII characters only: one with others is not sent either.
  virtual std::string Token() = 0;
  // The server answered 401.
  virtual void Refused() = 0;
};

struct TlsSettings {
  // Who may have signed the server's certificate: one or more certificates in PEM. An intermediate authority or the
  // server's own certificate is trusted as well as a root. Empty: the system's.
  std::string ca_pem = {};
  // What the certificate must be for, and what is asked for (SNI). Empty: the host. An IP address is looked for among
  // the certificate's addresses.
  std::string server_name = {};
  // Development only: whoever answers is believed.
  bool skip_verify = false;
  // Both or none. The certificate may be followed by its chain; an encrypted key is an error.
  std::string client_certificate_pem = {};
  std::string client_key_pem = {};
};

struct HttpServer {
  static HttpServer AtSocket(std::string path) {
    HttpServer server;
    server.socket_path = std::move(path);
    return server;
  }
  bool is_socket() const { return !socket_path.empty(); }

  // Not empty: a unix socket, without TLS; what follows is not used, but for the tokens.
  std::string socket_path = {};
  // A name or an IP address, IPv6 without brackets.
  std::string host = {};
  std::uint16_t port = 0;
  TlsSettings tls = {};
  // May be null.
  std::shared_ptr<TokenSource> tokens = nullptr;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_HTTP_SERVER_H_
