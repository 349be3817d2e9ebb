// The schema of hub.db. docs/store.md describes the tables.
#ifndef MUSTER_HUB_STORE_SCHEMA_H_
#define MUSTER_HUB_STORE_SCHEMA_H_

#include "absl/status/status.h"
#include "common/sqlite/database.h"
#include "hub/store/migration.h"

namespace muster::hub {

// Number of the newest schema this build knows (PRAGMA user_version).
inline constexpr int kSchemaVersion = 5;

const Schema& HubSchema();

inline absl::Status Migrate(sqlite::Database& database) { return Migrate(database, HubSchema()); }
// Stops at `version`: makes the databases of older hubs, for tests.
inline absl::Status MigrateTo(sqlite::Database& database, int version) {
  return MigrateTo(database, HubSchema(), version);
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_SCHEMA_H_
