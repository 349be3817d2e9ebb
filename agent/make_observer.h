// Chooses what looks at this host's runtime.
#ifndef MUSTER_AGENT_MAKE_OBSERVER_H_
#define MUSTER_AGENT_MAKE_OBSERVER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/config.h"
#include "agent/http/http_server.h"
#include "agent/kubernetes/watch_loop.h"
#include "agent/logs/log_sources.h"
#include "agent/observer.h"
#include "agent/present.h"

namespace muster::agent {

// Where a cluster's API is, and what of it is looked at.
struct Cluster {
  HttpServer server;
  // Empty: all namespaces, and the nodes.
  std::string name_space;
};
// Nullopt: this host's runtime is another one. `auto`: in a pod, which has an API server and a token.
absl::StatusOr<std::optional<Cluster>> FindCluster(const RunConfig& config);

struct ObserverSinks {
  PresentSink* present = nullptr;
  // These may be null.
  ContainerSink* containers = nullptr;
  NodeSink* nodes = nullptr;
};

// Observing has begun when it returns; it may take half a second. The sinks outlive the observer.
// auto: Docker if its socket exists, now or later; until then the host is known to have no deployments.
std::unique_ptr<Observer> MakeObserver(const RunConfig& config, const std::optional<Cluster>& cluster,
                                       const ObserverSinks& sinks);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_MAKE_OBSERVER_H_
