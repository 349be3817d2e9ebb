// What runs on this host now, handed from an observer to the session. Observers publish whole pictures, never
// differences: the last one is always enough.
#ifndef MUSTER_AGENT_PRESENT_H_
#define MUSTER_AGENT_PRESENT_H_

#include <optional>
#include <vector>

#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Limits of one picture. The arithmetic: 500 deployments with cut texts stay below the 1 MiB a frame may have.
inline constexpr std::size_t kMaxDeploymentsPerTarget = 500;
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxMessageBytes = 512;

struct Present {
  // Sorted by key, at most kMaxDeploymentsPerTarget, all text valid UTF-8 within the limits above.
  std::vector<v1::DeploymentState> deployments;
  int omitted = 0;
  // Set when the runtime cannot be observed; then `deployments` means nothing.
  std::optional<v1::ObserverFault> fault;
};

// Implemented by whoever sends. Thread-safe; returns at once.
class PresentSink {
 public:
  virtual ~PresentSink() = default;
  // Called at every change and after every full look, changed or not.
  virtual void Publish(Present present) = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_PRESENT_H_
