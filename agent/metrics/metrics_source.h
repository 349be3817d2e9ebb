// What samples a host or a cluster while its target's toggle is on. Implementations own a thread, and nobody waits for
// it.
#ifndef MUSTER_AGENT_METRICS_METRICS_SOURCE_H_
#define MUSTER_AGENT_METRICS_METRICS_SOURCE_H_

#include "agent/logs/log_sources.h"

namespace muster::agent {

class MetricsSource : public ContainerSink {
 public:
  // The target's toggle. Thread-safe; returns at once. Nothing that was sampled before is told from then on.
  virtual void SetEnabled(bool enabled) = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_METRICS_SOURCE_H_
