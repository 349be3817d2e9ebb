// Every stream the hub has accepted, by weak reference: bounds their number, ends those that never say Hello or fall
// silent, and says farewell to all when the hub stops. Thread-safe.
#ifndef MUSTER_HUB_SESSION_SESSION_REGISTRY_H_
#define MUSTER_HUB_SESSION_SESSION_REGISTRY_H_

#include <memory>
#include <vector>

#include "common/mutex.h"
#include "hub/session/agent_session.h"

namespace muster::hub {

class SessionRegistry {
 public:
  // `max_sessions`: from the process's descriptor limit, see hub/limits.h.
  explicit SessionRegistry(std::size_t max_sessions) : max_sessions_(max_sessions) {}

  // False: no more are taken, because there are too many or the hub is stopping. End the session then.
  bool Add(const std::shared_ptr<AgentSession>& session) ABSL_LOCKS_EXCLUDED(mutex_);

  // Every kTick.
  static constexpr absl::Duration kTick = absl::Seconds(5);
  void Tick(Instant now) ABSL_LOCKS_EXCLUDED(mutex_);

  // DRAINING to everybody; each is asked to come back at a moment of its own within `spread`.
  void Drain(absl::Duration spread) ABSL_LOCKS_EXCLUDED(mutex_);

  std::size_t open() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  std::vector<std::shared_ptr<AgentSession>> Live() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::size_t max_sessions_;
  mutable Mutex mutex_;
  std::vector<std::weak_ptr<AgentSession>> sessions_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_SESSION_REGISTRY_H_
