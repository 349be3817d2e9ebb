#include "hub/api/grpc_fleet_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/status.h"
#include "hub/grpc_write_queue.h"
#include "muster/fleet/v1/fleet.grpc.pb.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

// Messages that wait for a slow reader: a watcher gets the newest state later anyway, and who sends lines waits until
// they have gone out.
constexpr std::size_t kMaxQueuedMessages = 8;

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), MessageOf(status));
}

// The reason code travels in a trailer of its own: google.rpc.Status is not among the protos of this project.
void AttachReason(grpc::CallbackServerContext* context, const absl::Status& status) {
  if (!status.ok()) context->AddTrailingMetadata("muster-reason", ReasonOf(status));
}

std::string BearerToken(const grpc::CallbackServerContext& context) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto it = context.client_metadata().find("authorization");
  if (it == context.client_metadata().end()) return "";
  const std::string value(it->second.data(), it->second.size());
  return value.starts_with(kScheme) ? value.substr(kScheme.size()) : "";
}

absl::Status Busy() {
  return MakeError(absl::StatusCode::kResourceExhausted, "HUB_BUSY", "too many requests at once; try again");
}

template <typename Response>
class GrpcStreamSink : public StreamSink {
 public:
  using Reactor = grpc::ServerWriteReactor<Response>;
  GrpcStreamSink(Reactor* reactor, grpc::CallbackServerContext* context)
      : queue_(reactor, kMaxQueuedMessages), context_(context) {}

