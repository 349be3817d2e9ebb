#include "agent/docker/restart_history.h"

#include <algorithm>

namespace muster::agent {

void RestartHistory::OnEvent(const EngineEvent& event, Moment now) {
  switch (event.action) {
    case EventAction::kKill:
      killed_ = true;
      break;
    case EventAction::kDie:
      crashed_ = event.exit_code != 0 && !killed_;
      killed_ = false;
      if (event.exit_code != 0) last_exit_code_ = event.exit_code;
      break;
    case EventAction::kStart:
      if (crashed_ && awaited_starts_ > 0) {
        --awaited_starts_;
      } else if (crashed_) {
        ++uncounted_starts_;
      }
      crashed_ = false;
      killed_ = false;
      started_ = true;
      break;
    case EventAction::kOom:
      oom_ = Restart{.when = now.monotonic, .wall = std::min(event.time, now.wall)};
      break;
    default:
      break;
  }
}

void RestartHistory::OnInspect(const Container& container, Moment now) {
  if (container.partial) return;
  const std::int64_t count = container.restart_count;
  if (!last_count_.has_value()) {
    LookBack(container, now);
  } else {
    // The engine resets its counter at a start by hand: somebody looked after it, so it gets a new chance.
    if (count < *last_count_ && uncounted_starts_ == 0) {
      restarts_ = {};
      awaited_starts_ = 0;
    }
    if (started_ && count <= count_at_start_) oom_.reset();
    // Counter and events tell of the same restarts, the counter first; each may miss some.
    const std::int64_t by_counter = std::max<std::int64_t>(0, count - *last_count_);
    const std::int64_t fresh = std::max(by_counter, uncounted_starts_);
    constexpr std::int64_t kEnough = kRestartsInALoop;
    for (std::int64_t i = 0; i < std::min(fresh, kEnough); ++i) AddRestart(now.monotonic, now.wall);
    awaited_starts_ = std::min(awaited_starts_ + fresh - uncounted_starts_, kEnough);
  }
  if (container.exit_code != 0) last_exit_code_ = container.exit_code;
  if (started_ || !last_count_.has_value()) count_at_start_ = count;
  last_count_ = count;
  uncounted_starts_ = 0;
  started_ = false;
}

// The first look at a container that may have restarted before we came. Counted is only what the timestamps prove.
void RestartHistory::LookBack(const Container& container, Moment now) {
  if (container.restart_count == 0) return;
  const bool is_restarting = container.state == ContainerState::kRestarting;
  const absl::Time last = is_restarting ? container.finished : container.started;
  const auto add_at = [&](absl::Time wall) {
    const absl::Duration age = std::max(absl::ZeroDuration(), now.wall - wall);
    if (age < kRestartWindow) AddRestart(now.monotonic - age, wall);
  };
  const std::int64_t earlier = std::min<std::int64_t>(container.restart_count, kRestartsInALoop) - 1;
  for (std::int64_t i = 0; i < earlier; ++i) add_at(container.created);
  add_at(last);
}

void RestartHistory::AddRestart(Instant when, absl::Time wall) {
  std::rotate(restarts_.begin(), restarts_.begin() + 1, restarts_.end());
  restarts_.back() = Restart{.when = when, .wall = wall};
}

ContainerPast RestartHistory::Past(Moment now) const {
  ContainerPast past;
  const auto is_recent = [&](const std::optional<Restart>& r) {
    return r.has_value() && now.monotonic - r->when < kRestartWindow;
  };
  past.restart_loop = std::all_of(restarts_.begin(), restarts_.end(), is_recent);
  past.last_exit_code = last_exit_code_;
  if (past.restart_loop) past.loop_since = restarts_.back()->wall;
  past.oom = is_recent(oom_);
  if (past.oom) past.oom_time = oom_->wall;
  return past;
}

}  // namespace muster::agent
