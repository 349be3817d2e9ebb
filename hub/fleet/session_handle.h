// What the fleet can do to a live session. Implemented by AgentSession; thread-safe, every call returns at once.
#ifndef MUSTER_HUB_FLEET_SESSION_HANDLE_H_
#define MUSTER_HUB_FLEET_SESSION_HANDLE_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Why a session must not begin or go on.
struct Refusal {
  agent::v1::FarewellReason reason = agent::v1::FAREWELL_REASON_UNSPECIFIED;
  // One sentence for the agent's log.
  std::string message;
  std::optional<absl::Duration> retry_after;
};

class SessionHandle {
 public:
  virtual ~SessionHandle() = default;
  // Says farewell and closes the stream.
  virtual void End(const Refusal& refusal) = 0;
  virtual void PushSettings(const agent::v1::Settings& settings) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_SESSION_HANDLE_H_
