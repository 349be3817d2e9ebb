// StreamGroup over a unix socket or TLS, with Boost.Asio and Beast. A connection for each stream; input and output run
// inside Wait alone, on the caller's thread. A socket is read when it has something, into one buffer for all streams,
// so a stream that waits or is paused costs its answer's headers and some state: below 2 KiB, with TLS 35 KiB
// (resident, of 200 streams).
#ifndef MUSTER_AGENT_HTTP_BEAST_STREAM_GROUP_H_
#define MUSTER_AGENT_HTTP_BEAST_STREAM_GROUP_H_

#include <memory>

#include "absl/time/time.h"
#include "agent/http/http_server.h"
#include "agent/http/stream_group.h"

namespace muster::agent {

class BeastStreamGroup : public StreamGroup {
 public:
  // After a Wait that gave bytes, one of at most `rest` reads nothing before its end, unless much has come lately: for
  // a caller that gathers what comes until then.
  explicit BeastStreamGroup(HttpServer server, absl::Duration rest = absl::ZeroDuration());
  // No event follows; all connections are closed.
  ~BeastStreamGroup() override;

  Id Open(const HttpGet& request) override;
  void Close(Id id) override;
  void Pause(Id id) override;
  void Resume(Id id) override;
  void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) override;
  void Wake() override;

 private:
  class Loop;
  const std::unique_ptr<Loop> loop_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_BEAST_STREAM_GROUP_H_
