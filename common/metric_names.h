// Which names of metrics and labels there are (https://prometheus.io/docs/concepts/data_model/), and which of them a
// job may not use because the hub or Prometheus sets them (docs/jobs.md). Pure functions.
#ifndef MUSTER_COMMON_METRIC_NAMES_H_
#define MUSTER_COMMON_METRIC_NAMES_H_

#include <string_view>

namespace muster {

bool IsMetricName(std::string_view name);
bool IsLabelName(std::string_view name);
// Of a family: the hub's own, or one that Prometheus adds to what it scrapes.
bool IsTakenMetricName(std::string_view name);
bool IsTakenLabelName(std::string_view name);

}  // namespace muster

#endif  // MUSTER_COMMON_METRIC_NAMES_H_
