// Messages of the API laid out for people. `now` is the hub's clock where it is known. Pure functions onto a Page.
#ifndef MUSTER_HUB_CLI_VIEWS_H_
#define MUSTER_HUB_CLI_VIEWS_H_

#include <string>

#include "absl/time/time.h"
#include "hub/cli/page.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

void ShowTargets(const fleet::v1::ListTargetsResponse& response, absl::Time now, Page* page);
void ShowTarget(const fleet::v1::Target& target, absl::Time now, Page* page);
// The secret and the command of a create or a reconnect.
void ShowConnect(const std::string& target_id, const std::string& secret, const std::string& command,
                 const google::protobuf::Timestamp& expires, Page* page);

void ShowDeployments(const fleet::v1::ListDeploymentsResponse& response, absl::Time now, Page* page);
void ShowDeployment(const fleet::v1::Deployment& deployment, absl::Time now, Page* page);

void ShowFleet(const fleet::v1::FleetStatus& status, absl::Time now, Page* page);
void ShowFleetAt(const fleet::v1::GetFleetAtResponse& response, Page* page);
// Gaps stand where they begin.
void ShowTargetHistory(const fleet::v1::ListTargetHistoryResponse& response, absl::Time now, Page* page);
void ShowDeploymentHistory(const fleet::v1::ListDeploymentHistoryResponse& response, absl::Time now, Page* page);

void ShowAvailability(const fleet::v1::GetAvailabilityResponse& response, Page* page);

// A row for each part of the time: its lines, and a bar in which each level has its letter. At most 80 columns.
void ShowLogVolume(const fleet::v1::GetLogVolumeResponse& response, Page* page);
void ShowLogResources(const fleet::v1::ListLogResourcesResponse& response, Page* page);

void ShowTokens(const fleet::v1::ListTokensResponse& response, absl::Time now, Page* page);
void ShowAuditEntries(const fleet::v1::ListAuditEntriesResponse& response, Page* page);

// What a person must know beside the state: the session that closed, faults, warnings. Empty: nothing.
std::string TargetNote(const fleet::v1::Target& target, absl::Time now);
// The status, and for a stale one what was last known.
Spans StatusCell(const fleet::v1::Deployment& deployment);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_VIEWS_H_
