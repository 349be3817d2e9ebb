// HttpClient over a unix socket or TLS, with Boost.Beast. Get() keeps one connection alive between calls and opens a
// new one when the server closed it meanwhile; every stream has a connection of its own. No thread of its own: each
// call runs its input and output on the caller's thread until its deadline.
#ifndef MUSTER_AGENT_HTTP_BEAST_HTTP_CLIENT_H_
#define MUSTER_AGENT_HTTP_BEAST_HTTP_CLIENT_H_

#include <atomic>
#include <memory>
#include <vector>

#include "agent/http/http_client.h"
#include "agent/http/http_server.h"
#include "agent/http/http_support.h"
#include "common/mutex.h"

namespace muster::agent {

class ServerAccess;

class BeastHttpClient : public HttpClient {
 public:
  explicit BeastHttpClient(HttpServer server);
  ~BeastHttpClient() override;

  absl::StatusOr<HttpResponse> Get(const HttpGet& request) override;
  absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(const HttpGet& request) override;
  void Cancel() override;

  class Connection;

 private:
  absl::StatusOr<std::shared_ptr<Connection>> Connect(Deadline deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<HttpResponse> GetOnce(const HttpGet& request, Deadline deadline, bool* may_retry);

  const std::shared_ptr<const ServerAccess> server_;
  std::atomic<bool> cancelled_ = false;

  // Used by the thread that calls Get().
  std::shared_ptr<Connection> idle_;

  Mutex mutex_;
  // What Cancel() has to reach.
  std::vector<std::weak_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_BEAST_HTTP_CLIENT_H_
