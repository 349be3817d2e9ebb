// The API's questions about hosts: the newest sample with its age, and series over time. The present comes from the
// live fleet, history from the samples' store; docs/host-metrics.md, "Questions". Used by FleetHandlers, which has
// checked the caller's role. Thread-safe; every call blocks on the stores.
#ifndef MUSTER_HUB_API_HOST_METRIC_CALLS_H_
#define MUSTER_HUB_API_HOST_METRIC_CALLS_H_

#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "hub/api/caller.h"
#include "hub/api/history_calls.h"
#include "hub/fleet/fleet.h"
#include "hub/samples/sample_reader.h"

namespace muster::hub {

struct HostMetricMeans {
  // Null: this hub keeps no samples.
  SampleReader* reader = nullptr;
  // The sample that the fleet shows as present; absent: none is.
  std::function<std::optional<StoredSample>(std::string_view target_id)> present = [](std::string_view) {
    return std::nullopt;
  };
};

class HostMetricCalls {
 public:
  HostMetricCalls(HostMetricMeans means, const Fleet* fleet, const HistoryCalls* history, const Clock* clock)
      : means_(std::move(means)), fleet_(fleet), history_(history), clock_(clock) {}

  absl::StatusOr<fleet::v1::GetHostMetricsResponse> Get(const Caller& caller,
                                                        const fleet::v1::GetHostMetricsRequest& request) const;
  // UNAVAILABLE "METRICS_UNAVAILABLE" without a reader.
  absl::StatusOr<fleet::v1::QueryHostMetricsResponse> Query(const Caller& caller,
                                                            const fleet::v1::QueryHostMetricsRequest& request) const;

 private:
  const HostMetricMeans means_;
  const Fleet* const fleet_;
  const HistoryCalls* const history_;
  const Clock* const clock_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_HOST_METRIC_CALLS_H_
