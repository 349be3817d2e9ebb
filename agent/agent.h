// `muster-agent run`: builds the parts, runs them until a signal comes, takes them down in order.
#ifndef MUSTER_AGENT_AGENT_H_
#define MUSTER_AGENT_AGENT_H_

#include "absl/status/status.h"
#include "agent/config.h"

namespace muster::agent {

// Returns after SIGTERM or SIGINT, which must be blocked (BlockTerminationSignals).
absl::Status RunAgent(const RunConfig& config);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_AGENT_H_
