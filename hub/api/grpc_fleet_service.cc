#include "hub/api/grpc_fleet_service.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/status.h"

namespace muster::hub {
namespace {

using google::protobuf::Message;

// Messages that wait for a slow reader: a watcher gets the newest state later anyway, and who sends lines waits until
// they have gone out.
constexpr std::size_t kMaxQueuedMessages = 8;

constexpr char kServicePath[] = "/muster.fleet.v1.FleetService/";

void FinishWith(GrpcCall& call, const absl::Status& status) {
  if (status.ok()) return call.Finish(grpc::Status::OK);
  // The reason code travels in a trailer of its own: google.rpc.Status is not among the protos of this project.
  call.Finish(grpc::Status(static_cast<grpc::StatusCode>(status.code()), MessageOf(status)), ReasonOf(status));
}

std::string BearerToken(const GrpcCall& call) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string value = call.Header("authorization");
  return value.starts_with(kScheme) ? value.substr(kScheme.size()) : "";
}

absl::Status Busy() {
  return MakeError(absl::StatusCode::kResourceExhausted, "HUB_BUSY", "too many requests at once; try again");
}

absl::Status NoMessage() {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_REQUEST", "the request is no message of this method");
}

// Waits for the one message of a call.
class RequestHandler : public GrpcCall::Handler {
 public:
  RequestHandler(std::shared_ptr<GrpcCall> call, const Message* prototype)
      : call_(std::move(call)), prototype_(prototype) {}

  void OnMessage(grpc::ByteBuffer bytes) override {
    if (was_asked_) return;
    was_asked_ = true;
    const std::shared_ptr<Message> request(prototype_->New());
    if (!ParseMessage(&bytes, request.get())) return Refuse(NoMessage());
    Start(request);
  }
  void OnReadEnded() override {
    if (!was_asked_) Refuse(NoMessage());
  }

 protected:
  // Called once at most, each.
  virtual void Start(std::shared_ptr<const Message> request) = 0;
  virtual void Refuse(const absl::Status& status) = 0;

  const std::shared_ptr<GrpcCall> call_;

 private:
  const Message* const prototype_;
  bool was_asked_ = false;
};

class UnaryCall : public RequestHandler {
 public:
  UnaryCall(const GrpcFleetServiceOptions* options, const UnaryMethod* method, std::shared_ptr<GrpcCall> call)
      : RequestHandler(std::move(call), method->request_prototype),
        options_(options),
        method_(method),
        begun_(Clock::System()->Monotonic()) {}

  void OnCancelled() override {}

 private:
  void Start(std::shared_ptr<const Message> request) override {
    const auto finish = [options = options_, method = method_, call = call_, begun = begun_](const absl::Status& status,
                                                                                             const Message* answer) {
      options->on_finished(method->name, status.code(), Clock::System()->Monotonic() - begun);
      if (status.ok()) call->Write(*answer);
      FinishWith(*call, status);
    };
    const bool taken = options_->workers->TrySubmit(
        [options = options_, method = method_, token = BearerToken(*call_), request = std::move(request), finish] {
          const auto caller = options->authenticator->Authenticate(token);
          if (!caller.ok()) return finish(caller.status(), nullptr);
          method->handle(*caller, *request, [finish](const absl::Status& status, std::unique_ptr<Message> answer) {
            finish(status, answer.get());
          });
        });
    if (!taken) finish(Busy(), nullptr);
  }
  void Refuse(const absl::Status& status) override {
    options_->on_finished(method_->name, status.code(), Clock::System()->Monotonic() - begun_);
    FinishWith(*call_, status);
  }

  const GrpcFleetServiceOptions* const options_;
  const UnaryMethod* const method_;
  const Instant begun_;
};

class CallStreamSink : public StreamSink {
 public:
  explicit CallStreamSink(std::shared_ptr<GrpcCall> call) : call_(std::move(call)) {}
  ~CallStreamSink() override {
    // Nothing happens when it is finished already.
    call_->Finish(grpc::Status(grpc::StatusCode::INTERNAL, "the hub dropped the stream"));
  }

  bool Write(const Message& message) override { return !call_->ending() && call_->Write(message); }
  void OnWritable(std::function<void()> callback) override { call_->OnEmpty(std::move(callback)); }
  void Finish(const absl::Status& status) override { FinishWith(*call_, status); }
  void OnCancelled(std::function<void()> callback) override {
    {
      MutexLock lock(&mutex_);
      if (!is_cancelled_) {
        on_cancelled_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  bool cancelled() const override { return call_->ending(); }

  void Cancel() {
    std::function<void()> callback;
    {
      MutexLock lock(&mutex_);
      is_cancelled_ = true;
      callback = std::move(on_cancelled_);
    }
    FinishWith(*call_, absl::CancelledError("the client has gone"));
    if (callback) callback();
  }

 private:
  const std::shared_ptr<GrpcCall> call_;
  Mutex mutex_;
  std::function<void()> on_cancelled_ ABSL_GUARDED_BY(mutex_);
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

class StreamCall : public RequestHandler {
 public:
  StreamCall(const GrpcFleetServiceOptions* options, const StreamMethod* method, const std::shared_ptr<GrpcCall>& call)
      : RequestHandler(call, method->request_prototype), options_(options), method_(method) {}

  void OnCancelled() override {
    if (const auto sink = sink_.lock()) sink->Cancel();
  }

 private:
  void Start(std::shared_ptr<const Message> request) override {
    const auto sink = std::make_shared<CallStreamSink>(call_);
    sink_ = sink;
    const bool taken = options_->workers->TrySubmit(
        [options = options_, method = method_, sink, token = BearerToken(*call_), request = std::move(request)] {
          const auto caller = options->authenticator->Authenticate(token);
          if (!caller.ok()) return sink->Finish(caller.status());
          method->start(*caller, *request, sink);
        });
    if (!taken) sink->Finish(Busy());
  }
  void Refuse(const absl::Status& status) override { FinishWith(*call_, status); }

  const GrpcFleetServiceOptions* const options_;
  const StreamMethod* const method_;
  // Whoever has something to say holds it.
  std::weak_ptr<CallStreamSink> sink_;
};

}  // namespace

void AddFleetService(const GrpcFleetServiceOptions& given, GrpcMethods* methods) {
  const auto options = std::make_shared<const GrpcFleetServiceOptions>(given);
  for (const UnaryMethod& method : given.handlers->unary()) {
    (*methods)[kServicePath + method.name] = [options, &method](const std::shared_ptr<GrpcCall>& call) {
      call->Begin(std::make_shared<UnaryCall>(options.get(), &method, call), 1);
      call->Read();
    };
  }
  for (const StreamMethod& method : given.handlers->streams()) {
    (*methods)[kServicePath + method.name] = [options, &method](const std::shared_ptr<GrpcCall>& call) {
      call->Begin(std::make_shared<StreamCall>(options.get(), &method, call), kMaxQueuedMessages);
      call->Read();
    };
  }
}

}  // namespace muster::hub
