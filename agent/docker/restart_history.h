// What one container did in the last 10 minutes: restarts and OOM kills. Windows are measured on the monotonic clock,
// so setting the wall clock neither makes nor hides a restart loop. Not thread-safe; a few dozen bytes each.
#ifndef MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_
#define MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_

#include <array>
#include <cstdint>
#include <optional>

#include "agent/docker/engine_types.h"
#include "agent/docker/status_rules.h"
#include "common/clock.h"

namespace muster::agent {

inline constexpr absl::Duration kRestartWindow = absl::Minutes(10);
inline constexpr std::size_t kRestartsInALoop = 3;

class RestartHistory {
 public:
  // In the order of the stream.
  void OnEvent(const EngineEvent& event, Moment now);
  // After every inspection.
  void OnInspect(const Container& container, Moment now);

  ContainerPast Past(Moment now) const;

 private:
  void AddRestart(Instant when, absl::Time wall);
  void LookBack(const Container& container, Moment now);

  // A ring of the last restarts, oldest first.
  struct Restart {
    Instant when;
    absl::Time wall;
  };
  std::array<std::optional<Restart>, kRestartsInALoop> restarts_;

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
  std::optional<Restart> oom_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_RESTART_HISTORY_H_
