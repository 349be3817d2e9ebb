// Answers questions about the history of host metrics from the two files (docs/host-metrics.md, "Questions"). Used by
// SampleStore. Thread-safe; blocks while it reads.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_QUERY_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_QUERY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hub/samples/sample_reader.h"
#include "hub/store/store.h"

namespace muster::hub {

inline constexpr absl::Duration kRawResolution = absl::Seconds(30);
inline constexpr absl::Duration kRollupResolution = absl::Minutes(5);
// Of one series, as Prometheus bounds a range query: a week by the minute are 10,080.
inline constexpr std::int64_t kMaxSeriesPoints = 11'000;

absl::StatusOr<SampleAnswer> QuerySamples(Store& hub, Store& metrics, const SampleQuery& query);
absl::StatusOr<std::optional<StoredSample>> ReadNewestSample(Store& hub, Store& metrics, const std::string& target_id);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_QUERY_H_
