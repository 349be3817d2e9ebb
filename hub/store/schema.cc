#include "hub/store/schema.h"

#include <fmt/format.h>

#include "common/status.h"

namespace muster::hub {
namespace {

// "MUST" in ASCII (PRAGMA application_id): tells our file from another program's.
constexpr int kApplicationId = 0x4D555354;

constexpr sqlite::Sql kVersion1 = R"sql(
CREATE TABLE meta(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE customers(
  name TEXT PRIMARY KEY,
  created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE targets(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  type INTEGER NOT NULL,
  customer TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  deleted_us INTEGER,
  secret_hash BLOB NOT NULL,
  secret_generation INTEGER NOT NULL,
  session_counter INTEGER NOT NULL DEFAULT 0,
  confirmed_counter INTEGER NOT NULL DEFAULT 0,
  identity_warning TEXT NOT NULL DEFAULT '',
  metrics_enabled INTEGER NOT NULL DEFAULT 1,
  agent_version TEXT NOT NULL DEFAULT '',
  machine BLOB NOT NULL DEFAULT X'',
  last_seen_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX targets_by_name ON targets(name) WHERE deleted_us IS NULL;

CREATE TABLE retired_secrets(
  target_id TEXT NOT NULL REFERENCES targets(id),
  generation INTEGER NOT NULL,
  hash BLOB NOT NULL,
  retired_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE connect_codes(
  hash BLOB PRIMARY KEY,
  target_id TEXT NOT NULL REFERENCES targets(id),
  expires_us INTEGER NOT NULL,
  void_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX connect_codes_by_target ON connect_codes(target_id);

CREATE TABLE target_intervals(
  target_id TEXT NOT NULL REFERENCES targets(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY(target_id, from_us)
) STRICT, WITHOUT ROWID;
-- At most one goes on; also what finds it without reading the history.
CREATE UNIQUE INDEX target_intervals_open ON target_intervals(target_id) WHERE to_us IS NULL;

CREATE TABLE deployments(
  id TEXT PRIMARY KEY,
  target_id TEXT NOT NULL REFERENCES targets(id),
  key TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  archived_us INTEGER,
  gone_us INTEGER,
  revision_us INTEGER NOT NULL,
  logs_enabled INTEGER NOT NULL DEFAULT 1,
  application TEXT,
  application_version TEXT,
  report BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deployments_by_target ON deployments(target_id);

CREATE TABLE deployment_intervals(
  deployment_id TEXT NOT NULL REFERENCES deployments(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  status INTEGER NOT NULL,
  message TEXT NOT NULL,
  application_version TEXT NOT NULL,
  revision TEXT NOT NULL,
  PRIMARY KEY(deployment_id, from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX deployment_intervals_open ON deployment_intervals(deployment_id) WHERE to_us IS NULL;

CREATE TABLE tokens(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  role INTEGER NOT NULL,
  customer TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER,
  revoked_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_name ON tokens(name) WHERE revoked_us IS NULL;

CREATE TABLE audit(
  sequence INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE hub_runs(
  started_us INTEGER PRIMARY KEY,
  alive_us INTEGER NOT NULL,
  stopped_us INTEGER
) STRICT;

PRAGMA application_id = 0x4D555354;
PRAGMA user_version = 1;
)sql";

absl::StatusOr<int> ApplicationId(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

absl::StatusOr<bool> HasTables(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("SELECT 1 FROM sqlite_schema LIMIT 1"));
  return statement.Step();
}

}  // namespace

absl::Status CheckOwnership(sqlite::Database& database) {
  ASSIGN_OR_RETURN(const int version, database.UserVersion());
  ASSIGN_OR_RETURN(const int application, ApplicationId(database));
  ASSIGN_OR_RETURN(const bool has_tables, HasTables(database));
  if (has_tables && application != kApplicationId) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DATABASE_FOREIGN",
                     "the database belongs to another program; give the hub a data folder of its own");
  }
  if (version > kSchemaVersion) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "DATABASE_TOO_NEW",
        fmt::format("the database has schema {}, this hub knows up to {}; run the newer hub that wrote it, "
                    "or restore the backup made before the upgrade",
                    version, kSchemaVersion));
  }
  return absl::OkStatus();
}

absl::Status Migrate(sqlite::Database& database) {
  RETURN_IF_ERROR(CheckOwnership(database));
  ASSIGN_OR_RETURN(const int version, database.UserVersion());
  if (version == kSchemaVersion) return absl::OkStatus();
  RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  if (absl::Status made = database.Execute(kVersion1); !made.ok()) {
    database.Execute("ROLLBACK").IgnoreError();
    return Annotate(made, "create the database's tables");
  }
  return database.Execute("COMMIT");
}

}  // namespace muster::hub
