// The runs of each target's agent, in their order. Each run of an agent has a journal epoch of its own
// (docs/delivery.md); the hub numbers them by when it first heard of them. Called from Writer operations only.
#ifndef MUSTER_HUB_STORE_AGENT_RUNS_H_
#define MUSTER_HUB_STORE_AGENT_RUNS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// Runs of one target that are remembered, besides those of which there is a position.
inline constexpr int kKeptRuns = 2000;

// Numbers the runs that a Hello names, oldest first: one that was not known gets `now`, or what is later than every
// number before it. Returns that of the last one. An agent that names no epoch ("") has a new run each time, of which
// nothing is kept.
absl::StatusOr<absl::Time> EnsureAgentRuns(sqlite::Database& database, std::string_view target_id,
                                           const std::vector<std::string>& epochs, absl::Time now);

// The number of the run that a batch is of, which came in a session of the run `session_run`. One that no Hello has
// named was found in the agent's journal later: it is older than the session's.
absl::StatusOr<absl::Time> FindAgentRun(sqlite::Database& database, std::string_view target_id, std::string_view epoch,
                                        absl::Time session_run);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_AGENT_RUNS_H_
