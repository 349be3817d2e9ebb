#include "hub/store/reads.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

SecretHash HashColumn(const sqlite::Statement& statement, int column) {
  SecretHash hash{};
  const std::string bytes = statement.Text(column);
  std::memcpy(hash.data(), bytes.data(), std::min(hash.size(), bytes.size()));
  return hash;
}

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

// The last silence of each target: the one that goes on, or the end of the one before.
using SilenceEnds = std::unordered_map<std::string_view, absl::Time>;  // by target id

absl::StatusOr<SilenceEnds> LoadSilences(sqlite::Database& database, const TargetIndex& index) {
  SilenceEnds ends;
  for (const auto& [id, target] : index) {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT from_us, to_us, reason FROM silences"
                                                           " WHERE target_id=? ORDER BY from_us DESC LIMIT 1"));
    ASSIGN_OR_RETURN(const bool row, s.Bind(1, id).Step());
    if (!row) continue;
    if (s.IsNull(1)) {
      target->silence = OpenSilence{.from = s.Time(0), .reason = s.Text(2)};
    } else {
      ends[id] = s.Time(1);
    }
  }
  return ends;
}

// What the fleet showed when it was written: the last change, or the silence that hides it.
void RestoreOpen(StoredDeployment& d, const StoredTarget& target, const DeploymentFact& fact, absl::Time from) {
  d.open = {.status = fact.status,
            .from = from,
            .to = {},
            .message = fact.message,
            .application_version = fact.application_version,
            .revision = fact.revision};
  if (!target.silence) return;
  d.open.status = types::v1::DEPLOYMENT_STATUS_STALE;
  d.open.from = std::max(from, target.silence->from);
  d.open.message = target.silence->reason;
}

// History may know of a change that is newer than the last report which the live fleet had stored: status and message
// are then the change's, and what else the report says of that moment is not known.
void FollowHistory(const sqlite::Statement& s, agent::v1::DeploymentState* report) {
  const auto status = static_cast<types::v1::DeploymentStatus>(s.Int(9));
  const std::optional<absl::Time> changed = s.OptionalTime(14);
  if (!changed || status == types::v1::DEPLOYMENT_STATUS_UNSPECIFIED || !report->has_change_time()) return;
  if (*changed == FromProto(report->change_time()) && status == report->status()) return;
  report->set_status(status);
  report->set_message(s.Text(13));
  *report->mutable_change_time() = ToProto(*changed);
  report->clear_resources();
}

absl::Status LoadDeployments(sqlite::Database& database, const TargetIndex& index) {
  ASSIGN_OR_RETURN(const SilenceEnds heard_again, LoadSilences(database, index));
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT d.id, d.target_id, d.created_us, d.gone_us, d.revision_us, d.logs_enabled,"
                                    " d.application, d.application_version, d.report, c.status, c.at_us,"
                                    " c.application_version, c.revision, c.message, c.agent_us FROM deployments d"
                                    " LEFT JOIN deployment_changes c ON c.rowid=(SELECT rowid FROM deployment_changes"
                                    " WHERE deployment_id=d.id ORDER BY at_us DESC, run_us DESC, agent_us DESC LIMIT 1)"
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
      FollowHistory(s, &d.report);
      DeploymentFact fact{.status = static_cast<types::v1::DeploymentStatus>(s.Int(9)),
                          .message = d.report.message(),
                          .application_version = s.Text(11),
                          .revision = s.Text(12)};
      if (fact.status != types::v1::DEPLOYMENT_STATUS_UNSPECIFIED) {
        d.recorded = fact;
      } else {
        // The journal told that the deployment is no more, and the live fleet has not heard it yet.
        fact.status = d.report.status();
      }
      const auto heard = heard_again.find(it->first);
      RestoreOpen(d, *it->second, fact, heard == heard_again.end() ? s.Time(10) : std::max(s.Time(10), heard->second));
    }
    it->second->deployments.push_back(std::move(d));
  }
}

absl::Status LoadArchivedLogsOff(sqlite::Database& database, const TargetIndex& index) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT target_id, key FROM deployments"
                                    " WHERE archived_us IS NOT NULL AND logs_enabled=0 ORDER BY archived_us DESC, id"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    const auto it = index.find(s.Text(0));
    if (it == index.end() || it->second->deleted) continue;
    std::vector<std::string>& keys = it->second->archived_logs_off;
    if (keys.size() < kMaxArchivedLogsOff) keys.push_back(s.Text(1));
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
  RETURN_IF_ERROR(LoadArchivedLogsOff(database, index));
  return targets;
}

absl::StatusOr<std::vector<std::string>> ReadDeletedTargets(sqlite::Database& database, absl::Time by) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT id FROM targets WHERE deleted_us<=?"));
  s.Bind(1, by);
  std::vector<std::string> ids;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return ids;
    ids.push_back(s.Text(0));
  }
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

absl::StatusOr<std::optional<LastRun>> ReadLastRun(sqlite::Database& database) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT alive_us, stopped_us IS NOT NULL FROM hub_runs ORDER BY started_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Step());
  if (!row) return std::nullopt;
  return LastRun{.alive = s.Time(0), .is_stopped = s.Bool(1)};
}

absl::StatusOr<std::string> ReadMeta(sqlite::Database& database, std::string_view key) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT value FROM meta WHERE key=?1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, key).Step());
  return row ? s.Text(0) : "";
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
