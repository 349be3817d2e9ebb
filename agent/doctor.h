// `muster-agent doctor`: tries what `run` needs and says what is wrong, before anything is installed or when something
// does not work. Sends no secret and leaves no trace at the hub.
#ifndef MUSTER_AGENT_DOCTOR_H_
#define MUSTER_AGENT_DOCTOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/config.h"

namespace muster::agent {

struct Finding {
  // "hub", "host", "docker", "secret-file", "data-dir", "push-socket", "mask-file"
  std::string subject;
  bool good = false;
  // What was found, and what to do when it is not good.
  std::string text;
};

// Blocks for at most some 20 s. Looks at what `raw` names: only the hub is required. An error is wrong usage.
absl::StatusOr<std::vector<Finding>> Examine(const RawRunConfig& raw);

bool AllGood(const std::vector<Finding>& findings);
std::string DescribeFindings(const std::vector<Finding>& findings);
std::string DescribeFindingsAsJson(const std::vector<Finding>& findings);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCTOR_H_
