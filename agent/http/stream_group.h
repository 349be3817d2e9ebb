// Many HTTP bodies without end, read on one thread: what the collector of logs needs of the engine, and watches of the
// Kubernetes API server. Only GET exists here, as in http_client.h (docs/adr/0002-agent-http-client.md). Implemented by
// BeastStreamGroup, and by a fake engine in tests.
#ifndef MUSTER_AGENT_HTTP_STREAM_GROUP_H_
#define MUSTER_AGENT_HTTP_STREAM_GROUP_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/http/http_client.h"

namespace muster::agent {

// Used by one thread, but for Wake.
class StreamGroup {
 public:
  // Never used twice.
  using Id = std::int64_t;

  struct Event {
    Id id = 0;
    // The next bytes of the body; empty in the last event. Valid during the call.
    std::string_view bytes;
    // The answer is 200, its headers are there: once, before all bytes, and without any.
    bool is_open = false;
    // The last event of this stream: nothing follows, and the id is forgotten.
    bool is_end = false;
    // Of the end. OK: the server ended the body properly. kFailedPrecondition: the answer was not 200; `http_code` says
    // what, the message has the start of the body. Else as HttpClient's errors.
    absl::Status status;
    int http_code = 0;
    // Of an answer that is not 200: as HttpResponse's.
    std::optional<absl::Duration> retry_after = std::nullopt;
  };

  virtual ~StreamGroup() = default;
  // Begins to connect; what becomes of it comes as events. `deadline` is for everything up to the headers.
  virtual Id Open(const HttpGet& request) = 0;
  // No event of it follows. Nothing for an id that has ended.
  virtual void Close(Id id) = 0;
  // Nothing more is read of the stream until Resume: the server's own buffers fill.
  virtual void Pause(Id id) = 0;
  virtual void Resume(Id id) = 0;
  // Waits until something has happened or Wake was called, at most `wait`, and gives the events; `visit` may call all
  // but Wait.
  virtual void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) = 0;
  // Thread-safe: Wait returns soon, now or when it is called next.
  virtual void Wake() = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_STREAM_GROUP_H_
