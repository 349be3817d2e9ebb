// The runs of each target's agent, in their order. Each run of an agent has a journal epoch of its own
// (docs/delivery.md); the hub numbers them by when it first heard of them. Called from Writer operations only.
#ifndef MUSTER_HUB_STORE_AGENT_RUNS_H_
#define MUSTER_HUB_STORE_AGENT_RUNS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// Runs of one target that are remembered.
inline constexpr int kKeptRuns = 2000;

// The number of a run: `now` when it was not known before, later than that of every run known then. An agent that names
// no epoch has a new run each time, of which nothing is kept.
absl::StatusOr<absl::Time> EnsureAgentRun(sqlite::Database& database, std::string_view target_id,
                                          std::string_view epoch, absl::Time now);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_AGENT_RUNS_H_
