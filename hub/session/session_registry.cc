#include "hub/session/session_registry.h"

#include <algorithm>

#include "common/backoff.h"

namespace muster::hub {

bool SessionRegistry::Add(const std::shared_ptr<AgentSession>& session) {
  MutexLock lock(&mutex_);
  if (draining_ || sessions_.size() >= max_sessions_) return false;
  sessions_.push_back(session);
  return true;
}

std::vector<std::shared_ptr<AgentSession>> SessionRegistry::Live() {
  std::vector<std::shared_ptr<AgentSession>> live;
  MutexLock lock(&mutex_);
  std::erase_if(sessions_, [&](const std::weak_ptr<AgentSession>& weak) {
    std::shared_ptr<AgentSession> session = weak.lock();
    if (session == nullptr) return true;
    live.push_back(std::move(session));
    return false;
  });
  return live;
}

void SessionRegistry::Tick(Instant now) {
  for (const auto& session : Live()) session->EndIfSilent(now);
}

void SessionRegistry::Drain(absl::Duration spread) {
  {
    MutexLock lock(&mutex_);
    draining_ = true;
  }
  const auto uniform = SystemUniform();
  for (const auto& session : Live()) {
    session->End({agent::v1::FAREWELL_REASON_DRAINING, "the hub is stopping", absl::Seconds(1) + spread * uniform()});
  }
}

std::size_t SessionRegistry::open() const {
  MutexLock lock(&mutex_);
  return static_cast<std::size_t>(
      std::count_if(sessions_.begin(), sessions_.end(), [](const auto& weak) { return !weak.expired(); }));
}

}  // namespace muster::hub
