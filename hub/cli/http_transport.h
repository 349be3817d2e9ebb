// How the CLI reaches the hub: one POST with one reply, or with a reply that goes on. CurlTransport is the real one;
// tests hand in a fake. Knows nothing of the Connect protocol. Called from one thread.
#ifndef MUSTER_HUB_CLI_HTTP_TRANSPORT_H_
#define MUSTER_HUB_CLI_HTTP_TRANSPORT_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace muster::cli {

struct HttpRequest {
  std::string url;
  std::string content_type;
  // Sent as "Authorization: Bearer"; empty: no such header.
  Secret token;
  std::string body;
  // PEM file of the only authorities to trust; empty: the system's.
  std::string ca_file;
  absl::Duration connect_timeout = absl::InfiniteDuration();
  // Unary: from start to the last byte. Stream: between two pieces of the reply.
  absl::Duration timeout = absl::InfiniteDuration();
  // Unary only; a stream's pieces are bounded by their reader.
  std::size_t max_reply_bytes = 0;
};

struct HttpHead {
  long status = 0;
  std::string content_type;
  // The server's clock, where it tells it.
  std::optional<absl::Time> date;
};

struct HttpReply {
  HttpHead head;
  std::string body;
};

// Receives a reply while it comes. An error from any method ends the call, which then returns that error.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual absl::Status OnHead(const HttpHead& head) = 0;
  virtual absl::Status OnBytes(std::string_view bytes) = 0;
  // About once a second, whether bytes come or not.
  virtual absl::Status OnTick() = 0;
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // Any HTTP status is a reply. Errors: UNAVAILABLE (no connection, no trust, broken off), DEADLINE_EXCEEDED,
  // RESOURCE_EXHAUSTED (reply too long), CANCELLED (interrupted).
  virtual absl::StatusOr<HttpReply> Post(const HttpRequest& request) = 0;
  // OK when the server ended the reply. Errors as above, and those of the handler.
  virtual absl::Status PostStream(const HttpRequest& request, StreamHandler* handler) = 0;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_HTTP_TRANSPORT_H_
