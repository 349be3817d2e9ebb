// The last restarts of one container, and whether they are a loop. Windows are measured on the monotonic clock, so
// setting the wall clock neither makes nor hides one. Used by the histories of agent/docker and agent/kubernetes. Not
// thread-safe; a few dozen bytes.
#ifndef MUSTER_AGENT_DEPLOYMENTS_RESTART_RING_H_
#define MUSTER_AGENT_DEPLOYMENTS_RESTART_RING_H_

#include <array>
#include <cstddef>
#include <optional>

#include "absl/time/time.h"
#include "common/clock.h"

namespace muster::agent {

inline constexpr absl::Duration kRestartWindow = absl::Minutes(10);
inline constexpr std::size_t kRestartsInALoop = 3;

class RestartRing {
 public:
  void Add(Instant when, absl::Time wall);
  // A restart that was not seen, of which only a timestamp tells. One that is too old does not count.
  void AddPast(absl::Time wall, Moment now);
  void Clear() { restarts_ = {}; }

  // kRestartsInALoop restarts within kRestartWindow.
  bool IsLoop(Instant now) const;
  // Of a loop: when it became one, and when it ends unless there is another restart.
  absl::Time Since() const;
  Instant End() const;

 private:
  struct Restart {
    Instant when;
    absl::Time wall;
  };
  // Oldest first.
  std::array<std::optional<Restart>, kRestartsInALoop> restarts_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_RESTART_RING_H_
