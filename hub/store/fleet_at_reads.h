// The whole fleet as it was at an instant, read from the store's facts by one look into an index for each target and
// kind of fact, and for each deployment. Used by HistoryReader.
#ifndef MUSTER_HUB_STORE_FLEET_AT_READS_H_
#define MUSTER_HUB_STORE_FLEET_AT_READS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/history/facts.h"

namespace muster::hub {

struct TargetAt {
  std::string target_id;
  std::string target_name;
  std::string customer;
  TargetPeriod period;
};
struct DeploymentAt {
  std::string deployment_id;
  std::string target_id;
  std::string target_name;
  std::string name;
  DeploymentPeriod period;
};
struct FleetAt {
  // By name; deployments by target and name.
  std::vector<TargetAt> targets;
  std::vector<DeploymentAt> deployments;
};

// `hub` has the runs around `at`. With a customer, only that customer's targets and deployments.
absl::StatusOr<FleetAt> ReadFleetAt(sqlite::Database& database, const HubFacts& hub, absl::Time at,
                                    std::string_view customer);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_FLEET_AT_READS_H_
