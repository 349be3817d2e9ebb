#include "agent/link/grpc_dialer.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "agent/link/failure_text.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/version.h"
#include "muster/agent/v1/agent.grpc.pb.h"

namespace muster::agent {
namespace {

// Also gRPC's limit on one connection attempt (name, TCP, TLS).
constexpr int kConnectTimeoutMs = 10'000;
constexpr int kKeepaliveTimeMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// Only "no compression" (bit 0): a compressed frame would be inflated before its size is checked.
constexpr int kIdentityOnly = 1;

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, kIdentityOnly);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  // A channel of its own must also mean a connection of its own.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Each frame from the hub would be answered by a probe; what comes is little.
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 1);
  args.SetMaxReceiveMessageSize(kMaxReceivedFrameBytes);
  args.SetUserAgentPrefix(std::string("muster-agent/") + kVersion);
  return args;
}

// gRPC writes lines of its own to stderr for every failed handshake; the session says the same once, for people.
void TakeGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* line) { log::Debug("grpc: {}", line->message); });
}

// One call with its channel. Owned by the dialer until it is closed, so that neither dies on the queue's thread.
//
// Operations start on any thread and end on the queue's. When the stream is over and nobody reads, the status is asked
// for; with that, and with nothing else under way, the call is closed.
class Call {
 public:
  using OnCallClosed = std::function<void()>;
  // One operation of gRPC; its address is the tag.
  struct Operation {
    Call* call;
    bool is_under_way = false;  // guarded by the call's mutex, which the annotations cannot follow
  };

  Call(std::shared_ptr<grpc::Channel> channel, std::string hub, std::shared_ptr<LinkEvents> events)
      : hub_(std::move(hub)),
        events_(std::move(events)),
        channel_(std::move(channel)),
        stub_(v1::AgentService::NewStub(channel_)) {}

  // `closed` is called once, as the last thing this call does.
  void Start(grpc::CompletionQueue* queue, OnCallClosed closed) {
    closed_ = std::move(closed);
    stream_ = stub_->PrepareAsyncSession(&context_, queue);
    if (Begin(&starting_)) stream_->StartCall(&starting_);
  }

  void Send(const v1::SessionRequest& frame) {
    if (BeginToSend(&writing_, &frame)) stream_->Write(frame, &writing_);
  }

  void HalfClose() {
    if (BeginToSend(&half_closing_, nullptr)) stream_->WritesDone(&half_closing_);
  }

  void Receive() {
    if (!Begin(&reading_)) return;
    incoming_.Clear();
    stream_->Read(&incoming_, &reading_);
  }

  void Cancel() {
    context_.TryCancel();
    bool is_to_finish = false;
    {
      MutexLock lock(&mutex_);
      over_ = true;
      is_to_finish = BeginFinish();
    }
    if (is_to_finish) stream_->Finish(&status_, &finishing_);
  }

  // On the queue's thread.
  void OnEnded(Operation* operation, bool ok) {
    const bool was_read = operation == &reading_;
    // The flag falls before the event, which may ask for the next frame before it returns.
    v1::SessionResponse frame;
    if (was_read && ok) frame = std::move(incoming_);
    bool is_to_finish = false;
    bool is_closed = false;
    Operation* waited = nullptr;
    {
      MutexLock lock(&mutex_);
      operation->is_under_way = false;
      if (operation == &starting_) waited = std::exchange(waiting_, nullptr);
      if (waited != nullptr && (over_ || !ok)) std::exchange(waited, nullptr)->is_under_way = false;
      if (was_read && !ok) over_ = true;
      is_to_finish = BeginFinish();
      is_closed = finish_begun_ && !starting_.is_under_way && !writing_.is_under_way && !half_closing_.is_under_way &&
                  !finishing_.is_under_way;
    }
    if (waited == &writing_) stream_->Write(first_frame_, &writing_);
    if (waited == &half_closing_) stream_->WritesDone(&half_closing_);
    if (operation == &writing_ && ok) events_->OnSent();
    if (was_read && ok) events_->OnFrame(std::move(frame));
    if (was_read && !ok) events_->OnReadEnded();
    if (is_to_finish) stream_->Finish(&status_, &finishing_);
    if (is_closed) Close();
  }

 private:
  // False when the stream is over and nothing may be started.
  bool Begin(Operation* operation) {
    MutexLock lock(&mutex_);
    if (over_) return false;
    operation->is_under_way = true;
    return true;
  }

