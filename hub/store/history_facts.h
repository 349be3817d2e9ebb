// Rows of the facts that history is composed of, as values; the queries behind history_reads and fleet_at_reads. Each
// finds what holds at the beginning of a span by one look into an index: rows of one history do not overlap, so it is
// the last that began by then.
#ifndef MUSTER_HUB_STORE_HISTORY_FACTS_H_
#define MUSTER_HUB_STORE_HISTORY_FACTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "common/status.h"
#include "hub/history/facts.h"

namespace muster::hub {

// A run writes that it is alive every 5 s. One that was killed is taken to have run for that much longer: what it
// stored meanwhile stands, and nobody is called silent in less than a minute anyway.
inline constexpr absl::Duration kRunAliveEvery = absl::Seconds(5);

// A target or a deployment that is or was.
struct HistorySubject {
  std::string target_id;
  // Empty: the target itself.
  std::string deployment_id;
  absl::Time created;
  // When it was archived, or its target deleted.
  std::optional<absl::Time> ended;
};

// The runs that touch `span`, and the one after it: where a silence of the hub ends is part of what it was. The present
// one began at `started` and goes on.
absl::StatusOr<std::vector<TimeSpan>> LoadRuns(sqlite::Database& database, absl::Time started, const TimeSpan& span);

// Silences only for a deployment.
absl::StatusOr<TargetFacts> LoadTargetFacts(sqlite::Database& database, const HistorySubject& subject,
                                            const TimeSpan& span);

// In the order in which they arrived, where they are of one moment; with the end that `deployment` names.
absl::StatusOr<std::vector<DeploymentChange>> LoadChanges(sqlite::Database& database, const HistorySubject& deployment,
                                                          const TimeSpan& span);

// Columns at_us, agent_us, status, message, application_version, revision from `first` on.
DeploymentChange ChangeRow(const sqlite::Statement& row, int first);
// A column to_us, which is absent while it goes on.
absl::Time EndColumn(const sqlite::Statement& row, int column);

template <typename OnRow>
absl::Status EachRow(sqlite::Statement& statement, OnRow on_row) {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return absl::OkStatus();
    on_row(statement);
  }
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_HISTORY_FACTS_H_
