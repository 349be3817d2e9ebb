#include "hub/session/grpc_agent_service.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <string>
#include <utility>

#include "common/mutex.h"
#include "muster/agent/v1/agent.grpc.pb.h"

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;
using Reactor = grpc::ServerBidiReactor<SessionRequest, SessionResponse>;

// Frames that wait for a slow reader: a hub sends one every 30 s, so this many mean that nobody reads.
constexpr std::size_t kMaxQueuedFrames = 64;

// "ipv4:10.0.0.7:41234" -> "10.0.0.7:41234"; "ipv6:%5B::1%5D:41234" -> "[::1]:41234".
std::string ReadablePeer(const std::string& peer) {
  std::string text = peer.substr(peer.find(':') + 1);
  for (const auto& [escape, plain] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}}) {
    if (const auto at = text.find(escape); at != std::string::npos) text.replace(at, 3, plain);
  }
  return text;
}

// The writing half of a stream. Outlives the reactor, because a session may still send while the stream is ending.
class StreamSink : public FrameSink {
 public:
  explicit StreamSink(Reactor* reactor) : reactor_(reactor) {}

  void Send(const SessionResponse& frame) override {
    MutexLock lock(&mutex_);
    if (reactor_ == nullptr || finishing_) return;
    if (queue_.size() >= kMaxQueuedFrames) {
      queue_.resize(writing_ ? 1 : 0);  // the first one is with gRPC
      finishing_ = true;
      status_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the agent does not read what the hub sends");
      return FinishIfIdle();
    }
    queue_.push_back(frame);
    if (!writing_) WriteNext();
  }

  void Finish() override {
    MutexLock lock(&mutex_);
    finishing_ = true;
    FinishIfIdle();
  }

  // Nothing may be started after Finish, which another thread may call at any moment.
  void ReadNext(SessionRequest* request) {
    MutexLock lock(&mutex_);
    if (reactor_ != nullptr && !finished_) reactor_->StartRead(request);
  }

  void OnWriteDone(bool ok) {
    MutexLock lock(&mutex_);
    writing_ = false;
    queue_.pop_front();
    if (!ok) {
      queue_.clear();
      finishing_ = true;
    }
    if (!queue_.empty()) return WriteNext();
    FinishIfIdle();
  }

  // The reactor is about to go.
  void Detach() {
    MutexLock lock(&mutex_);
    reactor_ = nullptr;
  }

 private:
  // gRPC never runs a reaction inside StartWrite or Finish, so calling them under the lock is safe.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    reactor_->StartWrite(&queue_.front());
  }
  void FinishIfIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr || !finishing_ || writing_ || !queue_.empty() || finished_) return;
    finished_ = true;
    reactor_->Finish(status_);
  }

  Mutex mutex_;
  Reactor* reactor_ ABSL_GUARDED_BY(mutex_);
  std::deque<SessionResponse> queue_ ABSL_GUARDED_BY(mutex_);
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// Deletes itself in OnDone, the last reaction.
class StreamReactor : public Reactor {
 public:
  StreamReactor(const SessionDeps* deps, SessionRegistry* registry, std::string peer)
      : sink_(std::make_shared<StreamSink>(this)),
        session_(std::make_shared<AgentSession>(deps, std::move(peer), sink_)) {
    if (!registry->Add(session_)) {
      deps->counters->refused("OVERLOADED");
      session_->End({agent::v1::FAREWELL_REASON_OVERLOADED,
                     "the hub takes no more agents: it is stopping or has as many as its descriptor limit allows",
                     absl::Seconds(30)});
    }
    sink_->ReadNext(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      // The agent closed its side, the connection broke, or the frame was none: gRPC does not tell these apart here.
      session_->OnPeerClosed("the connection was closed without a goodbye");
      return;
    }
    session_->OnFrame(request_);
    request_.Clear();
    sink_->ReadNext(&request_);
  }
  void OnWriteDone(bool ok) override { sink_->OnWriteDone(ok); }
  void OnCancel() override { session_->OnPeerClosed("the connection was lost"); }
  void OnDone() override {
    sink_->Detach();
    delete this;
  }

 private:
  SessionRequest request_;
  const std::shared_ptr<StreamSink> sink_;
  const std::shared_ptr<AgentSession> session_;
};

class GrpcAgentService : public agent::v1::AgentService::CallbackService {
 public:
  GrpcAgentService(const SessionDeps* deps, SessionRegistry* registry) : deps_(deps), registry_(registry) {}

  Reactor* Session(grpc::CallbackServerContext* context) override {
    return new StreamReactor(deps_, registry_, ReadablePeer(context->peer()));
  }

 private:
  const SessionDeps* const deps_;
  SessionRegistry* const registry_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAgentService(const SessionDeps* deps, SessionRegistry* registry) {
  return std::make_unique<GrpcAgentService>(deps, registry);
}

}  // namespace muster::hub
