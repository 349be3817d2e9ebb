// Which names a job may use. What the hub or Prometheus itself sets is taken.
#ifndef MUSTER_AGENT_JOBS_PUSH_NAMES_H_
#define MUSTER_AGENT_JOBS_PUSH_NAMES_H_

#include <string_view>

#include "absl/status/status.h"

namespace muster::agent {

// BAD_NAME, or TOO_LARGE; the sentence names the name.
absl::Status CheckMetricName(std::string_view name);
absl::Status CheckLabelName(std::string_view name);
// The name ends in "_unit", before "_total".
absl::Status CheckUnit(std::string_view name, std::string_view unit);
// Of a group or an id: letters, digits, "-_.:".
bool IsPushWord(std::string_view word);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_PUSH_NAMES_H_
