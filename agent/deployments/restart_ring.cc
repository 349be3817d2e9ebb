#include "agent/deployments/restart_ring.h"

#include <algorithm>

namespace muster::agent {

void RestartRing::Add(Instant when, absl::Time wall) {
  std::rotate(restarts_.begin(), restarts_.begin() + 1, restarts_.end());
  restarts_.back() = Restart{.when = when, .wall = wall};
}

void RestartRing::AddPast(absl::Time wall, Moment now) {
  const absl::Duration age = std::max(absl::ZeroDuration(), now.wall - wall);
  if (age < kRestartWindow) Add(now.monotonic - age, wall);
}

bool RestartRing::IsLoop(Instant now) const {
  return std::all_of(restarts_.begin(), restarts_.end(), [now](const std::optional<Restart>& restart) {
    return restart.has_value() && now - restart->when < kRestartWindow;
  });
}

absl::Time RestartRing::Since() const {
  return restarts_.back().has_value() ? restarts_.back()->wall : absl::InfinitePast();
}

Instant RestartRing::End() const {
  return restarts_.front().has_value() ? restarts_.front()->when + kRestartWindow : Instant();
}

}  // namespace muster::agent
