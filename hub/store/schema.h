// The hub's database schema and its migrations. docs/store.md describes the tables.
#ifndef MUSTER_HUB_STORE_SCHEMA_H_
#define MUSTER_HUB_STORE_SCHEMA_H_

#include "absl/status/status.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// Number of the newest schema this build knows (PRAGMA user_version).
inline constexpr int kSchemaVersion = 2;

// FAILED_PRECONDITION "DATABASE_TOO_NEW" for one that a newer hub wrote, "DATABASE_FOREIGN" for some other program's.
// Only reads.
absl::Status CheckOwnership(sqlite::Database& database);

// Brings the database to kSchemaVersion, each step in one transaction. What CheckOwnership refuses is left untouched.
absl::Status Migrate(sqlite::Database& database);
// Stops at `version`: makes the databases of older hubs, for tests.
absl::Status MigrateTo(sqlite::Database& database, int version);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_SCHEMA_H_
