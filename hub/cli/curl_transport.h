// HttpTransport by libcurl: HTTP/1.1, TLS verified, no redirects, no other protocols, proxies from the environment. One
// connection per call. Called from one thread.
#ifndef MUSTER_HUB_CLI_CURL_TRANSPORT_H_
#define MUSTER_HUB_CLI_CURL_TRANSPORT_H_

#include "common/clock.h"
#include "hub/cli/console.h"
#include "hub/cli/http_transport.h"

namespace muster::cli {

class CurlTransport : public HttpTransport {
 public:
  // `interrupt` ends a call that waits.
  CurlTransport(const Clock* clock, const Interrupt* interrupt);
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  absl::StatusOr<HttpReply> Post(const HttpRequest& request) override;
  absl::Status PostStream(const HttpRequest& request, StreamHandler* handler) override;

 private:
  const Clock* const clock_;
  const Interrupt* const interrupt_;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_CURL_TRANSPORT_H_
