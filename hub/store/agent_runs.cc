#include "hub/store/agent_runs.h"

#include <algorithm>
#include <optional>

#include "common/status.h"

namespace muster::hub {
namespace {

// Between two numbers, so that runs that are heard of late find their place.
constexpr absl::Duration kStep = absl::Milliseconds(1);

absl::StatusOr<std::optional<absl::Time>> KnownRun(sqlite::Database& database, std::string_view target_id,
                                                   std::string_view epoch) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT run_us FROM agent_runs WHERE target_id=? AND epoch=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, epoch).Step());
  return row ? s.OptionalTime(0) : std::nullopt;
}

// The last number before `end`.
absl::StatusOr<std::optional<absl::Time>> LastRunBefore(sqlite::Database& database, std::string_view target_id,
                                                        absl::Time end) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT max(run_us) FROM agent_runs WHERE target_id=? AND run_us<?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, end).Step());
  return row ? s.OptionalTime(0) : std::nullopt;
}

absl::Status Insert(sqlite::Database& database, std::string_view target_id, std::string_view epoch, absl::Time run) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("INSERT INTO agent_runs(target_id, epoch, run_us) VALUES(?,?,?)"));
  return s.Bind(1, target_id).Bind(2, epoch).Bind(3, run).Run();
}

absl::Status Prune(sqlite::Database& database, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("DELETE FROM agent_runs WHERE target_id=?1 AND run_us<(SELECT run_us FROM"
                                    " agent_runs WHERE target_id=?1 ORDER BY run_us DESC LIMIT 1 OFFSET ?2)"
                                    " AND epoch NOT IN (SELECT epoch FROM journal_positions WHERE target_id=?1)"));
  return s.Bind(1, target_id).Bind(2, kKeptRuns - 1).Run();
}

}  // namespace

absl::StatusOr<absl::Time> EnsureAgentRuns(sqlite::Database& database, std::string_view target_id,
                                           const std::vector<std::string>& epochs, absl::Time now) {
  ASSIGN_OR_RETURN(const std::optional<absl::Time> last, LastRunBefore(database, target_id, absl::InfiniteFuture()));
  absl::Time next = last ? std::max(now, *last + kStep) : now;
  absl::Time run = next;
  bool is_new = false;
  for (const std::string& epoch : epochs) {
    ASSIGN_OR_RETURN(const std::optional<absl::Time> known, KnownRun(database, target_id, epoch));
    run = known.value_or(next);
    if (known || epoch.empty()) continue;
    RETURN_IF_ERROR(Insert(database, target_id, epoch, run));
    next += kStep;
    is_new = true;
  }
  if (is_new) RETURN_IF_ERROR(Prune(database, target_id));
  return run;
}

absl::StatusOr<absl::Time> FindAgentRun(sqlite::Database& database, std::string_view target_id, std::string_view epoch,
                                        absl::Time session_run) {
  ASSIGN_OR_RETURN(const std::optional<absl::Time> known, KnownRun(database, target_id, epoch));
  if (known) return *known;
  // They come oldest first: behind those that are known.
  ASSIGN_OR_RETURN(const std::optional<absl::Time> before, LastRunBefore(database, target_id, session_run));
  const absl::Time run = before ? *before + absl::Microseconds(1) : session_run - absl::Seconds(1);
  // No place left: as good as the run before.
  if (run >= session_run) return *before;
  RETURN_IF_ERROR(Insert(database, target_id, epoch, run));
  RETURN_IF_ERROR(Prune(database, target_id));
  return run;
}

}  // namespace muster::hub
