// What a farewell means for the next attempt: the table of docs/protocol.md. Pure functions.
#ifndef MUSTER_AGENT_SESSION_FAREWELL_POLICY_H_
#define MUSTER_AGENT_SESSION_FAREWELL_POLICY_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/log.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// A hub that asks for more is not obeyed: an agent must not be silenced for good by one frame.
inline constexpr absl::Duration kMaxRetryAfter = absl::Hours(1);

struct FarewellPolicy {
  // The agent's own wait lies between the two; both zero: the ordinary back-off decides.
  absl::Duration least;
  absl::Duration most;
  log::Level level = log::Level::kWarning;
  // What the person who reads the log should do; empty when nothing needs doing.
  std::string_view advice;
};

FarewellPolicy PolicyFor(v1::FarewellReason reason);

// "SECRET_ROTATED"; "reason 17" for numbers of a newer hub.
std::string ReasonName(v1::FarewellReason reason);

// The hub's wish brought into 0 .. kMaxRetryAfter; nullopt when it expressed none.
std::optional<absl::Duration> RetryAfterOf(const v1::Farewell& farewell);

// How long to wait. `uniform` is a number in [0, 1), `backoff` the ordinary back-off's next delay.
absl::Duration WaitAfter(const v1::Farewell& farewell, double uniform, absl::Duration backoff);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_FAREWELL_POLICY_H_
