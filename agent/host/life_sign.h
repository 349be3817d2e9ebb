// How a running agent shows, without writing to any disk, that its loop turns. `muster-agent status --alive` reads it.
// docs/agent.md ("Alive") has the format and the reasons.
#ifndef MUSTER_AGENT_HOST_LIFE_SIGN_H_
#define MUSTER_AGENT_HOST_LIFE_SIGN_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/host/data_dir.h"
#include "common/clock.h"

namespace muster::agent {

// The loop turns once a second, hub or not; what holds it up longest is a disk that is slow to sync the session
// counter. After 30 s half of the time is over in which the hub calls a silent agent stale.
inline constexpr absl::Duration kAliveWithin = absl::Seconds(30);
inline constexpr absl::Duration kLifeSignInterval = absl::Seconds(1);

// Not thread-safe; the loop's own.
class LifeSign {
 public:
  // Shows the first sign. `dir` and `clock` outlive it. `clock` is Clock::System(), by which others judge: a machine
  // that slept has not kept the loop from turning.
  LifeSign(const DataDir* dir, const Clock* clock);

  // To be called at each pass of the loop; a call of the system at most once a second.
  void Turn();

 private:
  void Show();

  const DataDir* const dir_;
  const Clock* const clock_;
  Instant shown_;
  bool failed_ = false;
};

// For readers: what the kernel knows of the agent that uses a folder, whatever is or is not in its files.
struct ObservedLife {
  bool agent_running = false;
  // By Clock::System(); nullopt: nobody runs, or has shown no sign yet.
  std::optional<Instant> turned = std::nullopt;
};
// NO_AGENT_STATE when no agent has used the folder, DATA_DIR_UNUSABLE when this user may not look.
absl::StatusOr<ObservedLife> ObserveLife(const std::string& data_dir);

// `now` by Clock::System().
bool IsAlive(const ObservedLife& life, Instant now);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_LIFE_SIGN_H_
