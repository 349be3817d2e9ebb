// The order of a deployment's changes. Heartbeats and journal records tell the same changes over lines that delay each
// of them differently, so their times at the hub alone could turn two changes around. Used by what writes changes.
#ifndef MUSTER_HUB_STORE_CHANGE_ORDER_H_
#define MUSTER_HUB_STORE_CHANGE_ORDER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// What a line can delay: an agent hangs up after 75 s of silence. Changes that are farther apart than this in the wrong
// order tell of an agent's clock that was set; there the hub's times are right.
inline constexpr absl::Duration kMaxTurnedAround = absl::Minutes(2);

// `at`, moved so that it lies between the changes before and after it by the agent's own times.
absl::StatusOr<absl::Time> TimeInOrder(sqlite::Database& database, std::string_view deployment_id,
                                       absl::Time agent_time, absl::Time at);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_CHANGE_ORDER_H_
