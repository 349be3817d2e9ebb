#include "hub/store/history_facts.h"

#include <utility>

namespace muster::hub {
namespace {

absl::Status LoadIntervals(sqlite::Database& database, std::string_view target_id, const TimeSpan& span,
                           std::vector<TargetPeriod>& intervals) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT state, from_us, to_us, reason FROM target_intervals WHERE target_id=?1 AND from_us<?3"
                       " AND from_us>=coalesce((SELECT max(from_us) FROM target_intervals"
                       " WHERE target_id=?1 AND from_us<=?2), ?2)"));
  s.Bind(1, target_id).Bind(2, span.from).Bind(3, span.to);
  return EachRow(s, [&](const sqlite::Statement& row) {
    intervals.push_back({.state = static_cast<types::v1::TargetState>(row.Int(0)),
                         .from = row.Time(1),
                         .to = EndColumn(row, 2),
                         .reason = row.Text(3)});
  });
}

absl::Status LoadSilences(sqlite::Database& database, std::string_view target_id, const TimeSpan& span,
                          std::vector<Silence>& silences) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT from_us, to_us, reason FROM silences WHERE target_id=?1 AND from_us<?3"
                                    " AND from_us>=coalesce((SELECT max(from_us) FROM silences"
                                    " WHERE target_id=?1 AND from_us<=?2), ?2)"));
  s.Bind(1, target_id).Bind(2, span.from).Bind(3, span.to);
  return EachRow(s, [&](const sqlite::Statement& row) {
    silences.push_back({.from = row.Time(0), .to = EndColumn(row, 1), .reason = row.Text(2)});
  });
}

absl::Status LoadPresence(sqlite::Database& database, std::string_view target_id, const TimeSpan& span,
                          std::vector<Presence>& presence) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT from_us, to_us, deployments_observed FROM presence WHERE target_id=?1 AND from_us<?3"
                       " AND from_us>=coalesce((SELECT max(from_us) FROM presence"
                       " WHERE target_id=?1 AND from_us<=?2), ?2)"));
  s.Bind(1, target_id).Bind(2, span.from).Bind(3, span.to);
  return EachRow(s, [&](const sqlite::Statement& row) {
    presence.push_back({.from = row.Time(0), .to = row.Time(1), .runtime_seen = row.Bool(2)});
  });
}

}  // namespace

DeploymentChange ChangeRow(const sqlite::Statement& row, int first) {
  return {.at = row.Time(first),
          .agent_time = row.OptionalTime(first + 1),
          .status = static_cast<types::v1::DeploymentStatus>(row.Int(first + 2)),
          .message = row.Text(first + 3),
          .application_version = row.Text(first + 4),
          .revision = row.Text(first + 5)};
}

absl::Time EndColumn(const sqlite::Statement& row, int column) {
  return row.OptionalTime(column).value_or(absl::InfiniteFuture());
}

absl::StatusOr<std::vector<TimeSpan>> LoadRuns(sqlite::Database& database, absl::Time started, const TimeSpan& span) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT started_us, coalesce(stopped_us, alive_us+?3) FROM hub_runs"
                       " WHERE started_us>=coalesce((SELECT max(started_us) FROM hub_runs WHERE started_us<=?1), ?1)"
                       " AND started_us<=coalesce((SELECT min(started_us) FROM hub_runs WHERE started_us>=?2), ?2)"));
  s.Bind(1, span.from).Bind(2, span.to).Bind(3, absl::ToInt64Microseconds(kRunAliveEvery));
  std::vector<TimeSpan> runs;
  RETURN_IF_ERROR(EachRow(s, [&](const sqlite::Statement& row) {
    if (row.Time(0) != started) runs.push_back({.from = row.Time(0), .to = row.Time(1)});
  }));
  runs.push_back({.from = started, .to = absl::InfiniteFuture()});
  return runs;
}

absl::StatusOr<TargetFacts> LoadTargetFacts(sqlite::Database& database, const HistorySubject& subject,
                                            const TimeSpan& span) {
  TargetFacts facts;
  RETURN_IF_ERROR(LoadIntervals(database, subject.target_id, span, facts.intervals));
  RETURN_IF_ERROR(LoadPresence(database, subject.target_id, span, facts.presence));
  if (!subject.deployment_id.empty()) {
    RETURN_IF_ERROR(LoadSilences(database, subject.target_id, span, facts.silences));
  }
  return facts;
}

absl::StatusOr<std::vector<DeploymentChange>> LoadChanges(sqlite::Database& database, const HistorySubject& deployment,
                                                          const TimeSpan& span) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare(
          "SELECT at_us, agent_us, status, message, application_version, revision FROM deployment_changes"
          " WHERE deployment_id=?1 AND at_us<?3 AND at_us>=coalesce((SELECT max(at_us)"
          " FROM deployment_changes WHERE deployment_id=?1 AND at_us<=?2), ?2) ORDER BY at_us, run_us, agent_us"));
  s.Bind(1, deployment.deployment_id).Bind(2, span.from).Bind(3, span.to);
  std::vector<DeploymentChange> changes;
  RETURN_IF_ERROR(EachRow(s, [&](const sqlite::Statement& row) { changes.push_back(ChangeRow(row, 0)); }));
  if (deployment.ended) {
    DeploymentChange end;
    end.at = *deployment.ended;
    changes.push_back(std::move(end));
  }
  return changes;
}

}  // namespace muster::hub
