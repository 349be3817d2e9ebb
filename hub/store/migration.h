// Bringing a database of the hub's to the schema of this build, and leaving alone what is none or too new.
#ifndef MUSTER_HUB_STORE_MIGRATION_H_
#define MUSTER_HUB_STORE_MIGRATION_H_

#include <span>

#include "absl/status/status.h"
#include "common/sqlite/database.h"

namespace muster::hub {

struct Schema {
  // PRAGMA application_id, four letters of ASCII: tells our file from another program's.
  int application_id = 0;
  // Step n brings version n to n + 1 and sets user_version; the first one sets application_id, too.
  std::span<const sqlite::Sql> steps;
};

// FAILED_PRECONDITION "DATABASE_TOO_NEW" for one that a newer hub wrote, "DATABASE_FOREIGN" for some other program's.
// Only reads.
absl::Status CheckOwnership(sqlite::Database& database, const Schema& schema);

// Brings the database to the newest version, each step in one transaction. What CheckOwnership refuses is left
// untouched.
absl::Status Migrate(sqlite::Database& database, const Schema& schema);
// Stops at `version`.
absl::Status MigrateTo(sqlite::Database& database, const Schema& schema, int version);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_MIGRATION_H_
