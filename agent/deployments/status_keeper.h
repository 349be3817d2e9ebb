// Since when a deployment has its status (docs/status-rules.md, "The status of a deployment"). One for each deployment
// of a book, beside its state. Not thread-safe.
#ifndef MUSTER_AGENT_DEPLOYMENTS_STATUS_KEEPER_H_
#define MUSTER_AGENT_DEPLOYMENTS_STATUS_KEEPER_H_

#include <string>

#include "absl/time/time.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

class StatusKeeper {
 public:
  // Sets status, message and, when the status is another one than before, its time in `state`. `since` is when it took
  // effect as far as the runtime tells, else InfinitePast; `by_window`: an error that ends by itself with time.
  void Set(types::v1::DeploymentStatus status, std::string message, absl::Time since, bool by_window, absl::Time now,
           v1::DeploymentState& state);

 private:
  absl::Time status_time_;
  bool by_window_ = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_STATUS_KEEPER_H_
