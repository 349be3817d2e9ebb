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
      oom_ = OomKill{.when = now.monotonic, .wall = std::min(event.time, now.wall)};
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
      restarts_.Clear();
      awaited_starts_ = 0;
    }
    if (started_ && count <= count_at_start_) oom_.reset();
    // Counter and events tell of the same restarts, the counter first; each may miss some.
    const std::int64_t by_counter = std::max<std::int64_t>(0, count - *last_count_);
    const std::int64_t fresh = std::max(by_counter, uncounted_starts_);
    constexpr std::int64_t kEnough = kRestartsInALoop;
    for (std::int64_t i = 0; i < std::min(fresh, kEnough); ++i) restarts_.Add(now.monotonic, now.wall);
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
  const std::int64_t earlier = std::min<std::int64_t>(container.restart_count, kRestartsInALoop) - 1;
  for (std::int64_t i = 0; i < earlier; ++i) restarts_.AddPast(container.created, now);
  restarts_.AddPast(last, now);
}

ContainerPast RestartHistory::Past(Moment now) const {
  ContainerPast past;
  past.restart_loop = restarts_.IsLoop(now.monotonic);
  past.last_exit_code = last_exit_code_;
  if (past.restart_loop) past.loop_since = restarts_.Since();
  past.oom = oom_.has_value() && now.monotonic - oom_->when < kRestartWindow;
  if (past.oom) past.oom_time = oom_->wall;
  return past;
}

}  // namespace muster::agent
