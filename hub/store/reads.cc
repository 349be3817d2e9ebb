#include "hub/store/reads.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "common/status.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

SecretHash HashColumn(const sqlite::Statement& statement, int column) {
  SecretHash hash{};
  const std::string bytes = statement.Text(column);
  std::memcpy(hash.data(), bytes.data(), std::min(hash.size(), bytes.size()));
  return hash;
}

// Infinite times become the ends of what a row can hold.
std::int64_t Micros(absl::Time time) { return absl::ToUnixMicros(time); }

using TargetIndex = std::unordered_map<std::string, StoredTarget*>;

absl::StatusOr<std::vector<StoredTarget>> LoadTargetRows(sqlite::Database& database, absl::Time forgotten) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT t.id, t.name, t.type, t.customer, t.created_us, t.deleted_us, t.secret_hash,"
                       " t.secret_generation, t.session_counter, t.confirmed_counter, t.identity_warning,"
                       " t.metrics_enabled, t.agent_version, t.machine, t.last_seen_us, i.state, i.from_us, i.reason"
                       " FROM targets t LEFT JOIN target_intervals i ON i.target_id=t.id AND i.to_us IS NULL"
                       " WHERE t.deleted_us IS NULL OR t.deleted_us>=?1"));
  s.Bind(1, forgotten);
  std::vector<StoredTarget> targets;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return targets;
    StoredTarget t;
    t.id = s.Text(0);
    t.name = s.Text(1);
    t.type = static_cast<types::v1::TargetType>(s.Int(2));
    t.customer = s.Text(3);
    t.created = s.Time(4);
    t.deleted = !s.IsNull(5);
    t.secret_hash = HashColumn(s, 6);
    t.secret_generation = s.Int64(7);
    t.session_counter = s.Int64(8);
    t.confirmed_counter = s.Int64(9);
    t.identity_warning = s.Text(10);
    t.metrics_enabled = s.Bool(11);
    t.agent_version = s.Text(12);
    t.machine.ParseFromString(s.Text(13));
    t.last_seen = s.OptionalTime(14);
    if (!s.IsNull(15)) {
      t.open = {
          .state = static_cast<types::v1::TargetState>(s.Int(15)), .from = s.Time(16), .to = {}, .reason = s.Text(17)};
    }
    targets.push_back(std::move(t));
  }
}

absl::Status LoadRetiredSecrets(sqlite::Database& database, const TargetIndex& index) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT target_id, hash FROM retired_secrets ORDER BY target_id, generation DESC"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    if (auto it = index.find(s.Text(0)); it != index.end()) it->second->retired_secrets.push_back(HashColumn(s, 1));
  }
}

absl::Status LoadDeployments(sqlite::Database& database, const TargetIndex& index) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT d.id, d.target_id, d.created_us, d.gone_us, d.revision_us, d.logs_enabled,"
                                    " d.application, d.application_version, d.report, i.status, i.from_us, i.message,"
                                    " i.application_version, i.revision FROM deployments d"
                                    " LEFT JOIN deployment_intervals i ON i.deployment_id=d.id AND i.to_us IS NULL"
                                    " WHERE d.archived_us IS NULL"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    const auto it = index.find(s.Text(1));
    if (it == index.end() || it->second->deleted) continue;
    StoredDeployment d;
    d.id = s.Text(0);
    d.created = s.Time(2);
    d.gone_since = s.OptionalTime(3);
    d.revision_since = s.Time(4);
    d.choices.logs_enabled = s.Bool(5);
    if (!s.IsNull(6)) d.choices.application = s.Text(6);
    if (!s.IsNull(7)) d.choices.application_version = s.Text(7);
    d.report.ParseFromString(s.Text(8));
    if (!s.IsNull(9)) {
      d.open = {.status = static_cast<types::v1::DeploymentStatus>(s.Int(9)),
                .from = s.Time(10),
                .to = {},
                .message = s.Text(11),
                .application_version = s.Text(12),
                .revision = s.Text(13)};
    }
    it->second->deployments.push_back(std::move(d));
  }
}

void BindWindow(sqlite::Statement& s, std::string_view id, const HistoryWindow& window) {
  s.Bind(1, id).Bind(2, Micros(window.from)).Bind(3, Micros(std::min(window.to, window.before))).Bind(4, window.limit);
}

// Intervals of one history are in order and do not overlap: only the last that began by `at` can hold then. CROSS JOIN
// keeps SQLite from walking all intervals instead of looking one up per target.
absl::Status ReadTargetsAt(sqlite::Database& database, absl::Time at, FleetAt& fleet) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT t.id, t.name, t.customer, i.state, i.from_us, i.to_us, i.reason"
                                    " FROM targets t CROSS JOIN target_intervals i ON i.target_id=t.id AND i.from_us="
                                    "(SELECT max(from_us) FROM target_intervals WHERE target_id=t.id AND from_us<=?1)"
                                    " WHERE i.to_us IS NULL OR i.to_us>?1 ORDER BY t.name"));
  s.Bind(1, at);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    fleet.targets.push_back({.target_id = s.Text(0),
                             .target_name = s.Text(1),
                             .customer = s.Text(2),
                             .interval = {.state = static_cast<types::v1::TargetState>(s.Int(3)),
                                          .from = s.Time(4),
                                          .to = s.OptionalTime(5),
                                          .reason = s.Text(6)}});
  }
}

