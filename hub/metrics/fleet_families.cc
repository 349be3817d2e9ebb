#include "hub/metrics/fleet_families.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>

#include "common/time_format.h"
#include "hub/metrics/row_families.h"

namespace muster::hub {
namespace {

using types::v1::DeploymentStatus;
using types::v1::TargetState;

double ReplayLag(const ExposedJournal& journal, double now) {
  if (journal.records == 0) return 0;
  if (std::isnan(journal.newest_applied)) return journal.oldest_age;
  return std::max(0.0, now - journal.newest_applied);
}

// What only a running hub knows.
void WriteTargetSessions(const std::vector<ExposedTarget>& targets, PageWriter& page) {
  WriteRows(page, targets, "distr_deployment_target_session_open", FamilyType::kGauge, {},
            "Whether the agent's stream is open.",
            [](const ExposedTarget& target) { return target.has_session ? 1.0 : 0.0; });
  WriteRows(page, targets, "distr_deployment_target_observer_fault", FamilyType::kGauge, {},
            "Whether the agent cannot see deployments: its runtime does not answer.",
            [](const ExposedTarget& target) { return target.has_observer_fault ? 1.0 : 0.0; });
  WriteRows(page, targets, "distr_deployment_target_omitted_deployments", FamilyType::kGauge, {},
            "Deployments that the agent saw but could not list, because of the limit per target.",
            [](const ExposedTarget& target) { return target.omitted; });
  WriteRows(page, targets, "distr_deployment_target_round_trip_seconds", FamilyType::kGauge, "seconds",
            "Round trip between hub and agent, measured by heartbeat echoes. Absent until the first.",
            [](const ExposedTarget& target) { return target.round_trip; });
  WriteRows(page, targets, "distr_deployment_target_clock_skew_seconds", FamilyType::kGauge, "seconds",
            "The agent's clock minus the hub's. Absent until the first heartbeat echo.",
            [](const ExposedTarget& target) { return target.clock_skew; });
}

void WriteTargetFacts(const std::vector<ExposedTarget>& targets, PageWriter& page) {
  page.Family("distr_deployment_target_agent_info", FamilyType::kGauge,
              "The agent's version; always 1. Absent until it is known.");
  ForEachWithFacts(targets, [&](const ExposedTarget& target) {
    if (!target.facts->agent.empty()) page.Sample(target.labels, target.facts->agent, 1);
  });
  page.Family("distr_deployment_target_machine_info", FamilyType::kGauge,
              "The machine; always 1. Absent until it is known.");
  ForEachWithFacts(targets, [&](const ExposedTarget& target) {
    if (!target.facts->machine.empty()) page.Sample(target.labels, target.facts->machine, 1);
  });
  WriteRows(page, targets, "distr_deployment_target_cpu_cores", FamilyType::kGauge, {},
            "CPU cores of the machine. Absent until known.", [](const ExposedTarget& target) {
              return target.facts->machine.empty() ? kAbsent : target.facts->cpu_cores;
            });
  WriteRows(page, targets, "distr_deployment_target_memory_bytes", FamilyType::kGauge, "bytes",
            "Memory of the machine. Absent until known.",
            [](const ExposedTarget& target) { return target.facts->machine.empty() ? kAbsent : target.facts->memory; });
}

}  // namespace

void WriteDeployments(const ExposedFleet& fleet, PageWriter& page) {
  const std::vector<ExposedDeployment>& deployments = fleet.deployments;
  struct Status {
    DeploymentStatus status;
    std::string_view label;
  };
  static constexpr std::array<Status, 4> kStatuses = {
      {{types::v1::DEPLOYMENT_STATUS_HEALTHY, "status=\"healthy\""},
       {types::v1::DEPLOYMENT_STATUS_RUNNING, "status=\"running\""},
       {types::v1::DEPLOYMENT_STATUS_PROGRESSING, "status=\"progressing\""},
       {types::v1::DEPLOYMENT_STATUS_ERROR, "status=\"error\""}}};
  page.Family("distr_deployment_status", FamilyType::kGauge,
              "Whether the deployment is in a certain status: 1 or 0. All 0 while it is stale or has no status.");
  ForEach(deployments, [&](const ExposedDeployment& deployment) {
    for (const Status& status : kStatuses) {
      page.Sample(deployment.labels, status.label, deployment.status == status.status ? 1 : 0);
    }
  });
  WriteRows(page, deployments, "distr_deployment_status_timestamp_seconds", FamilyType::kGauge, "seconds",
            "Unix time at which the agent last reported the deployment; 0: never.",
            [](const ExposedDeployment& deployment) { return deployment.reported; });
  WriteRows(page, deployments, "distr_deployment_stale", FamilyType::kGauge, {},
            "Whether the deployment was not reported for 60 s.", [](const ExposedDeployment& deployment) {
              return deployment.status == types::v1::DEPLOYMENT_STATUS_STALE ? 1.0 : 0.0;
            });
  WriteRows(page, deployments, "distr_deployment_status_since_timestamp_seconds", FamilyType::kGauge, "seconds",
            "Unix time at which the deployment came into its status; 0: it has none.",
            [](const ExposedDeployment& deployment) { return deployment.since; });
  page.Family("distr_deployment_info", FamilyType::kGauge, "Name, kind and revision of the deployment; always 1.");
  ForEachWithFacts(deployments, [&](const ExposedDeployment& deployment) {
    page.Sample(deployment.labels, deployment.facts->info, 1);
  });
  page.Family("distr_deployment_containers", FamilyType::kGauge,
              "Containers of the deployment by state. The running ones always; other states while they occur.");
  ForEachWithFacts(deployments, [&](const ExposedDeployment& deployment) {
    for (std::size_t state = 0; state < kContainerStates.size(); ++state) {
      const int count = deployment.facts->containers[state];
      if (count > 0 || state == kRunningContainers) page.Sample(deployment.labels, kContainerStateLabels[state], count);
    }
  });
  WriteRows(page, deployments, "distr_deployment_container_restarts_total", FamilyType::kCounter, {},
            "Restarts of the deployment's present containers, as the runtime counts them.",
            [](const ExposedDeployment& deployment) { return deployment.restarts; });
}

void WriteTargets(const ExposedFleet& fleet, PageWriter& page) {
  const std::vector<ExposedTarget>& targets = fleet.targets;
  // In Distr's source, not in its manual. Without the id two names that are cut alike would collide: the first wins.
  page.Family("distr_deployment_target_status_timestamp_seconds", FamilyType::kGauge,
              "Unix time at which the deployment target was last heard from; 0: never.", "seconds");
  std::unordered_set<std::string_view> seen;
  ForEachWithFacts(targets, [&](const ExposedTarget& target) {
    const std::string_view place = target.facts->place;
    if (!target.facts->is_cut || seen.insert(place).second) page.Sample(place, target.last_seen);
  });
  struct State {
    TargetState state;
    std::string_view label;
  };
  static constexpr std::array<State, 3> kStates = {{{types::v1::TARGET_STATE_NOT_CONNECTED, "state=\"not_connected\""},
                                                    {types::v1::TARGET_STATE_CONNECTED, "state=\"connected\""},
                                                    {types::v1::TARGET_STATE_STALE, "state=\"stale\""}}};
  page.Family("distr_deployment_target_state", FamilyType::kGauge,
              "Whether the deployment target is in a certain state: 1 or 0.");
  ForEach(targets, [&](const ExposedTarget& target) {
    for (const State& state : kStates) page.Sample(target.labels, state.label, target.state == state.state ? 1 : 0);
  });
  WriteRows(page, targets, "distr_deployment_target_state_timestamp_seconds", FamilyType::kGauge, "seconds",
            "Unix time at which the deployment target came into its state.",
            [](const ExposedTarget& target) { return target.state_since; });
  WriteRows(page, targets, "distr_deployment_target_last_seen_timestamp_seconds", FamilyType::kGauge, "seconds",
            "Unix time of the last heartbeat, by the hub's clock; 0: none since the hub started.",
            [](const ExposedTarget& target) { return target.last_seen; });
  WriteRows(page, targets, "distr_deployment_target_identity_warning", FamilyType::kGauge, {},
            "Whether two machines were seen with this identity, or its disk was rolled back.",
            [](const ExposedTarget& target) { return target.has_identity_warning ? 1.0 : 0.0; });
  WriteTargetFacts(targets, page);
  if (!fleet.is_from_files) WriteTargetSessions(targets, page);
}

void WriteJournals(const ExposedFleet& fleet, PageWriter& page) {
  const double now = UnixSeconds(fleet.taken);
  const auto family = [&](std::string_view name, FamilyType type, std::string_view unit, std::string_view help,
                          auto value) {
    WriteRows(page, fleet.targets, name, type, unit, help, [&](const ExposedTarget& target) -> double {
      return target.has_journal ? value(target.journal) : kAbsent;
    });
  };
  using Journal = ExposedJournal;
  family("distr_journal_records", FamilyType::kGauge, {},
         "Records of the agent's journal that the hub has not acknowledged.",
         [](const Journal& journal) { return journal.records; });
  family("distr_journal_bytes", FamilyType::kGauge, "bytes", "Size of the records that the hub has not acknowledged.",
         [](const Journal& journal) { return journal.bytes; });
  family("distr_journal_capacity_bytes", FamilyType::kGauge, "bytes", "Bound of the agent's journal.",
         [](const Journal& journal) { return journal.capacity; });
  family("distr_journal_oldest_age_seconds", FamilyType::kGauge, "seconds",
         "How long the oldest unacknowledged record has waited; 0: none.",
         [](const Journal& journal) { return journal.oldest_age; });
  family("distr_journal_replay_lag_seconds", FamilyType::kGauge, "seconds",
         "Age of the newest record that the hub has applied, while records wait; 0: none waits.",
         [&](const Journal& journal) { return ReplayLag(journal, now); });
  WriteRows(page, fleet.targets, "distr_journal_fault", FamilyType::kGauge, {},
            "Whether the agent cannot make records durable.", [](const ExposedTarget& target) -> double {
              return !target.has_journal ? kAbsent : target.has_journal_fault ? 1 : 0;
            });
  family("distr_journal_dropped_records_total", FamilyType::kCounter, {},
         "Records that the agent gave up before the hub had them, since its journal was created.",
         [](const Journal& journal) { return journal.dropped; });
  family("distr_journal_poisoned_records_total", FamilyType::kCounter, {},
         "Records that the hub refused for good, since the agent's journal was created.",
         [](const Journal& journal) { return journal.poisoned; });
  family("distr_journal_gap_records_total", FamilyType::kCounter, {},
         "Gap records that the hub took, since it started.",
         [](const Journal& journal) { return journal.gap_records; });
  family("distr_journal_duplicate_records_total", FamilyType::kCounter, {},
         "Records that were sent again, since the hub started.",
         [](const Journal& journal) { return journal.duplicate_records; });
}

void WriteLogs(const ExposedFleet& fleet, PageWriter& page) {
  // Of every target, so that the first line is seen as an increase.
  WriteRows(page, fleet.targets, "distr_log_lines_total", FamilyType::kCounter, {},
            "Log lines of the target that were stored, since the hub started.",
            [](const ExposedTarget& target) { return target.log_lines; });
  page.Family("distr_log_dropped_lines_total", FamilyType::kCounter,
              "Log lines of the target that are missing, as far as they were counted, since the hub started.");
  auto drop = fleet.log_drops.begin();
  for (std::size_t i = 0; i < fleet.targets.size(); ++i) {
    const std::string_view labels = fleet.targets[i].labels;
    page.Sample(labels, "reason=\"RATE\"", fleet.targets[i].log_lines_rate_dropped);
    for (; drop != fleet.log_drops.end() && drop->target == i; ++drop) {
      page.Sample(labels, Label("reason", drop->reason), drop->lines);
    }
  }
}

void AddLogCounts(const LogCountsByTarget& counts, ExposedFleet* fleet) {
  auto next = counts.begin();
  for (std::size_t i = 0; i < fleet->targets.size(); ++i) {
    ExposedTarget& target = fleet->targets[i];
    while (next != counts.end() && next->first < target.facts->id) ++next;
    if (next == counts.end()) return;
    if (next->first != target.facts->id) continue;
    target.log_lines = static_cast<double>(next->second.lines);
    for (const auto& [reason, lines] : next->second.dropped) {
      if (reason == "RATE") {
        target.log_lines_rate_dropped = static_cast<double>(lines);
      } else {
        fleet->log_drops.push_back({.target = i, .reason = reason, .lines = static_cast<double>(lines)});
      }
    }
  }
}

}  // namespace muster::hub
