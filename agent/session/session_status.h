// How the session stands, as the state file and `muster-agent status` tell it. A plain value.
#ifndef MUSTER_AGENT_SESSION_SESSION_STATUS_H_
#define MUSTER_AGENT_SESSION_SESSION_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "common/clock.h"

namespace muster::agent {

struct SessionStatus {
  // Rises with every change of what follows.
  std::uint64_t changes = 0;
  // Welcomed, and the hub acknowledged a heartbeat of this session.
  bool connected = false;
  std::string session_id;
  std::string target_name;
  std::optional<absl::Time> last_ack_time;
  // When the last acknowledged heartbeat was sent: the hub heard the agent until then. Not for the state file.
  std::optional<Instant> heard_at;
  // The reason's name without its prefix; empty: none since the agent started.
  std::string last_farewell_reason;
  std::string last_farewell_message;
  std::optional<absl::Time> last_farewell_time;
  // Why there is no session now; empty while there is one.
  std::string last_error;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_SESSION_STATUS_H_