absl::Status ReadDeploymentsAt(sqlite::Database& database, absl::Time at, FleetAt& fleet) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT d.id, t.id, t.name, t.customer, d.report, i.status, i.from_us, i.to_us, i.message,"
                       " i.application_version, i.revision FROM deployments d JOIN targets t ON t.id=d.target_id"
                       " CROSS JOIN deployment_intervals i ON i.deployment_id=d.id AND i.from_us="
                       "(SELECT max(from_us) FROM deployment_intervals WHERE deployment_id=d.id AND from_us<=?1)"
                       " WHERE i.to_us IS NULL OR i.to_us>?1 ORDER BY t.name, d.key"));
  s.Bind(1, at);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    agent::v1::DeploymentState report;
    report.ParseFromString(s.Text(4));
    fleet.deployments.push_back({.deployment_id = s.Text(0),
                                 .target_id = s.Text(1),
                                 .target_name = s.Text(2),
                                 .customer = s.Text(3),
                                 .name = report.name(),
                                 .interval = {.status = static_cast<types::v1::DeploymentStatus>(s.Int(5)),
                                              .from = s.Time(6),
                                              .to = s.OptionalTime(7),
                                              .message = s.Text(8),
                                              .application_version = s.Text(9),
                                              .revision = s.Text(10)}});
  }
}

AuditRecord AuditRow(const sqlite::Statement& s) {
  return {.sequence = s.Int64(0),
          .at = s.Time(1),
          .actor = s.Text(2),
          .action = s.Text(3),
          .subject = s.Text(4),
          .detail = s.Text(5)};
}

}  // namespace

absl::StatusOr<std::vector<StoredTarget>> LoadTargets(sqlite::Database& database, absl::Time forgotten) {
  ASSIGN_OR_RETURN(std::vector<StoredTarget> targets, LoadTargetRows(database, forgotten));
  TargetIndex index;
  for (StoredTarget& target : targets) index[target.id] = &target;
  RETURN_IF_ERROR(LoadRetiredSecrets(database, index));
  RETURN_IF_ERROR(LoadDeployments(database, index));
  return targets;
}

absl::StatusOr<std::vector<StoredToken>> LoadTokens(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT id, name, hash, role, customer, created_us, expires_us, revoked_us"
                                    " FROM tokens ORDER BY created_us"));
  std::vector<StoredToken> tokens;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return tokens;
    tokens.push_back({.id = s.Text(0),
                      .name = s.Text(1),
                      .hash = HashColumn(s, 2),
                      .role = static_cast<fleet::v1::Role>(s.Int(3)),
                      .customer = s.Text(4),
                      .created = s.Time(5),
                      .expires = s.OptionalTime(6),
                      .revoked = s.OptionalTime(7)});
  }
}

absl::StatusOr<std::vector<TargetInterval>> ReadTargetHistory(sqlite::Database& database, std::string_view target_id,
                                                              const HistoryWindow& window) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT state, from_us, to_us, reason FROM target_intervals WHERE target_id=?1"
                                    " AND from_us<?3 AND (to_us IS NULL OR to_us>?2) ORDER BY from_us DESC LIMIT ?4"));
  BindWindow(s, target_id, window);
  std::vector<TargetInterval> intervals;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return intervals;
    intervals.push_back({.state = static_cast<types::v1::TargetState>(s.Int(0)),
                         .from = s.Time(1),
                         .to = s.OptionalTime(2),
                         .reason = s.Text(3)});
  }
}

absl::StatusOr<std::vector<DeploymentInterval>> ReadDeploymentHistory(sqlite::Database& database,
                                                                      std::string_view deployment_id,
                                                                      const HistoryWindow& window) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT status, from_us, to_us, message, application_version, revision"
                                    " FROM deployment_intervals WHERE deployment_id=?1 AND from_us<?3"
                                    " AND (to_us IS NULL OR to_us>?2) ORDER BY from_us DESC LIMIT ?4"));
  BindWindow(s, deployment_id, window);
  std::vector<DeploymentInterval> intervals;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return intervals;
    intervals.push_back({.status = static_cast<types::v1::DeploymentStatus>(s.Int(0)),
                         .from = s.Time(1),
                         .to = s.OptionalTime(2),
                         .message = s.Text(3),
                         .application_version = s.Text(4),
                         .revision = s.Text(5)});
  }
}

absl::StatusOr<FleetAt> ReadFleetAt(sqlite::Database& database, absl::Time at) {
  FleetAt fleet;
  RETURN_IF_ERROR(ReadTargetsAt(database, at, fleet));
  RETURN_IF_ERROR(ReadDeploymentsAt(database, at, fleet));
  return fleet;
}

absl::StatusOr<std::vector<AuditRecord>> ReadAudit(sqlite::Database& database, std::int64_t before, int limit) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT sequence, at_us, actor, action, subject, detail FROM audit"
                                    " WHERE sequence<?1 ORDER BY sequence DESC LIMIT ?2"));
  s.Bind(1, before).Bind(2, limit);
  std::vector<AuditRecord> records;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return records;
    records.push_back(AuditRow(s));
  }
}

absl::StatusOr<RowCounts> CountRows(sqlite::Database& database) {
  // Audit entries are numbered without gaps, so the last number is their count.
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT (SELECT count(*) FROM customers),"
                                                         " (SELECT coalesce(max(sequence), 0) FROM audit)"));
  RETURN_IF_ERROR(s.Step().status());
  return RowCounts{.customers = s.Int64(0), .audit_entries = s.Int64(1)};
}

absl::StatusOr<AuditVerdict> VerifyAudit(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT sequence, at_us, actor, action, subject, detail, hash FROM audit"
                                    " ORDER BY sequence"));
  AuditVerdict verdict;
  SecretHash previous{};
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return verdict;
    const AuditRecord record = AuditRow(s);
    ++verdict.entries;
    previous = AuditHash(previous, record);
    const bool intact = record.sequence == verdict.entries && s.Text(6).size() == previous.size() &&
                        SameHash(previous, HashColumn(s, 6));
    if (!intact && !verdict.first_bad) verdict.first_bad = record.sequence;
  }
}

}  // namespace muster::hub
