// muster.agent.v1.AgentService on gRPC's callback API: one reactor per stream, all logic in AgentSession. The only file
// of hub/session that knows gRPC.
#ifndef MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_
#define MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_

#include <memory>

#include "hub/session/agent_session.h"
#include "hub/session/session_registry.h"

namespace grpc {
class Service;
}

namespace muster::hub {

// Both must outlive the server. The service is registered with a grpc::ServerBuilder and must outlive the server, too.
std::unique_ptr<grpc::Service> MakeAgentService(const SessionDeps* deps, SessionRegistry* registry);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_
