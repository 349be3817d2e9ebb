#include "hub/store/change_order.h"

#include <optional>

#include "common/status.h"

namespace muster::hub {

absl::StatusOr<absl::Time> TimeInOrder(sqlite::Database& database, std::string_view deployment_id,
                                       absl::Time agent_time, absl::Time at) {
  ASSIGN_OR_RETURN(
      sqlite::Statement neighbours,
      database.Prepare("SELECT (SELECT at_us FROM deployment_changes WHERE deployment_id=?1 AND agent_us<?2"
                       " ORDER BY agent_us DESC LIMIT 1),"
                       " (SELECT at_us FROM deployment_changes WHERE deployment_id=?1 AND agent_us>?2"
                       " ORDER BY agent_us LIMIT 1)"));
  ASSIGN_OR_RETURN(const bool found, neighbours.Bind(1, deployment_id).Bind(2, agent_time).Step());
  if (!found) return at;
  const std::optional<absl::Time> before = neighbours.OptionalTime(0);
  const std::optional<absl::Time> after = neighbours.OptionalTime(1);
  if (before && at < *before && *before - at <= kMaxTurnedAround) at = *before;
  if (after && at > *after && at - *after <= kMaxTurnedAround) at = *after;
  return at;
}

}  // namespace muster::hub
