// What the hub keeps of jobs (docs/jobs.md), as plain values: made by job_writes.h, shown by JobRegistry.
#ifndef MUSTER_HUB_JOBS_JOB_RECORDS_H_
#define MUSTER_HUB_JOBS_JOB_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// What one host may have: 200 groups that live and 1,000 whose series have ended. Beyond, the one that was pushed
// longest ago goes.
inline constexpr int kMaxJobGroupsPerTarget = 1200;
// A histogram counts once for each bucket, +Inf included; the same figure as the agent's.
inline constexpr int kMaxJobSeries = 1000;
// As the agent keeps it.
inline constexpr std::size_t kMaxJobReportBytes = 256 * 1024;

// Times are the hub's.
struct StoredJobGroup {
  // Rises with each group that comes: the earlier one decides of which type a family is.
  std::int64_t id = 0;
  std::string target_id;
  // As the agent tells it, with what its former stores had counted added. Ages in it mean nothing.
  agent::v1::JobGroup group;
  absl::Time first_push;
  absl::Time push;
  std::optional<absl::Time> success = {};
  std::optional<absl::Time> failure = {};
  // Its series ended while a hub looked on: they do not come back by themselves.
  bool has_ended = false;
};

// A group whose series have ended, unless it was pushed again since.
struct EndedJobGroup {
  std::string target_id;
  std::string name;
  absl::Time push;
};

// What became of a report.
struct JobOutcome {
  std::string target_id;
  agent::v1::JobPosition position;
  std::vector<StoredJobGroup> groups;
  // Names of groups that are no more.
  std::vector<std::string> gone;
  // What was not taken, and why: "INVALID backup_bytes: ...".
  std::vector<std::string> refusals;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_JOB_RECORDS_H_
