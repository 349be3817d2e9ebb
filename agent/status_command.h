// `muster-agent status`: how the agent that uses a data folder stands, for people and for the install script.
#ifndef MUSTER_AGENT_STATUS_COMMAND_H_
#define MUSTER_AGENT_STATUS_COMMAND_H_

#include <string>

#include "absl/time/time.h"
#include "agent/host/data_dir.h"
#include "agent/host/life_sign.h"
#include "common/clock.h"

namespace muster::agent {

// Connected means: the agent runs, and the hub acknowledged a heartbeat of its present session.
bool IsConnected(const ObservedState& observed);

// A few lines for people. `now` gives the ages.
std::string DescribeState(const ObservedState& observed, absl::Time now);

// One JSON document: docs/agent.md.
std::string DescribeStateAsJson(const ObservedState& observed);

// Of `status --alive`: one line, and one JSON document. `now` by Clock::System().
std::string DescribeLife(const ObservedLife& life, Instant now);
std::string DescribeLifeAsJson(const ObservedLife& life, Instant now);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_STATUS_COMMAND_H_
