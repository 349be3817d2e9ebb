// One group of a job, made ready to be shown: labels as a page has them, buckets cumulated, times by both clocks. A
// value that never changes, so that a reader never sees half of a push.
#ifndef MUSTER_HUB_JOBS_SHOWN_GROUP_H_
#define MUSTER_HUB_JOBS_SHOWN_GROUP_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"
#include "hub/jobs/job_records.h"
#include "hub/metrics/page_writer.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

struct ShownSeries {
  // Of the job, behind the target's: jobname="backup",disk="a".
  std::string labels;
  double value = 0;
  // Of a histogram: for each bound, then for +Inf.
  std::vector<double> cumulative;
  double sum = 0;
};

struct ShownFamily {
  std::string name;  // with the prefix
  FamilyType type = FamilyType::kGauge;
  std::string help;
  std::string unit;
  std::vector<double> buckets;
  std::vector<ShownSeries> series;

  // As they count against limits.
  int count() const {
    return static_cast<int>(series.size() * (type == FamilyType::kHistogram ? buckets.size() + 1 : 1));
  }
};

struct ShownGroup {
  // One moment by both clocks.
  struct When {
    absl::Time wall;
    Instant monotonic;
  };

  std::int64_t id = 0;
  std::string target_id;
  std::string name;
  std::string label;  // jobname="backup"
  When first_push;
  When push;
  std::optional<When> success = {};
  std::optional<When> failure = {};
  std::int64_t successes = 0;
  std::int64_t failures = 0;
  std::int64_t refused_pushes = 0;
  std::optional<absl::Duration> period = {};
  std::optional<absl::Duration> time_to_live = {};
  // It had ended before, and a clock that was set back does not bring it back.
  bool has_ended = false;
  std::vector<ShownFamily> families;
  // Names with the prefix that are taken, with their series.
  std::map<std::string, int> taken_names = {};

  bool HasEnded(Instant now) const { return has_ended || (time_to_live && now - push.monotonic >= *time_to_live); }
  // One that has ended and is not expected again leaves nothing.
  bool IsTold(Instant now) const { return period || !HasEnded(now); }
  bool IsOverdue(Instant now) const {
    return period && now - (success ? success->monotonic : first_push.monotonic) > *period;
  }
};

// A group whose series have ended by `now` has none.
ShownGroup MakeShown(StoredJobGroup stored, const std::string& prefix, const Moment& now);

// The names that only this family may have on a page: as samples carry them, and in OpenMetrics as families.
std::vector<std::string> ClaimsOf(const std::string& name, FamilyType type);

// For people: "counter".
std::string_view WordOf(FamilyType type);

fleet::v1::Job Describe(const ShownGroup& group, Instant now);

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_SHOWN_GROUP_H_
