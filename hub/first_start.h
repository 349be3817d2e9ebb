// What the hub's memory holds at start: the durable facts about the hub itself, made at the first start, and the
// tokens and targets of earlier runs. Called by main before anything listens.
#ifndef MUSTER_HUB_FIRST_START_H_
#define MUSTER_HUB_FIRST_START_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "hub/jobs/job_records.h"
#include "hub/store/records.h"
#include "hub/store/store.h"

namespace muster::hub {

struct Memory {
  // Drawn at the first start; another one means that the database was replaced.
  std::string hub_epoch;
  std::string organization;
  std::vector<StoredToken> tokens;
  std::vector<StoredTarget> targets;
  std::vector<StoredJobGroup> jobs;
};

// At the first start makes the organization and the admin token, whose clear text goes to `token_file` (0600). Notes
// that a run begins at `started`.
absl::StatusOr<Memory> LoadMemory(Store& store, const std::string& organization, const std::string& token_file,
                                  absl::Time started);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FIRST_START_H_
