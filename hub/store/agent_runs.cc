#include "hub/store/agent_runs.h"

#include <algorithm>

#include "common/status.h"

namespace muster::hub {
namespace {

absl::StatusOr<absl::Time> NextRun(sqlite::Database& database, std::string_view target_id, absl::Time now) {
  ASSIGN_OR_RETURN(sqlite::Statement last, database.Prepare("SELECT max(run_us) FROM agent_runs WHERE target_id=?"));
  ASSIGN_OR_RETURN(const bool row, last.Bind(1, target_id).Step());
  if (!row || last.IsNull(0)) return now;
  return std::max(now, last.Time(0) + absl::Microseconds(1));
}

}  // namespace

absl::StatusOr<absl::Time> EnsureAgentRun(sqlite::Database& database, std::string_view target_id,
                                          std::string_view epoch, absl::Time now) {
  if (epoch.empty()) return NextRun(database, target_id, now);
  {
    ASSIGN_OR_RETURN(sqlite::Statement known,
                     database.Prepare("SELECT run_us FROM agent_runs WHERE target_id=? AND epoch=?"));
    ASSIGN_OR_RETURN(const bool row, known.Bind(1, target_id).Bind(2, epoch).Step());
    if (row) return known.Time(0);
  }
  ASSIGN_OR_RETURN(const absl::Time run, NextRun(database, target_id, now));
  ASSIGN_OR_RETURN(sqlite::Statement insert,
                   database.Prepare("INSERT INTO agent_runs(target_id, epoch, run_us) VALUES(?,?,?)"));
  RETURN_IF_ERROR(insert.Bind(1, target_id).Bind(2, epoch).Bind(3, run).Run());
  ASSIGN_OR_RETURN(sqlite::Statement forget,
                   database.Prepare("DELETE FROM agent_runs WHERE target_id=?1 AND run_us<(SELECT run_us FROM"
                                    " agent_runs WHERE target_id=?1 ORDER BY run_us DESC LIMIT 1 OFFSET ?2)"));
  RETURN_IF_ERROR(forget.Bind(1, target_id).Bind(2, kKeptRuns - 1).Run());
  return run;
}

}  // namespace muster::hub
