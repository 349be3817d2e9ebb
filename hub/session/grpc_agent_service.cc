#include "hub/session/grpc_agent_service.h"

#include <string>
#include <utility>

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;

// Frames that wait for a slow reader: a hub sends one every 30 s, so this many mean that nobody reads.
constexpr std::size_t kMaxQueuedFrames = 64;

class CallSink : public FrameSink {
 public:
  explicit CallSink(std::shared_ptr<GrpcCall> call) : call_(std::move(call)) {}
  void Send(const SessionResponse& frame) override {
    if (call_->Write(frame)) return;
    call_->Abort(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the agent does not read what the hub sends"));
  }
  void Finish() override { call_->Finish(grpc::Status::OK); }

 private:
  const std::shared_ptr<GrpcCall> call_;
};

class SessionCall : public GrpcCall::Handler {
 public:
  SessionCall(std::shared_ptr<GrpcCall> call, std::shared_ptr<AgentSession> session)
      : call_(std::move(call)), session_(std::move(session)) {}

  void OnMessage(grpc::ByteBuffer bytes) override {
    SessionRequest frame;
    if (!ParseMessage(&bytes, &frame)) return OnReadEnded();
    session_->OnFrame(std::move(frame));
    call_->Read();
  }
  // The agent closed its side, the connection broke, or the frame was none.
  void OnReadEnded() override {
    session_->OnPeerClosed("the connection was closed without a goodbye");
    call_->Finish(grpc::Status::OK);
  }
  void OnCancelled() override { session_->OnPeerClosed("the connection was lost"); }

 private:
  const std::shared_ptr<GrpcCall> call_;
  const std::shared_ptr<AgentSession> session_;
};

}  // namespace

void AddAgentService(const SessionDeps* deps, SessionRegistry* registry, GrpcMethods* methods) {
  (*methods)["/muster.agent.v1.AgentService/Session"] = [deps, registry](const std::shared_ptr<GrpcCall>& call) {
    const auto session = std::make_shared<AgentSession>(deps, call->Peer(), std::make_shared<CallSink>(call));
    call->Begin(std::make_shared<SessionCall>(call, session), kMaxQueuedFrames);
    if (!registry->Add(session)) {
      deps->counters->refused("OVERLOADED");
      session->End({agent::v1::FAREWELL_REASON_OVERLOADED,
                    "the hub takes no more agents: it is stopping or has as many as its descriptor limit allows",
                    absl::Seconds(30)});
    }
    call->Read();
  };
}

}  // namespace muster::hub
