// muster.agent.v1.AgentService/Session on the gRPC port: frames in and out, all logic in AgentSession. The only file of
// hub/session that knows gRPC.
#ifndef MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_
#define MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_

#include "hub/grpc/grpc_server.h"
#include "hub/session/agent_session.h"
#include "hub/session/session_registry.h"

namespace muster::hub {

// Both must outlive the server.
void AddAgentService(const SessionDeps* deps, SessionRegistry* registry, GrpcMethods* methods);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_GRPC_AGENT_SERVICE_H_
