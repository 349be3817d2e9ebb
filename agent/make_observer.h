// Chooses what looks at this host's runtime.
#ifndef MUSTER_AGENT_MAKE_OBSERVER_H_
#define MUSTER_AGENT_MAKE_OBSERVER_H_

#include <memory>

#include "agent/config.h"
#include "agent/observer.h"
#include "agent/present.h"

namespace muster::agent {

// Observing has begun when it returns; it may take half a second. `sink` outlives the observer.
// auto: Docker if its socket exists, now or later; until then the host is known to have no deployments.
std::unique_ptr<Observer> MakeObserver(const RunConfig& config, PresentSink* sink);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_MAKE_OBSERVER_H_
