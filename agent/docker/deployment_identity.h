// Which deployment a container belongs to, and what a deployment calls itself. Pure functions over plain values;
// docs/status-rules.md tells the rules.
#ifndef MUSTER_AGENT_DOCKER_DEPLOYMENT_IDENTITY_H_
#define MUSTER_AGENT_DOCKER_DEPLOYMENT_IDENTITY_H_

#include <string>
#include <string_view>
#include <vector>

#include "agent/deployments/names.h"
#include "agent/docker/engine_types.h"

namespace muster::agent {

DeploymentIdentity IdentityOf(const Container& container);

// What stays when a container is replaced: the service, or the name of a container that belongs to none.
std::string ServiceOf(const Container& container);

// The Swarm task slot a container fills, "web.1"; empty for others.
std::string_view SwarmSlotOf(const Container& container);

// `spokesmen`: one container per service, in the order of services; not empty.
ApplicationName ApplicationOf(const std::vector<const Container*>& spokesmen, std::string_view deployment_name);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_DEPLOYMENT_IDENTITY_H_
