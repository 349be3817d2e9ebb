// The agent's own processor time and memory. Callable from any thread; never blocks.
#ifndef MUSTER_AGENT_HOST_OWN_USE_H_
#define MUSTER_AGENT_HOST_OWN_USE_H_

#include "agent/session/session_logic.h"

namespace muster::agent {

OwnUse ReadOwnUse();

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_OWN_USE_H_
