// Reports of jobs as an agent sends them. For tests.
#ifndef MUSTER_HUB_JOBS_TESTING_JOB_REPORTS_H_
#define MUSTER_HUB_JOBS_TESTING_JOB_REPORTS_H_

#include <string>
#include <vector>

#include "common/time_format.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

inline agent::v1::JobFamily Family(const std::string& name, agent::v1::JobMetricType type) {
  agent::v1::JobFamily family;
  family.set_name(name);
  family.set_type(type);
  return family;
}

inline agent::v1::JobFamily CounterFamily(const std::string& name, double value, const std::string& disk = "") {
  agent::v1::JobFamily family = Family(name, agent::v1::JOB_METRIC_TYPE_COUNTER);
  agent::v1::JobSeries* series = family.add_series();
  series->set_value(value);
  if (!disk.empty()) {
    series->add_labels()->set_name("disk");
    series->mutable_labels(0)->set_value(disk);
  }
  return family;
}

inline agent::v1::JobFamily GaugeFamily(const std::string& name, double value) {
  agent::v1::JobFamily family = Family(name, agent::v1::JOB_METRIC_TYPE_GAUGE);
  family.add_series()->set_value(value);
  return family;
}

// With the bounds 1 and 5.
inline agent::v1::JobFamily HistogramFamily(const std::string& name, const std::vector<std::int64_t>& counts,
                                            double sum) {
  agent::v1::JobFamily family = Family(name, agent::v1::JOB_METRIC_TYPE_HISTOGRAM);
  family.add_buckets(1);
  family.add_buckets(5);
  agent::v1::JobSeries* series = family.add_series();
  for (const std::int64_t count : counts) series->add_bucket_counts(count);
  series->set_sum(sum);
  return family;
}

inline agent::v1::JobGroup JobGroupOf(const std::string& name, const std::vector<agent::v1::JobFamily>& families,
                                      double push_age = 0) {
  agent::v1::JobGroup group;
  group.set_name(name);
  *group.mutable_push_age() = ToProto(absl::Seconds(push_age));
  for (const agent::v1::JobFamily& family : families) *group.add_families() = family;
  return group;
}

inline agent::v1::JobReport JobReportOf(const std::vector<agent::v1::JobGroup>& groups, std::int64_t version = 1,
                                        const std::string& store = "store-1") {
  agent::v1::JobReport report;
  report.set_store_id(store);
  report.set_version(version);
  for (const agent::v1::JobGroup& group : groups) {
    *report.add_groups() = group;
    report.mutable_groups()->rbegin()->set_version(version);
  }
  return report;
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_TESTING_JOB_REPORTS_H_
