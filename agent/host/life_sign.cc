#include "agent/host/life_sign.h"

#include "common/log.h"
#include "common/status.h"

namespace muster::agent {

LifeSign::LifeSign(const DataDir* dir, const Clock* clock) : dir_(dir), clock_(clock), shown_(clock->Monotonic()) {
  Show();
}

void LifeSign::Turn() {
  const Instant now = clock_->Monotonic();
  if (now - shown_ < kLifeSignInterval) return;
  shown_ = now;
  Show();
}

void LifeSign::Show() {
  const absl::Status done = dir_->ExtendLock(absl::ToInt64Milliseconds(shown_ - Instant()));
  if (!done.ok() && !failed_) {
    log::Warning("the agent cannot show that it lives: {}; what asks \"status --alive\" may start it anew",
                 MessageOf(done));
  }
  failed_ = !done.ok();
}

absl::StatusOr<ObservedLife> ObserveLife(const std::string& data_dir) {
  ASSIGN_OR_RETURN(const ObservedLock lock, ObserveLock(data_dir));
  ObservedLife life{.agent_running = lock.is_held};
  if (lock.extension > 0) life.turned = Instant::FromDuration(absl::Milliseconds(lock.extension));
  return life;
}

bool IsAlive(const ObservedLife& life, Instant now) {
  return life.agent_running && life.turned.has_value() && now - *life.turned <= kAliveWithin;
}

}  // namespace muster::agent
