// Everything the hub reads back, as functions over a connection. Lists are bounded by their caller's limit.
#ifndef MUSTER_HUB_STORE_READS_H_
#define MUSTER_HUB_STORE_READS_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/store/records.h"

namespace muster::hub {

// Every target with its open interval and its deployments that are not archived; deleted ones with identity only, and
// not at all when they were deleted before `forgotten`.
absl::StatusOr<std::vector<StoredTarget>> LoadTargets(sqlite::Database& database,
                                                      absl::Time forgotten = absl::InfinitePast());
absl::StatusOr<std::vector<StoredToken>> LoadTokens(sqlite::Database& database);

// Part of a history, newest first: intervals that overlap [from, to) and began before `before`.
struct HistoryWindow {
  absl::Time from = absl::InfinitePast();
  absl::Time to = absl::InfiniteFuture();
  absl::Time before = absl::InfiniteFuture();
  int limit = 100;
};
absl::StatusOr<std::vector<TargetInterval>> ReadTargetHistory(sqlite::Database& database, std::string_view target_id,
                                                              const HistoryWindow& window);
absl::StatusOr<std::vector<DeploymentInterval>> ReadDeploymentHistory(sqlite::Database& database,
                                                                      std::string_view deployment_id,
                                                                      const HistoryWindow& window);

struct TargetAt {
  std::string target_id;
  std::string target_name;
  std::string customer;
  TargetInterval interval;
};
struct DeploymentAt {
  std::string deployment_id;
  std::string target_id;
  std::string target_name;
  std::string customer;
  std::string name;
  DeploymentInterval interval;
};
struct FleetAt {
  std::vector<TargetAt> targets;
  std::vector<DeploymentAt> deployments;
};
absl::StatusOr<FleetAt> ReadFleetAt(sqlite::Database& database, absl::Time at);

// Newest first, with a sequence below `before`.
absl::StatusOr<std::vector<AuditRecord>> ReadAudit(sqlite::Database& database, std::int64_t before, int limit);

struct RowCounts {
  std::int64_t customers = 0;
  std::int64_t audit_entries = 0;
};
absl::StatusOr<RowCounts> CountRows(sqlite::Database& database);

struct AuditVerdict {
  std::int64_t entries = 0;
  std::optional<std::int64_t> first_bad;
};
absl::StatusOr<AuditVerdict> VerifyAudit(sqlite::Database& database);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_READS_H_
