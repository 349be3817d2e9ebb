// Messages of the API laid out for people. `now` is the hub's clock where it is known. Pure functions onto a Page.
#ifndef MUSTER_HUB_CLI_VIEWS_H_
#define MUSTER_HUB_CLI_VIEWS_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "hub/cli/page.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

void ShowTargets(const fleet::v1::ListTargetsResponse& response, absl::Time now, Page* page);
// `host`: its newest sample, null: not asked for, or not answered.
void ShowTarget(const fleet::v1::Target& target, const fleet::v1::GetHostMetricsResponse* host, absl::Time now,
                Page* page);
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

// A line that says how old the newest sample is, then a row for each series: its sparkline, the newest value, the least
// and the greatest. `aggregation` is what was asked for; `target` null: it is deleted. Long names give way so that all
// fits `columns`; 0: no terminal, nothing is cut.
void ShowHostMetrics(const fleet::v1::QueryHostMetricsResponse& response, fleet::v1::MetricAggregation aggregation,
                     const fleet::v1::Target* target, absl::Time now, int columns, Page* page);
// "time,metric,instance,unit,value" and a row for each point; RFC 4180. Not for a Page: it is escaped.
std::string HostMetricsCsv(const fleet::v1::QueryHostMetricsResponse& response);
// The newest sample in a line; empty: there is nothing to say.
std::string HostText(const fleet::v1::GetHostMetricsResponse& response);
// "12.3 %", "3.9 GiB", "1.2 MiB/s", "0.25 cores": a value in a unit of the API.
std::string ValueText(double value, std::string_view unit);

// `only_overdue`: as it was asked for.
void ShowJobs(const fleet::v1::ListJobsResponse& response, bool only_overdue, absl::Time now, Page* page);

void ShowTokens(const fleet::v1::ListTokensResponse& response, absl::Time now, Page* page);
void ShowAuditEntries(const fleet::v1::ListAuditEntriesResponse& response, Page* page);

// What a person must know beside the state: the session that closed, faults, warnings. Empty: nothing.
std::string TargetNote(const fleet::v1::Target& target, absl::Time now);
// "12 records of the agent lost: journal full".
std::string GapText(const fleet::v1::HistoryGap& gap);
// The status, and for a stale one what was last known.
Spans StatusCell(const fleet::v1::Deployment& deployment);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_VIEWS_H_
