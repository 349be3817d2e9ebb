#include "hub/jobs/job_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/metric_names.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/jobs/job_records.h"

namespace muster::hub {
namespace {

using agent::v1::JobFamily;
using agent::v1::JobGroup;
using agent::v1::JobSeries;

// The agent's limits (agent/jobs/push.h).
constexpr std::size_t kMaxWordBytes = 64;
constexpr std::size_t kMaxNameBytes = 200;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr int kMaxLabels = 32;
constexpr int kMaxBuckets = 64;
constexpr absl::Duration kMaxDuration = absl::Hours(24 * 400);

bool IsWord(std::string_view word) {
  return !word.empty() && word.size() <= kMaxWordBytes && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

bool IsSetting(const google::protobuf::Duration& duration) {
  return FromProto(duration) > absl::ZeroDuration() && FromProto(duration) <= kMaxDuration;
}

std::string FindDefect(const JobGroup& group) {
  if (!IsWord(group.name())) return "a group of jobs without a proper name";
  if (group.has_period() && !IsSetting(group.period())) return "a period that is not within 400 days";
  if (group.has_time_to_live() && !IsSetting(group.time_to_live())) return "a time to live that is not within 400 days";
  if (group.successes() < 0 || group.failures() < 0 || group.refused_pushes() < 0) return "a negative number of runs";
  return "";
}

// Empty, or why no page can hold it.
std::string FindDefect(const JobFamily& family) {
  const std::string& name = family.name();
  if (name.size() > kMaxNameBytes || !IsMetricName(name)) return "that is no name of a metric";
  if (IsTakenMetricName(name)) return "the name is taken";
  switch (family.type()) {
    case agent::v1::JOB_METRIC_TYPE_COUNTER:
      return name.ends_with("_total") ? "" : "the name of a counter ends in _total";
    case agent::v1::JOB_METRIC_TYPE_GAUGE:
      return "";
    case agent::v1::JOB_METRIC_TYPE_HISTOGRAM:
      break;
    default:
      return "its type is not known";
  }
  const auto& buckets = family.buckets();
  const bool rising = std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) == buckets.end();
  const bool finite = std::all_of(buckets.begin(), buckets.end(), [](double bound) { return std::isfinite(bound); });
  return rising && finite && buckets.size() <= kMaxBuckets ? "" : "its buckets are not rising bounds, at most 64";
}

bool HasGoodLabels(const JobSeries& series) {
  if (series.labels_size() > kMaxLabels) return false;
  std::string_view before;
  for (const agent::v1::JobLabel& label : series.labels()) {
    // In order of name, so none is there twice.
    if (label.name() <= before || label.name().size() > kMaxNameBytes) return false;
    if (!IsLabelName(label.name()) || IsTakenLabelName(label.name())) return false;
    before = label.name();
  }
  return true;
}

bool HasGoodValue(const JobFamily& family, const JobSeries& series) {
  switch (family.type()) {
    case agent::v1::JOB_METRIC_TYPE_COUNTER:
      return std::isfinite(series.value()) && series.value() >= 0;
    case agent::v1::JOB_METRIC_TYPE_GAUGE:
      return !std::isnan(series.value());
    default:
      return std::isfinite(series.sum()) && series.bucket_counts_size() == family.buckets_size() + 1 &&
             std::all_of(series.bucket_counts().begin(), series.bucket_counts().end(),
                         [](std::int64_t count) { return count >= 0; });
  }
}

std::string LabelKey(const JobSeries& series) {
  std::string key;
  for (const agent::v1::JobLabel& label : series.labels()) {
    key += fmt::format("{}:{}={}:{},", label.name().size(), label.name(), label.value().size(), label.value());
  }
  return key;
}

// As a page shows it, so that two values that are one there are one here.
std::string CleanValue(const std::string& raw) {
  std::string value = CleanUtf8(raw, kMaxTextBytes);
  for (std::size_t at = value.find('\0'); at != std::string::npos; at = value.find('\0', at)) {
    value.replace(at, 1, kReplacementCharacter);
  }
  return CleanUtf8(value, kMaxTextBytes);
}

// How many series went.
int CleanSeries(JobFamily* family) {
  std::set<std::string> seen;
  const int before = family->series_size();
  auto* all = family->mutable_series();
  for (JobSeries& series : *all) {
    auto* labels = series.mutable_labels();
    for (agent::v1::JobLabel& label : *labels) label.set_value(CleanValue(label.value()));
    // To Prometheus one without a value is none.
    labels->erase(
        std::remove_if(labels->begin(), labels->end(), [](const auto& label) { return label.value().empty(); }),
        labels->end());
  }
  all->erase(std::remove_if(all->begin(), all->end(),
                            [&](const JobSeries& series) {
                              return !HasGoodLabels(series) || !HasGoodValue(*family, series) ||
                                     !seen.insert(LabelKey(series)).second;
                            }),
             all->end());
  return before - family->series_size();
}

void CleanTexts(JobFamily* family) {
  family->set_help(CleanUtf8(family->help(), kMaxTextBytes));
  std::string_view stem = family->name();
  if (stem.ends_with("_total")) stem.remove_suffix(std::string_view("_total").size());
  if (!IsLabelName(family->unit()) || !stem.ends_with("_" + family->unit())) family->clear_unit();
}

// The largest number instead of one that wraps around.
std::int64_t Sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

double Sum(double a, double b) {
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::clamp(a + b, -kMost, kMost);
}

bool MayAdd(const JobFamily& base, const JobFamily& told) {
  if (base.type() != told.type() || base.type() == agent::v1::JOB_METRIC_TYPE_GAUGE) return false;
  return std::equal(base.buckets().begin(), base.buckets().end(), told.buckets().begin(), told.buckets().end());
}

void AddSeries(const JobSeries& base, JobSeries* told) {
  told->set_value(Sum(told->value(), base.value()));
  told->set_sum(Sum(told->sum(), base.sum()));
  for (int i = 0; i < told->bucket_counts_size(); ++i) {
    told->set_bucket_counts(i, Sum(told->bucket_counts(i), base.bucket_counts(i)));
  }
}

// `room`: series that may still come.
void AddFamily(const JobFamily& base, JobFamily* told, int* room) {
  std::map<std::string, JobSeries*> known;
  for (JobSeries& series : *told->mutable_series()) known.emplace(LabelKey(series), &series);
  const int cost = base.type() == agent::v1::JOB_METRIC_TYPE_HISTOGRAM ? base.buckets_size() + 1 : 1;
  std::vector<const JobSeries*> others;
  for (const JobSeries& series : base.series()) {
    const auto found = known.find(LabelKey(series));
    if (found != known.end()) {
      AddSeries(series, found->second);
    } else if (*room >= cost) {
      *room -= cost;
      others.push_back(&series);
    }
  }
  for (const JobSeries* series : others) *told->add_series() = *series;
}

}  // namespace

std::string FindDefect(const agent::v1::JobReport& report) {
  if (report.store_id().empty() || report.store_id().size() > kMaxWordBytes) return "a report of jobs without a store";
  if (report.version() < 0) return "a report of jobs with a negative version";
  if (report.ByteSizeLong() > kMaxJobReportBytes) return "a report of jobs of more than 256 KiB";
  if (report.groups_size() > kMaxJobGroupsPerTarget) return "more than 1200 groups of jobs in one report";
  for (const JobGroup& group : report.groups()) {
    if (std::string defect = FindDefect(group); !defect.empty()) return defect;
  }
  return "";
}

std::vector<std::string> CleanGroup(JobGroup* group) {
  std::vector<std::string> refusals;
  std::set<std::string> seen;
  int room = kMaxJobSeries;
  const auto refuse = [&](const JobFamily& family, std::string_view reason, std::string_view why) {
    refusals.push_back(fmt::format("{} {}: {}", reason, CleanUtf8(family.name(), kMaxNameBytes), why));
    return true;
  };
  auto* families = group->mutable_families();
  families->erase(std::remove_if(families->begin(), families->end(),
                                 [&](JobFamily& family) {
                                   std::string defect = FindDefect(family);
                                   if (!seen.insert(family.name()).second) defect = "it is there twice";
                                   if (!defect.empty()) return refuse(family, "INVALID", defect);
                                   CleanTexts(&family);
                                   const int dropped = CleanSeries(&family);
                                   if (dropped > 0) {
                                     refuse(family, "INVALID",
                                            fmt::format("{} series with impossible labels or values", dropped));
                                   }
                                   if (SeriesOf(family) > room) {
                                     return refuse(family, "SERIES_LIMIT", "more than 1000 series in one group");
                                   }
                                   room -= SeriesOf(family);
                                   return family.series_size() == 0;
                                 }),
                  families->end());
  return refusals;
}

JobGroup AddTotals(const JobGroup& base, JobGroup told) {
  told.set_successes(Sum(told.successes(), base.successes()));
  told.set_failures(Sum(told.failures(), base.failures()));
  told.set_refused_pushes(Sum(told.refused_pushes(), base.refused_pushes()));
  int room = kMaxJobSeries;
  std::map<std::string, JobFamily*> known;
  for (JobFamily& family : *told.mutable_families()) {
    room -= SeriesOf(family);
    known.emplace(family.name(), &family);
  }
  std::vector<JobFamily> others;
  for (const JobFamily& family : base.families()) {
    const auto found = known.find(family.name());
    if (found != known.end()) {
      if (MayAdd(family, *found->second)) AddFamily(family, found->second, &room);
    } else if (family.type() != agent::v1::JOB_METRIC_TYPE_GAUGE && SeriesOf(family) <= room) {
      room -= SeriesOf(family);
      others.push_back(family);
    }
  }
  for (JobFamily& family : others) *told.add_families() = std::move(family);
  std::sort(told.mutable_families()->begin(), told.mutable_families()->end(),
            [](const JobFamily& a, const JobFamily& b) { return a.name() < b.name(); });
  return told;
}

int SeriesOf(const JobFamily& family) {
  const bool is_histogram = family.type() == agent::v1::JOB_METRIC_TYPE_HISTOGRAM;
  return family.series_size() * (is_histogram ? family.buckets_size() + 1 : 1);
}

}  // namespace muster::hub
