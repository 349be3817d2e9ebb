#include "agent/link/grpc_dialer.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <list>
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

// One call with its channel. Owned by the dialer until OnDone, so that neither dies inside a reaction.
//
// The hold (AddHold) keeps the call open for writes and reads that start outside reactions. It is given back once: when
// the stream is over and none of our operations is under way.
class Call : public grpc::ClientBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  using OnCallDone = std::function<void()>;

  Call(std::shared_ptr<grpc::Channel> channel, std::string hub, std::shared_ptr<LinkEvents> events)
      : hub_(std::move(hub)),
        events_(std::move(events)),
        channel_(std::move(channel)),
        stub_(v1::AgentService::NewStub(channel_)) {}

  // `done` is called once, as the last thing this call does.
  void Start(OnCallDone done) {
    done_ = std::move(done);
    stub_->async()->Session(&context_, this);
    AddHold();
    StartCall();
  }

  void Send(const v1::SessionRequest& frame) {
    if (!Begin(&writing_)) return;
    outgoing_ = frame;
    StartWrite(&outgoing_);
  }

  void HalfClose() {
    if (Begin(&writing_)) StartWritesDone();
  }

  void Receive() {
    if (!Begin(&reading_)) return;
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void Cancel() {
    context_.TryCancel();
    EndStream();
  }

  void OnWriteDone(bool ok) override {
    Finish(&writing_);
    if (ok) events_->OnSent();
  }

  void OnWritesDoneDone(bool /*ok*/) override { Finish(&writing_); }

  void OnReadDone(bool ok) override {
    if (ok) {
      // The flag falls first: the event may ask for the next frame before it returns.
      v1::SessionResponse frame = std::move(incoming_);
      Finish(&reading_);
      events_->OnFrame(std::move(frame));
      return;
    }
    events_->OnReadEnded();
    EndStream(&reading_);
  }

  void OnDone(const grpc::Status& status) override {
    events_->OnClosed(status.ok() ? absl::OkStatus()
                                  : absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                                                 LinkFailureText(hub_, static_cast<int>(status.error_code()),
                                                                 status.error_message())));
    // The dialer may destroy this call as soon as it knows.
    const OnCallDone done = std::move(done_);
    done();
  }

 private:
  // False when the stream is over and nothing may be started.
  bool Begin(bool* operation) {
    MutexLock lock(&mutex_);
    if (over_) return false;
    *operation = true;
    return true;
  }

  void Finish(bool* operation) {
    bool release = false;
    {
      MutexLock lock(&mutex_);
      *operation = false;
      release = TakeHold();
    }
    if (release) RemoveHold();
  }

  void EndStream(bool* operation = nullptr) {
    bool release = false;
    {
      MutexLock lock(&mutex_);
      if (operation != nullptr) *operation = false;
      over_ = true;
      release = TakeHold();
    }
    if (release) RemoveHold();
  }

  bool TakeHold() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!over_ || writing_ || reading_ || !held_) return false;
    held_ = false;
    return true;
  }

  const std::string hub_;
  const std::shared_ptr<LinkEvents> events_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;
  OnCallDone done_;
  grpc::ClientContext context_;
  // Each belongs to its operation while that is under way.
  v1::SessionRequest outgoing_;
  v1::SessionResponse incoming_;

  Mutex mutex_;
  bool writing_ = false;  // guarded by mutex_; changed through pointers, which the annotations cannot follow
  bool reading_ = false;  // likewise
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool held_ ABSL_GUARDED_BY(mutex_) = true;
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
    call->Start([this, entry = entry.get()] {
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

  // Destroys what is done, here and not in a reaction, outside the lock.
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

  const GrpcDialerOptions options_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Mutex mutex_;
  CondVar changed_;
  std::list<std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
};

GrpcDialer::GrpcDialer(GrpcDialerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

GrpcDialer::~GrpcDialer() { impl_->Drain(); }

std::unique_ptr<Link> GrpcDialer::Dial(std::shared_ptr<LinkEvents> events) { return impl_->Dial(std::move(events)); }

void GrpcDialer::Reap() { impl_->Reap(); }

void GrpcDialer::Drain() { impl_->Drain(); }

}  // namespace muster::agent
