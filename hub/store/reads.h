// Everything the hub reads back, as functions over a connection. Lists are bounded by their caller's limit.
#ifndef MUSTER_HUB_STORE_READS_H_
#define MUSTER_HUB_STORE_READS_H_

#include <optional>
#include <string>
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
// Ids of targets that were deleted then or before.
absl::StatusOr<std::vector<std::string>> ReadDeletedTargets(sqlite::Database& database, absl::Time by);
absl::StatusOr<std::vector<StoredToken>> LoadTokens(sqlite::Database& database);

// Newest first, with a sequence below `before`.
absl::StatusOr<std::vector<AuditRecord>> ReadAudit(sqlite::Database& database, std::int64_t before, int limit);

struct RowCounts {
  std::int64_t customers = 0;
  std::int64_t audit_entries = 0;
};
absl::StatusOr<RowCounts> CountRows(sqlite::Database& database);

struct LastRun {
  // When the hub last noted that it runs (every 5 s), and whether it stopped in good order.
  absl::Time alive;
  bool is_stopped = false;
};
// Absent before the first.
absl::StatusOr<std::optional<LastRun>> ReadLastRun(sqlite::Database& database);
// Empty when it is not there.
absl::StatusOr<std::string> ReadMeta(sqlite::Database& database, std::string_view key);

struct AuditVerdict {
  std::int64_t entries = 0;
  std::optional<std::int64_t> first_bad;
};
absl::StatusOr<AuditVerdict> VerifyAudit(sqlite::Database& database);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_READS_H_
