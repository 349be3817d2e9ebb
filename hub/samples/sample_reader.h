// Questions about the history of host metrics (docs/host-metrics.md, "Questions"). Asked by the API; answered by
// SampleStore. Thread-safe; every call blocks on the store.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_READER_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_READER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Of all series of an answer: in memory 100 bytes each, 50 MB; in JSON some 60 bytes each, 30 MB, are half of what the
// command line takes.
inline constexpr std::size_t kMaxAnswerPoints = 500'000;

enum class SampleAggregation { kAverage, kMinimum, kMaximum };

struct SampleQuery {
  std::string target_id;
  // Names as in docs/host-metrics.md, "Series"; none: all.
  std::vector<std::string> metrics;
  // [from, to)
  absl::Time from;
  absl::Time to;
  // Already checked by the caller: at least 30 s.
  absl::Duration step;
  SampleAggregation aggregation = SampleAggregation::kAverage;
  // Of all series together. Reading ends where the answer would have more.
  std::size_t max_points = kMaxAnswerPoints;
};

struct SamplePoint {
  absl::Time time;  // the step's begin
  double value = 0;
};

struct SampleSeries {
  std::string metric;
  // Device, or deployment key; else empty.
  std::string instance;
  std::string unit;
  std::vector<SamplePoint> points;  // in order of time
};

struct SampleAnswer {
  // In the order of docs/host-metrics.md, then by instance.
  std::vector<SampleSeries> series;
  absl::Duration step;  // may be longer than asked
  absl::Duration resolution;
  // Of the newest sample there is of the target, whatever the window.
  std::optional<absl::Time> newest;
};

struct StoredSample {
  absl::Time time;
  // Absent fields are not known: from chunks only what "Series" lists comes back.
  agent::v1::HostSample sample;
};

class SampleReader {
 public:
  virtual ~SampleReader() = default;
  // INVALID_ARGUMENT "UNKNOWN_METRIC" names the word and the ones there are, "TOO_MANY_POINTS" what to ask for instead.
  virtual absl::StatusOr<SampleAnswer> Query(const SampleQuery& query) = 0;
  virtual absl::StatusOr<std::optional<StoredSample>> Newest(const std::string& target_id) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_READER_H_
