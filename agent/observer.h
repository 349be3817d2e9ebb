// What looks at a runtime and publishes pictures of it. One per agent; implementations run on threads of their own.
#ifndef MUSTER_AGENT_OBSERVER_H_
#define MUSTER_AGENT_OBSERVER_H_

#include <string>

#include "absl/time/time.h"

namespace muster::agent {

class Observer {
 public:
  // Stops observing; nothing is published afterwards.
  virtual ~Observer() = default;
  // The time between two full looks. Thread-safe.
  virtual void SetRelistInterval(absl::Duration interval) = 0;
  // "docker 20.10.24"; empty while unknown. Thread-safe.
  virtual std::string RuntimeName() const = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_OBSERVER_H_
