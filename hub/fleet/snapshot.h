// The fleet as it is at one moment, as plain values: what /metrics and the API read. Made by Fleet, owned by the
// reader.
#ifndef MUSTER_HUB_FLEET_SNAPSHOT_H_
#define MUSTER_HUB_FLEET_SNAPSHOT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

struct TargetSnapshot {
  fleet::v1::Target target;
  // Sorted by name.
  std::vector<fleet::v1::Deployment> deployments;
};

struct FleetSnapshot {
  absl::Time taken;
  std::string organization;
  // Sorted by name.
  std::vector<TargetSnapshot> targets;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_SNAPSHOT_H_