  bool Write(const google::protobuf::Message& message) override {
    return !queue_.ending() && queue_.Push(static_cast<const Response&>(message));
  }
  void OnWritable(std::function<void()> callback) override { queue_.OnEmpty(std::move(callback)); }
  void Finish(const absl::Status& status) override {
    if (finished_.exchange(true)) return;
    // The context lives as long as the reactor.
    queue_.StartUnlessFinished([&](Reactor*) { AttachReason(context_, status); });
    queue_.Finish(ToGrpc(status));
  }
  void OnCancelled(std::function<void()> callback) override {
    {
      MutexLock lock(&mutex_);
      if (!cancelled_) {
        on_cancelled_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  bool cancelled() const override { return queue_.ending(); }

  void OnWriteDone(bool ok) { queue_.OnWriteDone(ok); }
  void Cancel() {
    std::function<void()> callback;
    {
      MutexLock lock(&mutex_);
      cancelled_ = true;
      callback = std::move(on_cancelled_);
    }
    Finish(absl::CancelledError("the client has gone"));
    if (callback) callback();
  }
  void Detach() { queue_.Detach(); }

 private:
  GrpcWriteQueue<Reactor, Response> queue_;
  grpc::CallbackServerContext* const context_;
  std::atomic<bool> finished_{false};
  mutable Mutex mutex_;
  std::function<void()> on_cancelled_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// Deletes itself in OnDone, the last reaction.
template <typename Response>
class StreamReactor : public grpc::ServerWriteReactor<Response> {
 public:
  explicit StreamReactor(grpc::CallbackServerContext* context)
      : sink_(std::make_shared<GrpcStreamSink<Response>>(this, context)) {}
  const std::shared_ptr<GrpcStreamSink<Response>>& sink() const { return sink_; }

  void OnWriteDone(bool ok) override { sink_->OnWriteDone(ok); }
  void OnCancel() override { sink_->Cancel(); }
  void OnDone() override {
    sink_->Detach();
    delete this;
  }

 private:
  const std::shared_ptr<GrpcStreamSink<Response>> sink_;
};

class GrpcFleetService : public FleetService::CallbackService {
 public:
  explicit GrpcFleetService(GrpcFleetServiceOptions options) : options_(std::move(options)) {
    for (const UnaryMethod& method : options_.handlers->unary()) unary_[method.name] = &method;
    for (const StreamMethod& method : options_.handlers->streams()) streams_[method.name] = &method;
  }

#define MUSTER_UNARY(Method)                                                                             \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context, const Method##Request* request, \
                                   Method##Response* response) override {                                \
    return Call(#Method, context, request, response);                                                    \
  }
  MUSTER_UNARY(GetHub)
  MUSTER_UNARY(CreateTarget)
  MUSTER_UNARY(ListTargets)
  MUSTER_UNARY(GetTarget)
  MUSTER_UNARY(UpdateTarget)
  MUSTER_UNARY(ReconnectTarget)
  MUSTER_UNARY(DeleteTarget)
  MUSTER_UNARY(ListDeployments)
  MUSTER_UNARY(GetDeployment)
  MUSTER_UNARY(UpdateDeployment)
  MUSTER_UNARY(DeleteDeployment)
  MUSTER_UNARY(GetFleetStatus)
  MUSTER_UNARY(ListTargetHistory)
  MUSTER_UNARY(ListDeploymentHistory)
  MUSTER_UNARY(GetFleetAt)
  MUSTER_UNARY(GetAvailability)
  MUSTER_UNARY(QueryLogs)
  MUSTER_UNARY(GetLogVolume)
  MUSTER_UNARY(ListLogResources)
  MUSTER_UNARY(CreateToken)
  MUSTER_UNARY(ListTokens)
  MUSTER_UNARY(RevokeToken)
  MUSTER_UNARY(ListAuditEntries)
  MUSTER_UNARY(VerifyAuditLog)
#undef MUSTER_UNARY

#define MUSTER_STREAM(Method)                                                                   \
  grpc::ServerWriteReactor<Method##Response>* Method(grpc::CallbackServerContext* context,      \
                                                     const Method##Request* request) override { \
    return Open<Method##Response>(#Method, context, *request);                                  \
  }
  MUSTER_STREAM(WatchFleet)
  MUSTER_STREAM(TailLogs)
  MUSTER_STREAM(ExportLogs)
#undef MUSTER_STREAM

 private:
  grpc::ServerUnaryReactor* Call(const char* name, grpc::CallbackServerContext* context,
                                 const google::protobuf::Message* request, google::protobuf::Message* response) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const Instant begun = Clock::System()->Monotonic();
    const auto finish = [this, name, context, reactor, begun](const absl::Status& status) {
      options_.on_finished(name, status.code(), Clock::System()->Monotonic() - begun);
      AttachReason(context, status);
      reactor->Finish(ToGrpc(status));
    };
    // Request, response and context live until Finish.
    const bool taken =
        options_.workers->TrySubmit([this, name, token = BearerToken(*context), request, response, finish] {
          const auto caller = options_.authenticator->Authenticate(token);
          if (!caller.ok()) return finish(caller.status());
          unary_.at(name)->handle(
              *caller, *request,
              [response, finish](const absl::Status& status, std::unique_ptr<google::protobuf::Message> answer) {
                if (status.ok()) response->GetReflection()->Swap(response, answer.get());
                finish(status);
              });
        });
    if (!taken) finish(Busy());
    return reactor;
  }

  template <typename Response, typename Request>
  grpc::ServerWriteReactor<Response>* Open(const char* name, grpc::CallbackServerContext* context,
                                           const Request& request) {
    auto* reactor = new StreamReactor<Response>(context);
    std::shared_ptr<GrpcStreamSink<Response>> sink = reactor->sink();
    const bool taken = options_.workers->TrySubmit([this, name, sink, token = BearerToken(*context), copy = request] {
      const auto caller = options_.authenticator->Authenticate(token);
      if (!caller.ok()) return sink->Finish(caller.status());
      streams_.at(name)->start(*caller, copy, sink);
    });
    if (!taken) sink->Finish(Busy());
    return reactor;
  }

  const GrpcFleetServiceOptions options_;
  std::map<std::string, const UnaryMethod*, std::less<>> unary_;
  std::map<std::string, const StreamMethod*, std::less<>> streams_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFleetService(GrpcFleetServiceOptions options) {
  return std::make_unique<GrpcFleetService>(std::move(options));
}

}  // namespace muster::hub
