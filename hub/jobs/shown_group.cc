#include "hub/jobs/shown_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/metric_names.h"
#include "common/time_format.h"
#include "hub/jobs/job_check.h"

namespace muster::hub {
namespace {

// What a job may put into a label (agent/jobs/push.h): not cut here, so that two series never become one.
constexpr std::size_t kMaxJobLabelBytes = 1024;

// `wall` may lie behind the present when the clock was set back: then it is now.
ShownGroup::When WhenOf(absl::Time wall, const Moment& now) {
  const absl::Duration age = std::max(now.wall - wall, absl::ZeroDuration());
  return {.wall = wall, .monotonic = now.monotonic - age};
}

std::optional<ShownGroup::When> WhenOf(const std::optional<absl::Time>& wall, const Moment& now) {
  if (!wall) return std::nullopt;
  return WhenOf(*wall, now);
}

FamilyType TypeOf(agent::v1::JobMetricType type) {
  switch (type) {
    case agent::v1::JOB_METRIC_TYPE_COUNTER:
      return FamilyType::kCounter;
    case agent::v1::JOB_METRIC_TYPE_HISTOGRAM:
      return FamilyType::kHistogram;
    default:
      return FamilyType::kGauge;
  }
}

ShownSeries ShowSeries(const std::string& group_label, const agent::v1::JobSeries& series) {
  ShownSeries shown{.labels = group_label, .value = series.value(), .cumulative = {}, .sum = series.sum()};
  for (const agent::v1::JobLabel& label : series.labels()) {
    shown.labels += ',';
    shown.labels += Label(label.name(), label.value(), kMaxJobLabelBytes);
  }
  double total = 0;
  for (const std::int64_t count : series.bucket_counts()) {
    total += static_cast<double>(count);
    shown.cumulative.push_back(total);
  }
  return shown;
}

}  // namespace

std::vector<std::string> ClaimsOf(const std::string& name, FamilyType type) {
  switch (type) {
    case FamilyType::kHistogram:
      return {name, name + "_bucket", name + "_sum", name + "_count"};
    case FamilyType::kCounter:
      return {name, name.substr(0, name.rfind("_total"))};
    default:
      return {name};
  }
}

std::string_view WordOf(FamilyType type) {
  switch (type) {
    case FamilyType::kCounter:
      return "counter";
    case FamilyType::kHistogram:
      return "histogram";
    default:
      return "gauge";
  }
}

ShownGroup MakeShown(StoredJobGroup stored, const std::string& prefix, const Moment& now) {
  const agent::v1::JobGroup& group = stored.group;
  ShownGroup shown{.id = stored.id,
                   .target_id = std::move(stored.target_id),
                   .name = group.name(),
                   .label = Label("jobname", group.name()),
                   .first_push = WhenOf(stored.first_push, now),
                   .push = WhenOf(stored.push, now),
                   .success = WhenOf(stored.success, now),
                   .failure = WhenOf(stored.failure, now),
                   .successes = group.successes(),
                   .failures = group.failures(),
                   .refused_pushes = group.refused_pushes(),
                   .has_ended = stored.has_ended,
                   .families = {}};
  if (group.has_period()) shown.period = FromProto(group.period());
  if (group.has_time_to_live()) shown.time_to_live = FromProto(group.time_to_live());
  if (shown.HasEnded(now.monotonic)) return shown;
  for (const agent::v1::JobFamily& family : group.families()) {
    std::string name = prefix + family.name();
    if (IsTakenMetricName(name)) {
      shown.taken_names[name] += SeriesOf(family);
      continue;
    }
    ShownFamily& show =
        shown.families.emplace_back(ShownFamily{.name = std::move(name),
                                                .type = TypeOf(family.type()),
                                                .help = family.help(),
                                                .unit = family.unit(),
                                                .buckets = {family.buckets().begin(), family.buckets().end()},
                                                .series = {}});
    show.series.reserve(static_cast<std::size_t>(family.series_size()));
    for (const agent::v1::JobSeries& series : family.series()) show.series.push_back(ShowSeries(shown.label, series));
  }
  return shown;
}

fleet::v1::Job Describe(const ShownGroup& group, Instant now) {
  fleet::v1::Job job;
  job.set_target_id(group.target_id);
  job.set_name(group.name);
  *job.mutable_last_push_time() = ToProto(group.push.wall);
  if (group.success) *job.mutable_last_success_time() = ToProto(group.success->wall);
  if (group.failure) *job.mutable_last_failure_time() = ToProto(group.failure->wall);
  job.set_successes(group.successes);
  job.set_failures(group.failures);
  if (group.period) *job.mutable_period() = ToProto(*group.period);
  job.set_is_overdue(group.IsOverdue(now));
  if (group.time_to_live) *job.mutable_time_to_live() = ToProto(*group.time_to_live);
  job.set_is_expired(group.HasEnded(now));
  return job;
}

}  // namespace muster::hub
