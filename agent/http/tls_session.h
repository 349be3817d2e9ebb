// TLS on a socket that never blocks, with OpenSSL alone: asio's own keeps four buffers of 17 KiB for each connection,
// this one keeps none while nothing comes. TLS 1.2 and later, the server's name verified, HTTP/1.1 by ALPN. A later
// connection takes up the session of an earlier one where the server allows. Internal to Wire and ServerAccess.
//
// SIGPIPE has to be ignored by the program (BlockTerminationSignals, common/signals.h).
#ifndef MUSTER_AGENT_HTTP_TLS_SESSION_H_
#define MUSTER_AGENT_HTTP_TLS_SESSION_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/http/http_server.h"
#include "common/mutex.h"

namespace muster::agent {

// One connection's TLS. Used by one thread; the socket stays its owner's and has to outlive it.
class TlsSession {
 public:
  enum class Want { kNothing, kRead, kWrite };
  struct Step {
    // Bytes read or written.
    std::size_t size = 0;
    // Not kNothing: nothing was done; again when the socket can do this.
    Want want = Want::kNothing;
    // The server ended the connection properly.
    bool at_end = false;
    // As HttpClient's errors.
    absl::Status status;
  };

  ~TlsSession();

  Step Handshake();
  Step Read(char* to, std::size_t size);
  Step Write(const char* from, std::size_t size);
  // Something can be read that the socket does not show any more.
  bool HasPending() const;

 private:
  friend class TlsContext;
  TlsSession(std::shared_ptr<class TlsContext> context, SSL* ssl);
  Step ToStep(int result, const char* operation);

  const std::shared_ptr<TlsContext> context_;
  SSL* const ssl_;
};

// What all connections to a server have in common. Thread-safe.
class TlsContext : public std::enable_shared_from_this<TlsContext> {
 public:
  // kInvalidArgument with what to do when a certificate or key cannot be used.
  static absl::StatusOr<std::shared_ptr<TlsContext>> Make(std::string server_name, const TlsSettings& settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // `fd`: connected.
  absl::StatusOr<std::unique_ptr<TlsSession>> Open(int fd);

 private:
  friend class TlsSession;
  explicit TlsContext(std::string server_name);
  absl::Status SetUp(const TlsSettings& settings);
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);
  absl::Status FailureOf(SSL* ssl, int kind, int error_number, const char* operation) const;

  const std::string server_name_;
  SSL_CTX* const context_;

  Mutex mutex_;
  // Of the newest connection; owned.
  SSL_SESSION* session_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_TLS_SESSION_H_
