// Chooses what looks at this host's runtime.
#ifndef MUSTER_AGENT_MAKE_OBSERVER_H_
#define MUSTER_AGENT_MAKE_OBSERVER_H_

#include <memory>

#include "agent/config.h"
#include "agent/logs/log_sources.h"
#include "agent/observer.h"
#include "agent/present.h"

namespace muster::agent {

// Observing has begun when it returns; it may take half a second. The sinks outlive the observer; `containers`
// may be null.
// auto: Docker if its socket exists, now or later; until then the host is known to have no deployments.
std::unique_ptr<Observer> MakeObserver(const RunConfig& config, PresentSink* sink, ContainerSink* containers);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_MAKE_OBSERVER_H_
