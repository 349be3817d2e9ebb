#include "hub/api/connect_rpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "common/mutex.h"
#include "common/status.h"
#include "common/text.h"
#include "hub/api/connect_rpc_codec.h"
#include "hub/api/connect_rpc_deadlines.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

using google::protobuf::Message;

// Longer than any call takes; keeps the sum of clock and timeout finite.
constexpr absl::Duration kMaxTimeout = absl::Hours(24 * 365);

absl::Status DeadlinePassed() {
  return MakeError(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                   "the call took longer than Connect-Timeout-Ms allows");
}

absl::Status Unanswered() {
  return MakeError(absl::StatusCode::kInternal, "NO_ANSWER", "the hub dropped this call unanswered");
}

// Compression makes a secret guessable where it stands beside text the caller chose; only reading methods have none.
bool IsReading(std::string_view method) {
  constexpr std::string_view kVerbs[] = {"List", "Get", "Watch", "Query"};
  return std::any_of(std::begin(kVerbs), std::end(kVerbs),
                     [&](std::string_view verb) { return method.starts_with(verb); });
}

absl::Status CheckHeaders(const HttpRequest& request) {
  const std::string_view version = request.Header("Connect-Protocol-Version");
  if (!version.empty() && version != "1") {
    return MakeError(absl::StatusCode::kInvalidArgument, "CONNECT_VERSION", "Connect-Protocol-Version must be 1");
  }
  for (const char* header : {"Content-Encoding", "Connect-Content-Encoding"}) {
    const std::string_view encoding = request.Header(header);
    if (!encoding.empty() && encoding != "identity") {
      return MakeError(absl::StatusCode::kUnimplemented, "COMPRESSION_UNSUPPORTED",
                       fmt::format("{} must be identity: compressed requests are not taken", header));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// One call from its headers to its answer.
struct ConnectRpc::Call {
  std::string method;
  ConnectContentType type;
  Instant started;
  Instant deadline;  // with has_deadline
  bool has_deadline = false;
  HttpRequest request;
  std::unique_ptr<HttpResponder> responder;
  const ConnectRpcOptions* options = nullptr;
  ConnectRpcDeadlines* deadlines = nullptr;
  std::atomic<std::uint64_t> deadline_id{0};
  std::atomic<bool> finished{false};

  ~Call() {
    if (!type.streaming) Answer(Unanswered(), nullptr);
  }

  // True for the first who ends the call.
  bool End(absl::StatusCode code) {
    if (finished.exchange(true)) return false;
    if (const std::uint64_t id = deadline_id.load(); id != 0) deadlines->Cancel(deadline, id);
    if (options->on_finished) options->on_finished(method, code, options->clock->Monotonic() - started);
    return true;
  }

  void SetDeadline(std::function<void()> function) {
    if (has_deadline) deadline_id.store(deadlines->At(deadline, std::move(function)));
  }

  void Answer(const absl::Status& status, const Message* message) {
    absl::Status outcome = status;
    std::string body;
    if (outcome.ok()) {
      auto encoded = message != nullptr ? EncodeMessage(type.encoding, *message) : Unanswered();
      outcome = encoded.status();
      if (outcome.ok()) body = *std::move(encoded);
    }
    if (!End(outcome.code())) return;
    if (!outcome.ok()) return responder->Send(ErrorResponse(outcome));
    responder->Send({.content_type = std::string(ToString(type)),
                     .body = std::move(body),
                     .compressible = type.encoding == ConnectEncoding::kJson && IsReading(method)});
  }

  // Who calls and with what, or why not.
  absl::StatusOr<Caller> Open(std::string_view bytes, Message* message) const {
    if (has_deadline && options->clock->Monotonic() >= deadline) return DeadlinePassed();
    ASSIGN_OR_RETURN(Caller caller, options->authenticator->Authenticate(request.BearerToken()));
    RETURN_IF_ERROR(DecodeMessage(type.encoding, bytes, message));
    return caller;
  }
};

namespace {

// The sink of one open stream.
template <typename Call>
class ConnectStream : public StreamSink {
 public:
  explicit ConnectStream(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~ConnectStream() override { Finish(Unanswered()); }

  bool Write(const Message& message) override {
    if (call_->finished.load()) return false;
    const auto encoded = EncodeMessage(call_->type.encoding, message);
    if (!encoded.ok()) {
      Finish(encoded.status());
      return false;
    }
    return call_->responder->Write(Envelope(*encoded)) == StreamWrite::kTaken;
  }

  void OnWritable(std::function<void()> callback) override { call_->responder->OnWritable(std::move(callback)); }

  void Finish(const absl::Status& status) override {
    if (!call_->End(status.code())) return;
    call_->responder->End(EndOfStream(status));
    // What the callback holds is let go, outside the lock.
    std::function<void()> dropped;
    MutexLock lock(&mutex_);
    dropped.swap(on_cancelled_);
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

  bool cancelled() const override {
    MutexLock lock(&mutex_);
    return cancelled_;
  }

  // The client is gone, or has waited long enough (`status` is what it is told).
  void Cancel(const absl::Status& status) {
    if (!call_->End(status.code())) return;
    std::function<void()> callback;
    {
      MutexLock lock(&mutex_);
      cancelled_ = true;
      callback.swap(on_cancelled_);
    }
    call_->responder->End(EndOfStream(status));
    if (callback) callback();
  }

 private:
  const std::shared_ptr<Call> call_;
  mutable Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> on_cancelled_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

ConnectRpc::ConnectRpc(ConnectRpcOptions options)
    : options_(std::move(options)), deadlines_(std::make_unique<ConnectRpcDeadlines>(options_.clock)) {}

ConnectRpc::~ConnectRpc() = default;

void ConnectRpc::Add(UnaryMethod method) {
  methods_[method.name] = {
      .request_prototype = method.request_prototype, .unary = std::move(method.handle), .stream = nullptr};
}

void ConnectRpc::Add(StreamMethod method) {
  methods_[method.name] = {
      .request_prototype = method.request_prototype, .unary = nullptr, .stream = std::move(method.start)};
}

std::string ConnectRpc::path() const { return fmt::format("/{}/", options_.service); }

void ConnectRpc::Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) {
  const std::string name = request.path.size() > path().size() ? request.path.substr(path().size()) : "";
  const auto found = methods_.find(name);
  if (found == methods_.end()) {
    return Refuse("unknown", 404,
                  MakeError(absl::StatusCode::kUnimplemented, "METHOD_NOT_FOUND",
                            fmt::format("{} has no method {:?}", options_.service, CleanUtf8(name, 100))),
                  responder.get());
  }
  if (request.method != "POST") {
    HttpResponse response = ErrorResponse(
        405, MakeError(absl::StatusCode::kUnimplemented, "METHOD_NOT_ALLOWED", "calls are made with POST"));
    response.headers.push_back({"Allow", "POST"});
    return responder->Send(std::move(response));
  }
  const Method& method = found->second;
  const bool streaming = method.stream != nullptr;
  const auto type = ParseConnectContentType(request.Header("Content-Type"));
  if (!type.has_value() || type->streaming != streaming) {
    return Refuse(name, 415,
                  MakeError(absl::StatusCode::kInvalidArgument, "CONTENT_TYPE",
                            fmt::format("{} takes Content-Type: {}", name,
                                        ToString({.encoding = ConnectEncoding::kJson, .streaming = streaming}))),
                  responder.get());
  }
  if (const absl::Status bad = CheckHeaders(request); !bad.ok()) {
    return Refuse(name, HttpStatusOf(bad.code()), bad, responder.get());
  }
  const auto timeout = ParseConnectTimeout(request.Header("Connect-Timeout-Ms"));
  if (!timeout.ok()) return Refuse(name, 400, timeout.status(), responder.get());

  auto call = std::make_shared<Call>();
  call->method = name;
  call->type = *type;
  call->started = options_.clock->Monotonic();
  call->has_deadline = *timeout != absl::InfiniteDuration();
  if (call->has_deadline) call->deadline = call->started + std::min(*timeout, kMaxTimeout);
  call->request = std::move(request);
  call->responder = std::move(responder);
  call->options = &options_;
  call->deadlines = deadlines_.get();
  const bool taken = options_.workers->TrySubmit(
      [this, &method, call, streaming] { streaming ? RunStream(method, call) : RunUnary(method, call); });
  if (taken) return;
  const absl::Status busy = MakeError(absl::StatusCode::kResourceExhausted, "API_BUSY",
                                      "the hub has too many calls waiting: try again in a moment");
  if (call->End(busy.code())) call->responder->Send(ErrorResponse(busy));
}

void ConnectRpc::Refuse(std::string_view method, int http_status, const absl::Status& status,
                        HttpResponder* responder) {
  if (options_.on_finished) options_.on_finished(method, status.code(), absl::ZeroDuration());
  responder->Send(ErrorResponse(http_status, status));
}

void ConnectRpc::RunUnary(const Method& method, const std::shared_ptr<Call>& call) {
  const std::unique_ptr<Message> request(method.request_prototype->New());
  const auto caller = call->Open(call->request.body, request.get());
  if (!caller.ok()) return call->Answer(caller.status(), nullptr);
  call->SetDeadline([weak = std::weak_ptr<Call>(call)] {
    if (const auto late = weak.lock()) late->Answer(DeadlinePassed(), nullptr);
  });
  method.unary(*caller, *request, [call](const absl::Status& status, std::unique_ptr<Message> message) {
    call->Answer(status, message.get());
  });
}

void ConnectRpc::RunStream(const Method& method, const std::shared_ptr<Call>& call) {
  const std::unique_ptr<Message> request(method.request_prototype->New());
  auto stream = std::make_shared<ConnectStream<Call>>(call);
  const std::weak_ptr<ConnectStream<Call>> weak = stream;
  // Errors of a stream come in its last envelope, under 200: Connect's clients look nowhere else.
  call->responder->StartStream({.content_type = std::string(ToString(call->type))}, [weak] {
    if (const auto gone = weak.lock()) gone->Cancel(absl::CancelledError("the client is gone"));
  });
  const auto bytes = OpenEnvelope(call->request.body);
  if (!bytes.ok()) return stream->Finish(bytes.status());
  const auto caller = call->Open(*bytes, request.get());
  if (!caller.ok()) return stream->Finish(caller.status());
  call->SetDeadline([weak] {
    if (const auto late = weak.lock()) late->Cancel(DeadlinePassed());
  });
  method.stream(*caller, *request, std::move(stream));
}

}  // namespace muster::hub
