// HTTP as the observers need it: GET, answers with a bound, and a body that goes on for ever. Only GET exists here, so
// no observer can change anything on the host (docs/adr/0002-agent-http-client.md). Implemented by BeastHttpClient, and
// by a fake in tests.
#ifndef MUSTER_AGENT_HTTP_HTTP_CLIENT_H_
#define MUSTER_AGENT_HTTP_HTTP_CLIENT_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::agent {

struct HttpGet {
  // Path and query, already percent-encoded: "/containers/json?all=1".
  std::string target;
  // From the call to the last byte of the answer; for a stream to the end of its headers.
  absl::Duration deadline;
  // A longer body is an error (kResourceExhausted), nothing of it is returned. Not used for streams.
  std::size_t max_body_bytes = 0;
};

struct HttpResponse {
  int code = 0;
  std::string body;
  // Of an answer that is not 200: how long the server asks to be left alone, at most 10 min. Only when it says so in
  // seconds.
  std::optional<absl::Duration> retry_after = std::nullopt;
};

// A body without end. Used by one thread.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // The next bytes; empty when none came within `wait`. kOutOfRange: the server ended the body properly.
  // Any other error: the connection is lost.
  virtual absl::StatusOr<std::string> Read(absl::Duration wait) = 0;
};

// Errors of every call: for the connection kNotFound, kPermissionDenied (the socket), kUnavailable (nobody listens, the
// name does not resolve, the connection is lost), kUnauthenticated (TLS: the server's certificate is refused, or ours),
// kInvalidArgument (a certificate that was given cannot be used); kDeadlineExceeded, kResourceExhausted (body or
// headers too long), kDataLoss (not TLS, not HTTP, or cut off), kCancelled. A message says what to do, and never has a
// token.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Any HTTP code is a success of the call. One thread at a time.
  virtual absl::StatusOr<HttpResponse> Get(const HttpGet& request) = 0;
  // kFailedPrecondition when the answer is not 200; the message carries code and the start of the body.
  virtual absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(const HttpGet& request) = 0;
  // Thread-safe, final: calls and reads that run and all later ones end with kCancelled.
  virtual void Cancel() = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_HTTP_CLIENT_H_
