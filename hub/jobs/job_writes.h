// What agents tell of jobs, as functions over an open transaction of hub.db. Called from Writer operations; the reads
// from anywhere. docs/jobs.md is the contract.
#ifndef MUSTER_HUB_JOBS_JOB_WRITES_H_
#define MUSTER_HUB_JOBS_JOB_WRITES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/jobs/job_records.h"
#include "hub/store/journal_writes.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// FAILED_PRECONDITION "SUPERSEDED": a later session of the target was opened than the one with this counter.
absl::Status CheckNewestSession(sqlite::Database& database, std::string_view target_id, std::int64_t session_counter);

// Stores a report without defect and its position. What it says counts, whatever was there: reports are totals. The
// first one of a new store adds what the former store had counted. FAILED_PRECONDITION "SECRET_ROTATED" and NOT_FOUND
// "TARGET_NOT_FOUND" as ApplyBatch; nothing is stored then.
absl::StatusOr<JobOutcome> ApplyJobReport(sqlite::Database& database, const BatchOrigin& origin,
                                          agent::v1::JobReport report);

// Nullopt: nothing of the target's jobs is stored.
absl::StatusOr<std::optional<agent::v1::JobPosition>> ReadJobPosition(sqlite::Database& database,
                                                                      std::string_view target_id);

// The series of these ended: a hub that starts later does not show them, whatever its clock says.
absl::Status MarkJobsEnded(sqlite::Database& database, const std::vector<EndedJobGroup>& ended);

// Of targets that are not deleted, in order of id.
absl::StatusOr<std::vector<StoredJobGroup>> LoadJobs(sqlite::Database& database);

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_JOB_WRITES_H_
