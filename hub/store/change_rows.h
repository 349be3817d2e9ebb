// Rows of deployment_changes, in their order (docs/history.md). Heartbeats and journal records tell the same changes
// over lines that delay each of them differently, and clocks of agents and of the hub are set: times alone could turn
// two changes around. Called from Writer operations only.
#ifndef MUSTER_HUB_STORE_CHANGE_ROWS_H_
#define MUSTER_HUB_STORE_CHANGE_ROWS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/store/records.h"

namespace muster::hub {

// The last change of a deployment.
struct LastChange {
  absl::Time at = absl::InfinitePast();
  // Absent: a judgement of the hub.
  std::optional<ChangeName> name;
  DeploymentFact fact;
};
absl::StatusOr<std::optional<LastChange>> ReadLastChange(sqlite::Database& database, std::string_view deployment_id);

// Whether two changes say the same; wording aside.
bool SaysTheSame(const DeploymentFact& a, const DeploymentFact& b);

// Stores what an agent told, unless it is there. `at` is moved so that it lies between the changes before and after by
// run and agent's time. `has_session`: the run that tells it has the session now, so only its own changes can be later;
// runs begun after it belong to a copy of the machine. False: it was there.
absl::StatusOr<bool> StoreAgentChange(sqlite::Database& database, std::string_view deployment_id,
                                      const ChangeName& name, absl::Time at, const DeploymentFact& fact,
                                      bool has_session);

// Stores a judgement of the hub.
absl::Status StoreJudgement(sqlite::Database& database, std::string_view deployment_id, absl::Time at,
                            const DeploymentFact& fact);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_CHANGE_ROWS_H_
