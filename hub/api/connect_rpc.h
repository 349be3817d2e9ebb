// The Connect protocol (connectrpc.com/docs/protocol) over HTTP/1.1 for a table of methods: unary and server-streaming,
// JSON and binary protobuf. The table is filled by whoever has the handlers; nothing here knows a method. Handlers run
// on the WorkerPool, may block briefly, and may answer later from any thread. docs/api.md is the page for users.
//
//   ConnectRpc rpc({.service = "muster.fleet.v1.FleetService", .authenticator = &auth, .workers = &pool});
//   rpc.Add(Unary<ListTargetsRequest, ListTargetsResponse>("ListTargets",
//       [&](const Caller& caller, const ListTargetsRequest& request, auto done) { done(handlers.ListTargets(...)); }));
//   router.Add("", rpc.path(), &rpc);
#ifndef MUSTER_HUB_API_CONNECT_RPC_H_
#define MUSTER_HUB_API_CONNECT_RPC_H_

#include <google/protobuf/message.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "hub/api/caller.h"
#include "hub/http/http.h"
#include "hub/http/worker_pool.h"

namespace muster::hub {

// Call exactly once, from any thread. The message is set when the status is OK.
using UnaryDone = std::function<void(const absl::Status&, std::unique_ptr<google::protobuf::Message>)>;

struct UnaryMethod {
  std::string name;  // "ListTargets"
  const google::protobuf::Message* request_prototype = nullptr;
  std::function<void(const Caller&, const google::protobuf::Message& request, UnaryDone done)> handle;
};

// One open server stream. Thread-safe; harmless after the client has gone. Dropping the last reference without Finish
// ends the stream with an internal error.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // False when not taken: the client is gone (see OnCancelled) or reads too slowly. A later message may be taken.
  virtual bool Write(const google::protobuf::Message& message) = 0;
  // `callback` runs once, on another thread or at once, when every message taken so far has gone out; never when the
  // stream has ended. A later one takes its place. It must be short. Who has more to say than a slow client reads waits
  // for it between two messages.
  virtual void OnWritable(std::function<void()> callback) = 0;
  // Ends the stream with `status`. Further calls do nothing.
  virtual void Finish(const absl::Status& status) = 0;
  // `callback` runs at most once, on another thread or at once, when the client has gone, its timeout has passed or the
  // hub stops, before Finish. Set once, before the handler returns.
  virtual void OnCancelled(std::function<void()> callback) = 0;
  virtual bool cancelled() const = 0;
};

struct StreamMethod {
  std::string name;
  const google::protobuf::Message* request_prototype = nullptr;
  // Starts the stream and returns; keeps the sink for as long as it has something to say.
  std::function<void(const Caller&, const google::protobuf::Message& request, std::shared_ptr<StreamSink> sink)> start;
};

template <typename Request, typename Response>
UnaryMethod Unary(
    const std::string& name,
    std::function<void(const Caller&, const Request&, std::function<void(absl::StatusOr<Response>)>)> handle) {
  return {.name = name,
          .request_prototype = &Request::default_instance(),
          .handle = [handle = std::move(handle)](const Caller& caller, const google::protobuf::Message& request,
                                                 UnaryDone done) {
            handle(caller, static_cast<const Request&>(request), [done = std::move(done)](absl::StatusOr<Response> r) {
              if (!r.ok()) return done(r.status(), nullptr);
              done(absl::OkStatus(), std::make_unique<Response>(*std::move(r)));
            });
          }};
}

template <typename Request>
StreamMethod Stream(const std::string& name,
                    std::function<void(const Caller&, const Request&, std::shared_ptr<StreamSink>)> start) {
  return {.name = name,
          .request_prototype = &Request::default_instance(),
          .start = [start = std::move(start)](const Caller& caller, const google::protobuf::Message& request,
                                              std::shared_ptr<StreamSink> sink) {
            start(caller, static_cast<const Request&>(request), std::move(sink));
          }};
}

struct ConnectRpcOptions {
  std::string service;  // full name: "muster.fleet.v1.FleetService"
  Authenticator* authenticator = nullptr;
  WorkerPool* workers = nullptr;
  const Clock* clock = Clock::System();
  // Called once per finished call, from any thread; `method` is a name of the table or "unknown". For counters.
  std::function<void(std::string_view method, absl::StatusCode code, absl::Duration took)> on_finished = nullptr;
};

class ConnectRpcDeadlines;

// Thread-safe after the last Add. Must outlive the HttpServer and every open
// UnaryDone and StreamSink; the pointers in the options must outlive it.
class ConnectRpc : public HttpHandler {
 public:
  explicit ConnectRpc(ConnectRpcOptions options);
  ~ConnectRpc() override;

  void Add(UnaryMethod method);
  void Add(StreamMethod method);

  // "/muster.fleet.v1.FleetService/": where the router sends requests of every method (405 is answered here).
  std::string path() const;

  void Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) override;

 private:
  struct Method {
    const google::protobuf::Message* request_prototype = nullptr;
    decltype(UnaryMethod::handle) unary;
    decltype(StreamMethod::start) stream;
  };

  struct Call;
  void RunUnary(const Method& method, const std::shared_ptr<Call>& call);
  void RunStream(const Method& method, const std::shared_ptr<Call>& call);
  void Refuse(std::string_view method, int http_status, const absl::Status& status, HttpResponder* responder);

  const ConnectRpcOptions options_;
  const std::unique_ptr<ConnectRpcDeadlines> deadlines_;
  std::map<std::string, Method, std::less<>> methods_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_CONNECT_RPC_H_
