#include "hub/store/change_rows.h"

#include "common/status.h"

namespace muster::hub {
namespace {

absl::StatusOr<bool> Insert(sqlite::Database& database, std::string_view deployment_id,
                            const std::optional<ChangeName>& name, absl::Time at, const DeploymentFact& fact) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("INSERT OR IGNORE INTO deployment_changes(deployment_id, at_us, run_us, agent_us,"
                                    " status, message, application_version, revision) VALUES(?,?,?,?,?,?,?,?)"));
  s.Bind(1, deployment_id).Bind(2, at);
  s.Bind(3, name ? std::optional(name->run) : std::nullopt).Bind(4, name ? std::optional(name->time) : std::nullopt);
  s.Bind(5, fact.status).Bind(6, fact.message).Bind(7, fact.application_version).Bind(8, fact.revision);
  RETURN_IF_ERROR(s.Run());
  return database.Changes() > 0;
}

DeploymentFact FactColumns(const sqlite::Statement& row, int first) {
  return {.status = static_cast<types::v1::DeploymentStatus>(row.Int(first)),
          .message = "",
          .application_version = row.Text(first + 1),
          .revision = row.Text(first + 2)};
}

// A run begins by telling everything anew. What goes on since before it began has the same time in both runs. Columns
// at_us, run_us, agent_us and the fact's.
bool GoesOn(const sqlite::Statement& neighbour, const ChangeName& name, const DeploymentFact& fact) {
  return neighbour.Time(1) != name.run && neighbour.Time(2) == name.time &&
         SaysTheSame(FactColumns(neighbour, 3), fact);
}

}  // namespace

bool SaysTheSame(const DeploymentFact& a, const DeploymentFact& b) {
  return a.status == b.status && a.application_version == b.application_version && a.revision == b.revision;
}

absl::StatusOr<std::optional<LastChange>> ReadLastChange(sqlite::Database& database, std::string_view deployment_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT at_us, run_us, agent_us, status, application_version, revision"
                                    " FROM deployment_changes WHERE deployment_id=?"
                                    " ORDER BY at_us DESC, run_us DESC, agent_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, deployment_id).Step());
  if (!row) return std::nullopt;
  LastChange last{.at = s.Time(0), .name = {}, .fact = FactColumns(s, 3)};
  if (!s.IsNull(1)) last.name = ChangeName{.run = s.Time(1), .time = s.Time(2)};
  return last;
}

absl::StatusOr<bool> StoreAgentChange(sqlite::Database& database, std::string_view deployment_id,
                                      const ChangeName& name, absl::Time at, const DeploymentFact& fact,
                                      bool has_session) {
  {
    ASSIGN_OR_RETURN(sqlite::Statement after,
                     database.Prepare("SELECT at_us, run_us, agent_us, status, application_version, revision"
                                      " FROM deployment_changes WHERE deployment_id=?1"
                                      " AND (run_us, agent_us)>(?2, ?3) AND run_us<=?4"
                                      " ORDER BY run_us, agent_us LIMIT 1"));
    after.Bind(1, deployment_id).Bind(2, name.run).Bind(3, name.time);
    after.Bind(4, has_session ? name.run : absl::InfiniteFuture());
    ASSIGN_OR_RETURN(const bool row, after.Step());
    if (row && GoesOn(after, name, fact)) return false;
    if (row) at = std::min(at, after.Time(0));
  }
  // Copies of a machine may contradict one another; what came before holds first, since it holds within a run.
  ASSIGN_OR_RETURN(sqlite::Statement before,
                   database.Prepare("SELECT at_us, run_us, agent_us, status, application_version, revision"
                                    " FROM deployment_changes WHERE deployment_id=?1 AND (run_us, agent_us)<(?2, ?3)"
                                    " ORDER BY run_us DESC, agent_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, before.Bind(1, deployment_id).Bind(2, name.run).Bind(3, name.time).Step());
  if (row) {
    if (GoesOn(before, name, fact)) return false;
    at = std::max(at, before.Time(0));
  }
  return Insert(database, deployment_id, name, at, fact);
}

absl::Status StoreJudgement(sqlite::Database& database, std::string_view deployment_id, absl::Time at,
                            const DeploymentFact& fact) {
  return Insert(database, deployment_id, std::nullopt, at, fact).status();
}

}  // namespace muster::hub
