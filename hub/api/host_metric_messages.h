// What the calls about host metrics read from their requests, and samples as messages. docs/host-metrics.md,
// "Questions". Pure functions.
#ifndef MUSTER_HUB_API_HOST_METRIC_MESSAGES_H_
#define MUSTER_HUB_API_HOST_METRIC_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hub/fleet/target.h"
#include "hub/samples/sample_reader.h"
#include "hub/store/history_reads.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

// A window without a beginning.
inline constexpr absl::Duration kMetricWindow = absl::Hours(1);
// Samples come every 30 s.
inline constexpr absl::Duration kMinMetricStep = absl::Seconds(30);
// An hour of all samples: as many as a terminal or a small graph shows.
inline constexpr std::int64_t kDefaultMetricPoints = 120;
// Of one series, as Prometheus bounds a range query: a week by the minute are 10,080.
inline constexpr std::int64_t kMaxMetricPoints = 11'000;

// The shortest step that people think in and that cuts the window into at most kDefaultMetricPoints.
absl::Duration DefaultMetricStep(absl::Duration window);

// What is asked about `target`. A window that begins before the target was made begins there. INVALID_ARGUMENT
// "BAD_TIME", "BAD_WINDOW", "BAD_STEP", "TOO_MANY_POINTS", "BAD_AGGREGATION".
absl::StatusOr<SampleQuery> ReadMetricQuery(const fleet::v1::QueryHostMetricsRequest& request,
                                            const HistorySubject& target, absl::Time now);

// What a deployment is called: as the fleet knows it, else by its key.
std::string NameOfKey(const DeploymentNames& names, const std::string& key);

fleet::v1::HostMetrics ToMessage(const StoredSample& taken, const DeploymentNames& names);

// Takes the place of deployment keys: names, but where two of the keys have one name these stay keys.
void NameDeployments(const DeploymentNames& names, std::vector<SampleSeries>& series);

fleet::v1::HostSeries ToMessage(const SampleSeries& series);

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_HOST_METRIC_MESSAGES_H_
