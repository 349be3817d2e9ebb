#include "hub/session/grpc_agent_service.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "hub/grpc_write_queue.h"
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

class StreamSink : public FrameSink {
 public:
  explicit StreamSink(Reactor* reactor) : queue_(reactor, kMaxQueuedFrames) {}

  void Send(const SessionResponse& frame) override {
    if (queue_.Push(frame)) return;
    queue_.Abort(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the agent does not read what the hub sends"));
  }
  void Finish() override { queue_.Finish(); }
  void ReadNext(SessionRequest* request) {
    queue_.StartUnlessFinished([request](Reactor* reactor) { reactor->StartRead(request); });
  }
  void OnWriteDone(bool ok) { queue_.OnWriteDone(ok); }
  void Detach() { queue_.Detach(); }

 private:
  GrpcWriteQueue<Reactor, SessionResponse> queue_;
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
    session_->OnFrame(std::move(request_));
    request_ = SessionRequest();
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
