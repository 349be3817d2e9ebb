#include "hub/store/fleet_at_reads.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "common/status.h"
#include "hub/history/target_history.h"
#include "hub/store/history_facts.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {
namespace {

struct TargetOfFleet {
  std::string id;
  std::string name;
  std::string customer;
  TargetFacts facts;
};
using TargetIndex = std::unordered_map<std::string, TargetOfFleet*>;

// CROSS JOIN keeps SQLite from walking all of a history instead of looking one row up per target. What follows up to
// ?2 tells when a target was heard after a start of the hub.
absl::Status LoadTargetsAt(sqlite::Database& database, absl::Time at, std::string_view customer,
                           std::vector<TargetOfFleet>& targets) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT t.id, t.name, t.customer, i.state, i.from_us, i.to_us, i.reason FROM targets t"
                       " CROSS JOIN target_intervals i ON i.target_id=t.id AND i.from_us<=?2 AND i.from_us>="
                       "(SELECT max(from_us) FROM target_intervals WHERE target_id=t.id AND from_us<=?1)"
                       " WHERE ?3='' OR t.customer=?3 ORDER BY t.name, t.id"));
  s.Bind(1, at).Bind(2, at + kHubGrace).Bind(3, customer);
  return EachRow(s, [&](const sqlite::Statement& row) {
    const std::string id = row.Text(0);
    if (targets.empty() || targets.back().id != id) {
      targets.push_back({.id = id, .name = row.Text(1), .customer = row.Text(2), .facts = {}});
    }
    targets.back().facts.intervals.push_back({.state = static_cast<types::v1::TargetState>(row.Int(3)),
                                              .from = row.Time(4),
                                              .to = EndColumn(row, 5),
                                              .reason = row.Text(6)});
  });
}

absl::Status LoadPresenceAt(sqlite::Database& database, absl::Time at, const TargetIndex& index) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT p.target_id, p.from_us, p.to_us, p.deployments_observed FROM targets t"
                       " CROSS JOIN presence p ON p.target_id=t.id AND p.from_us<=?2 AND p.from_us>="
                       "coalesce((SELECT max(from_us) FROM presence WHERE target_id=t.id AND from_us<=?1), ?1)"));
  s.Bind(1, at).Bind(2, at + kHubGrace);
  return EachRow(s, [&](const sqlite::Statement& row) {
    if (const auto it = index.find(row.Text(0)); it != index.end()) {
      it->second->facts.presence.push_back({.from = row.Time(1), .to = row.Time(2), .runtime_seen = row.Bool(3)});
    }
  });
}

absl::Status LoadSilencesAt(sqlite::Database& database, absl::Time at, const TargetIndex& index) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT s.target_id, s.from_us, s.to_us, s.reason FROM targets t"
                                    " CROSS JOIN silences s ON s.target_id=t.id AND s.from_us="
                                    "(SELECT max(from_us) FROM silences WHERE target_id=t.id AND from_us<=?1)"
                                    " WHERE s.to_us IS NULL OR s.to_us>?1"));
  s.Bind(1, at);
  return EachRow(s, [&](const sqlite::Statement& row) {
    if (const auto it = index.find(row.Text(0)); it != index.end()) {
      it->second->facts.silences.push_back({.from = row.Time(1), .to = EndColumn(row, 2), .reason = row.Text(3)});
    }
  });
}

// What was there at the instant, and its history; side by side.
struct TargetsThen {
  std::vector<TargetAt> targets;
  std::vector<TargetHistory> histories;
  std::unordered_map<std::string, std::size_t> index;
};

absl::Status LoadDeploymentsAt(sqlite::Database& database, absl::Time at, const TargetsThen& then,
                               std::vector<DeploymentAt>& deployments) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare(
          "SELECT d.id, d.target_id, d.report, c.at_us, c.agent_us, c.status, c.message,"
          " c.application_version, c.revision FROM deployments d"
          " CROSS JOIN deployment_changes c ON c.rowid=(SELECT rowid FROM deployment_changes"
          " WHERE deployment_id=d.id AND at_us<=?1 ORDER BY at_us DESC, run_us DESC, agent_us DESC LIMIT 1)"
          " WHERE d.archived_us IS NULL OR d.archived_us>?1"));
  s.Bind(1, at);
  return EachRow(s, [&](const sqlite::Statement& row) {
    const auto it = then.index.find(row.Text(1));
    if (it == then.index.end()) return;
    const auto period = then.histories[it->second].DeploymentAt(ChangeRow(row, 3), at);
    if (!period) return;
    agent::v1::DeploymentState report;
    report.ParseFromString(row.Text(2));
    deployments.push_back({.deployment_id = row.Text(0),
                           .target_id = then.targets[it->second].target_id,
                           .target_name = then.targets[it->second].target_name,
                           .name = report.name(),
                           .period = *period});
  });
}

absl::StatusOr<std::vector<TargetOfFleet>> LoadFleetFacts(sqlite::Database& database, absl::Time at,
                                                          std::string_view customer) {
  std::vector<TargetOfFleet> targets;
  RETURN_IF_ERROR(LoadTargetsAt(database, at, customer, targets));
  TargetIndex index;
  for (TargetOfFleet& target : targets) index[target.id] = &target;
  RETURN_IF_ERROR(LoadPresenceAt(database, at, index));
  RETURN_IF_ERROR(LoadSilencesAt(database, at, index));
  return targets;
}

TargetsThen ComposeTargets(const HubFacts& hub, absl::Time at, std::vector<TargetOfFleet> targets) {
  TargetsThen then;
  then.targets.reserve(targets.size());
  then.histories.reserve(targets.size());
  for (TargetOfFleet& target : targets) {
    then.histories.emplace_back(hub, std::move(target.facts));
    auto period = then.histories.back().At(at);
    if (!period) {
      then.histories.pop_back();
      continue;
    }
    then.index.emplace(target.id, then.targets.size());
    then.targets.push_back({.target_id = std::move(target.id),
                            .target_name = std::move(target.name),
                            .customer = std::move(target.customer),
                            .period = *std::move(period)});
  }
  return then;
}

}  // namespace

absl::StatusOr<FleetAt> ReadFleetAt(sqlite::Database& database, const HubFacts& hub, absl::Time at,
                                    std::string_view customer) {
  ASSIGN_OR_RETURN(std::vector<TargetOfFleet> targets, LoadFleetFacts(database, at, customer));
  TargetsThen then = ComposeTargets(hub, at, std::move(targets));
  FleetAt fleet;
  RETURN_IF_ERROR(LoadDeploymentsAt(database, at, then, fleet.deployments));
  fleet.targets = std::move(then.targets);
  std::sort(fleet.deployments.begin(), fleet.deployments.end(), [](const DeploymentAt& a, const DeploymentAt& b) {
    return std::tie(a.target_name, a.target_id, a.name, a.deployment_id) <
           std::tie(b.target_name, b.target_id, b.name, b.deployment_id);
  });
  return fleet;
}

}  // namespace muster::hub
