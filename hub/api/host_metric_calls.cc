#include "hub/api/host_metric_calls.h"

#include <algorithm>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/api/fleet_messages.h"
#include "hub/api/host_metric_messages.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

}  // namespace

absl::StatusOr<GetHostMetricsResponse> HostMetricCalls::Get(const Caller& caller,
                                                            const GetHostMetricsRequest& request) const {
  ASSIGN_OR_RETURN(const TargetSnapshot found, fleet_->FindTarget(request.target(), caller.customer));
  const std::string& id = found.target.id();
  GetHostMetricsResponse response;
  response.set_is_enabled(found.target.metrics_enabled());
  std::optional<StoredSample> newest = means_.present(id);
  if (!newest && means_.reader != nullptr) {
    ASSIGN_OR_RETURN(newest, means_.reader->Newest(id));
  }
  if (newest) {
    *response.mutable_metrics() = ToMessage(*newest, fleet_->NamesOfDeployments(id));
    *response.mutable_age() = ToProto(std::max(absl::ZeroDuration(), clock_->Now() - newest->time));
  }
  return response;
}

absl::StatusOr<QueryHostMetricsResponse> HostMetricCalls::Query(const Caller& caller,
                                                                const QueryHostMetricsRequest& request) const {
  ASSIGN_OR_RETURN(const HistorySubject target, history_->FindTarget(caller, request.target()));
  if (means_.reader == nullptr) {
    return MakeError(absl::StatusCode::kUnavailable, "METRICS_UNAVAILABLE",
                     "this hub keeps no history of host metrics, or cannot open it; its own log says why");
  }
  ASSIGN_OR_RETURN(const SampleQuery query, ReadMetricQuery(request, target, clock_->Now()));
  ASSIGN_OR_RETURN(SampleAnswer answer, means_.reader->Query(query));
  // The present may be ahead of what the journal has brought.
  if (const auto present = means_.present(target.target_id)) {
    answer.newest = std::max(answer.newest.value_or(present->time), present->time);
  }
  NameDeployments(fleet_->NamesOfDeployments(target.target_id), answer.series);
  ASSIGN_OR_RETURN(const auto gaps, history_->ReadGaps(target, {.from = query.from, .to = query.to}));

  QueryHostMetricsResponse response;
  for (const SampleSeries& series : answer.series) *response.add_series() = ToMessage(series);
  *response.mutable_from_time() = ToProto(query.from);
  *response.mutable_to_time() = ToProto(query.to);
  *response.mutable_step() = ToProto(answer.step);
  *response.mutable_resolution() = ToProto(answer.resolution);
  if (answer.newest) *response.mutable_newest_time() = ToProto(*answer.newest);
  for (const LostRecords& gap : gaps) *response.add_gaps() = ToMessage(gap);
  return response;
}

}  // namespace muster::hub
