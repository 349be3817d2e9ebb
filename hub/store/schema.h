// The hub's database schema and its migrations. docs/store.md describes the tables.
#ifndef MUSTER_HUB_STORE_SCHEMA_H_
#define MUSTER_HUB_STORE_SCHEMA_H_

#include "absl/status/status.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// Number of the newest schema this build knows (PRAGMA user_version).
inline constexpr int kSchemaVersion = 1;

// Brings the database to kSchemaVersion, each step in one transaction. A newer one is refused with
// DATABASE_TOO_NEW and left untouched; a file that is some other application's with DATABASE_FOREIGN.
absl::Status Migrate(sqlite::Database& database);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_SCHEMA_H_
