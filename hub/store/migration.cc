#include "hub/store/migration.h"

#include <fmt/format.h>

#include "common/status.h"

namespace muster::hub {
namespace {

absl::StatusOr<int> ApplicationId(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

absl::StatusOr<bool> HasTables(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("SELECT 1 FROM sqlite_schema LIMIT 1"));
  return statement.Step();
}

absl::Status RunStep(sqlite::Database& database, sqlite::Sql step) {
  RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  if (absl::Status made = database.Execute(step); !made.ok()) {
    database.Execute("ROLLBACK").IgnoreError();
    return Annotate(made, "bring the database to this version's schema");
  }
  return database.Execute("COMMIT");
}

}  // namespace

absl::Status CheckOwnership(sqlite::Database& database, const Schema& schema) {
  ASSIGN_OR_RETURN(const int version, database.UserVersion());
  ASSIGN_OR_RETURN(const int application, ApplicationId(database));
  ASSIGN_OR_RETURN(const bool has_tables, HasTables(database));
  if (has_tables && application != schema.application_id) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DATABASE_FOREIGN",
                     "the database belongs to another program; give the hub a data folder of its own");
  }
  if (version > static_cast<int>(schema.steps.size())) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "DATABASE_TOO_NEW",
        fmt::format("the database has schema {}, this hub knows up to {}; run the newer hub that wrote it, "
                    "or restore the backup made before the upgrade",
                    version, schema.steps.size()));
  }
  return absl::OkStatus();
}

absl::Status MigrateTo(sqlite::Database& database, const Schema& schema, int version) {
  RETURN_IF_ERROR(CheckOwnership(database, schema));
  ASSIGN_OR_RETURN(const int from, database.UserVersion());
  for (int step = from; step < version; ++step) {
    RETURN_IF_ERROR(RunStep(database, schema.steps[static_cast<std::size_t>(step)]));
  }
  return absl::OkStatus();
}

absl::Status Migrate(sqlite::Database& database, const Schema& schema) {
  return MigrateTo(database, schema, static_cast<int>(schema.steps.size()));
}

}  // namespace muster::hub
