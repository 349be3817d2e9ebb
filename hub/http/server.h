// HTTP/1.1 with or without TLS on threads of its own. One instance for the API, one for /metrics. Boost.Beast stays
// in the .cc files. Start and Stop belong to one thread; the rest is thread-safe. Slow, greedy and broken clients are
// bounded by HttpLimits: docs/api.md lists what each limit answers.
#ifndef MUSTER_HUB_HTTP_SERVER_H_
#define MUSTER_HUB_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/address.h"
#include "common/secret.h"
#include "hub/http/http.h"

namespace muster::hub {

struct HttpLimits {
  // A browser sends 1-2 KiB, a bearer token adds 50 bytes. More: 431.
  std::uint32_t max_header_bytes = 16 * 1024;
  // The largest request of the API is some KiB. More: 413.
  std::uint64_t max_body_bytes = 1024 * 1024;
  // Unsent bytes of one stream: four updates of a large fleet (250 KiB each). Then Write says kFull.
  std::size_t max_stream_buffer_bytes = 1024 * 1024;
  // Times 64 KiB at most of buffers: 32 MiB. The process may hold 20,000 descriptors; agents' streams need the most.
  int max_connections = 512;
  // An operator's browser and scripts, or a small office behind one address.
  int max_connections_per_ip = 64;
  absl::Duration tls_handshake_timeout = absl::Seconds(3);
  // From the first byte of a request (or the accept) to the end of its header.
  absl::Duration header_timeout = absl::Seconds(5);
  // From the end of the header to the end of the body.
  absl::Duration body_timeout = absl::Seconds(10);
  // Between requests of one connection.
  absl::Duration idle_timeout = absl::Seconds(30);
  // A write that makes no progress this long ends the connection.
  absl::Duration write_timeout = absl::Seconds(30);
  // From the first byte of an answer to its last; streams may take for ever. What one client holds in memory is given
  // up then, however slowly it goes on reading.
  absl::Duration send_timeout = absl::InfiniteDuration();
  // A request without any answer this long gets 503: a handler is stuck.
  absl::Duration answer_timeout = absl::Seconds(60);
};

// Certificate chain and key in PEM, as hub/tls makes or loads them.
struct HttpTls {
  std::string cert_chain_pem;
  Secret key_pem;
};

struct HttpServerOptions {
  // An empty host listens on IPv6 and IPv4; port 0 takes a free one.
  HostPort address;
  // How the person who starts the hub sets the address ("--http-addr", "METRICS_ADDR"), for error messages.
  std::string address_flag = "--http-addr";
  std::optional<HttpTls> tls = std::nullopt;
  int threads = 2;
  HttpLimits limits = {};
};

struct HttpServerStats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_total = 0;
  // Closed at once because of max_connections or max_connections_per_ip.
  std::uint64_t connections_refused_total = 0;
  std::uint64_t requests_total = 0;
  // Ended by a limit or a malformed request: 400, 408, 413, 431, failed handshakes.
  std::uint64_t requests_refused_total = 0;
};

class HttpServer {
 public:
  // Listens, or says why not. `handler` must live until Stop has returned.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options, HttpHandler* handler);
  // Stop(0).
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Where it listens; the real port.
  HostPort address() const;
  HttpServerStats stats() const;

  // Accepts nothing new, tells streams that they are gone, lets requests under way finish for at most `grace`, then
  // closes.
  void Stop(absl::Duration grace);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_SERVER_H_
