// agent::Link over nghttp2 and OpenSSL: the same stream that the agent opens with gRPC, in a tenth of the memory and
// CPU, so that ten thousand of them fit beside the hub that is measured. One connection per link, from a source address
// of choice. Everything happens on the io_context's one thread; events come from its loop, never from inside a call.
#ifndef MUSTER_TESTS_LOAD_H2_LINK_H_
#define MUSTER_TESTS_LOAD_H2_LINK_H_

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/session/link.h"

namespace muster::load {

class H2Network {
 public:
  struct Options {
    boost::asio::ip::tcp::endpoint hub;
    // For the certificate and :authority.
    std::string host;
    // PEM of the authorities to trust; empty: no TLS.
    std::string ca_file;
    // As the agent's gRPC does (docs/protocol.md, "Times"); zero: none.
    absl::Duration ping_interval = absl::Seconds(20);
  };
  static absl::StatusOr<std::unique_ptr<H2Network>> Make(boost::asio::io_context* io, Options options);
  ~H2Network();

  // Links from this source; they must not outlive the network. A dialer for each agent.
  std::unique_ptr<agent::Dialer> DialerFrom(boost::asio::ip::address_v4 source);

  // Since the start.
  std::int64_t connects() const { return connects_; }

 private:
  friend class H2Connection;
  H2Network(boost::asio::io_context* io, Options options) : io_(io), options_(std::move(options)) {}

  boost::asio::io_context* const io_;
  const Options options_;
  SSL_CTX* tls_ = nullptr;
  std::int64_t connects_ = 0;
};

// What a link can be made to do that no agent does. `link` came from an H2Network.
enum class ReadPace { kNormal, kSlow, kNever };
void SetReadPace(agent::Link* link, ReadPace pace);

}  // namespace muster::load

#endif  // MUSTER_TESTS_LOAD_H2_LINK_H_
