// What one container did in the last 10 minutes: restarts and OOM kills. Windows are measured on the monotonic clock,
// so setting the wall clock neither makes nor hides a restart loop. Not thread-safe; a few dozen bytes each.
#ifndef MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_
#define MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_

#include <cstdint>
#include <optional>

#include "agent/deployments/restart_ring.h"
#include "agent/docker/engine_types.h"
#include "agent/docker/status_rules.h"
#include "common/clock.h"

namespace muster::agent {

class RestartHistory {
 public:
  // In the order of the stream.
  void OnEvent(const EngineEvent& event, Moment now);
  // After every inspection.
  void OnInspect(const Container& container, Moment now);

  ContainerPast Past(Moment now) const;

 private:
  void LookBack(const Container& container, Moment now);

  struct OomKill {
    Instant when;
    absl::Time wall;
  };
  RestartRing restarts_;

  // RestartCount at the last inspection, and at the last one after a start.
  std::optional<std::int64_t> last_count_;
  std::int64_t count_at_start_ = 0;
  // Restarts that the counter told before their start was seen, and starts since the last inspection that it did not.
  std::int64_t awaited_starts_ = 0;
  std::int64_t uncounted_starts_ = 0;
  bool started_ = false;  // since the last inspection
  bool killed_ = false;   // by somebody through the engine: what follows is no crash
  bool crashed_ = false;  // died by itself with a code; the next start is a restart
  int last_exit_code_ = 0;
  std::optional<OomKill> oom_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_