  // False also while the call is not started: gRPC sends one thing at a time, the call's own metadata among them. Then
  // the operation, with its frame, waits for that.
  bool BeginToSend(Operation* operation, const v1::SessionRequest* frame) {
    MutexLock lock(&mutex_);
    if (over_) return false;
    operation->is_under_way = true;
    if (!starting_.is_under_way) return true;
    waiting_ = operation;
    if (frame != nullptr) first_frame_ = *frame;
    return false;
  }

  // Asking for the status takes the first metadata along where no read has brought them, so it must not meet a read.
  bool BeginFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!over_ || reading_.is_under_way || finish_begun_) return false;
    finish_begun_ = true;
    finishing_.is_under_way = true;
    return true;
  }

  void Close() {
    events_->OnClosed(status_.ok() ? absl::OkStatus()
                                   : absl::Status(static_cast<absl::StatusCode>(status_.error_code()),
                                                  LinkFailureText(hub_, static_cast<int>(status_.error_code()),
                                                                  status_.error_message())));
    // The dialer may destroy this call as soon as it knows.
    const OnCallClosed closed = std::move(closed_);
    closed();
  }

  const std::string hub_;
  const std::shared_ptr<LinkEvents> events_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;
  OnCallClosed closed_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::SessionRequest, v1::SessionResponse>> stream_;
  // Each belongs to its operation while that is under way.
  v1::SessionRequest first_frame_;
  v1::SessionResponse incoming_;
  grpc::Status status_;

  Mutex mutex_;
  Operation starting_{this};
  Operation writing_{this};
  Operation half_closing_{this};
  Operation reading_{this};
  Operation finishing_{this};
  // To be started when the call is; at most one, as nothing is sent before what was sent before has ended.
  Operation* waiting_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_begun_ ABSL_GUARDED_BY(mutex_) = false;
};

class GrpcLink : public Link {
 public:
  explicit GrpcLink(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~GrpcLink() override { call_->Cancel(); }
  void Send(const v1::SessionRequest& frame) override { call_->Send(frame); }
  void HalfClose() override { call_->HalfClose(); }
  void Receive() override { call_->Receive(); }

 private:
  const std::shared_ptr<Call> call_;
};

}  // namespace

class GrpcDialer::Impl {
 public:
  explicit Impl(GrpcDialerOptions options) : options_(std::move(options)) {
    TakeGrpcLog();
    if (options_.insecure) {
      credentials_ = grpc::InsecureChannelCredentials();
    } else {
      grpc::SslCredentialsOptions tls;
      tls.pem_root_certs = options_.ca_pem;
      credentials_ = grpc::SslCredentials(tls);
    }
    thread_ = std::thread([this] { Serve(); });
  }

  ~Impl() {
    Drain();
    queue_.Shutdown();
    thread_.join();
  }

  std::unique_ptr<Link> Dial(std::shared_ptr<LinkEvents> events) {
    auto channel = grpc::CreateCustomChannel(options_.hub, credentials_, ChannelArguments());
    auto call = std::make_shared<Call>(std::move(channel), options_.hub, std::move(events));
    auto entry = std::make_shared<Entry>();
    entry->call = call;
    {
      MutexLock lock(&mutex_);
      entries_.push_back(entry);
    }
    call->Start(&queue_, [this, entry = entry.get()] {
      MutexLock lock(&mutex_);
      entry->done = true;
      changed_.NotifyAll();
    });
    return std::make_unique<GrpcLink>(std::move(call));
  }

  void Drain() {
    {
      MutexLock lock(&mutex_);
      while (std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return !entry->done; })) {
        changed_.Wait(&mutex_);
      }
    }
    Reap();
  }

  // Destroys what is done, here and not on the queue's thread, outside the lock.
  void Reap() {
    std::list<std::shared_ptr<Entry>> gone;
    MutexLock lock(&mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      const auto current = it++;
      if ((*current)->done) gone.splice(gone.end(), entries_, current);
    }
  }

 private:
  struct Entry {
    std::shared_ptr<Call> call;
    bool done = false;  // guarded by mutex_
  };

  void Serve() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      auto* operation = static_cast<Call::Operation*>(tag);
      operation->call->OnEnded(operation, ok);
    }
  }

  const GrpcDialerOptions options_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Mutex mutex_;
  CondVar changed_;
  std::list<std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

GrpcDialer::GrpcDialer(GrpcDialerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

GrpcDialer::~GrpcDialer() = default;

std::unique_ptr<Link> GrpcDialer::Dial(std::shared_ptr<LinkEvents> events) { return impl_->Dial(std::move(events)); }

void GrpcDialer::Reap() { impl_->Reap(); }

void GrpcDialer::Drain() { impl_->Drain(); }

}  // namespace muster::agent
