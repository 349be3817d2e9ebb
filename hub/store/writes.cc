#include "hub/store/writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/status.h"
#include "hub/store/agent_runs.h"
#include "hub/store/change_rows.h"

namespace muster::hub {
namespace {

constexpr char kNotListeningReason[] = "the hub had not listened long enough to know";

// The newest interval of a history, which the next one follows.
struct LastInterval {
  bool open = false;
  int state = 0;
  // When a successor may begin: intervals of one history never overlap, whatever the wall clock did.
  absl::Time successor = absl::InfinitePast();
};

// `sql` selects state, from_us and to_us of the newest interval.
absl::StatusOr<LastInterval> ReadLastInterval(sqlite::Database& database, sqlite::Sql sql, std::string_view id) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Bind(1, id).Step());
  if (!row) return LastInterval();
  LastInterval last{.open = statement.IsNull(2), .state = statement.Int(0), .successor = {}};
  last.successor = last.open ? statement.Time(1) + absl::Microseconds(1) : statement.Time(2);
  return last;
}

// A deleted target's history is closed; what was still on its way when it was deleted comes too late.
absl::StatusOr<bool> IsDeleted(sqlite::Database& database, std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database.Prepare("SELECT 1 FROM targets WHERE id=? AND deleted_us IS NOT NULL"));
  return statement.Bind(1, target_id).Step();
}

absl::Status TargetGone() {
  return MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "the target was deleted");
}

absl::Status InsertTargetInterval(sqlite::Database& database, std::string_view target_id,
                                  const TargetInterval& interval) {
  return RunBound(database, "INSERT INTO target_intervals(target_id, from_us, to_us, state, reason) VALUES(?,?,?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, target_id).Bind(2, interval.from).Bind(3, interval.to).Bind(4, interval.state);
                    s.Bind(5, interval.reason);
                  });
}

// One that was archived, or that only a journal told of so far, has been seen since now: as the live fleet shows it,
// and with its logs on or off as the agent was told.
absl::Status UpsertDeployment(sqlite::Database& database, const DeploymentTransition& transition,
                              const std::string& report) {
  const StoredDeployment& d = transition.deployment;
  return RunBound(database,
                  "INSERT INTO deployments(id, target_id, key, created_us, gone_us, revision_us, logs_enabled,"
                  " application, application_version, report) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
                  " ON CONFLICT(id) DO UPDATE SET created_us=iif(archived_us IS NULL, created_us, ?4),"
                  " logs_enabled=iif(archived_us IS NULL, logs_enabled, ?7), archived_us=NULL, gone_us=?5, "
                  "revision_us=?6, report=?10",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, d.id).Bind(2, transition.target_id).Bind(3, d.report.key()).Bind(4, d.created);
                    s.Bind(5, d.gone_since).Bind(6, d.revision_since).Bind(7, d.choices.logs_enabled);
                    s.Bind(8, d.choices.application).Bind(9, d.choices.application_version);
                    s.BindBlob(10, report.data(), report.size());
                  });
}

absl::Status RecordChange(sqlite::Database& database, std::string_view deployment_id, const RecordedChange& change) {
  ASSIGN_OR_RETURN(const std::optional<LastChange> last, ReadLastChange(database, deployment_id));
  // The hub's judgements follow everything that it knew, and what it hears follows its judgements.
  const bool follows_judgement = last && (!change.name || !last->name);
  const absl::Time at = follows_judgement ? std::max(change.at, last->at + absl::Microseconds(1)) : change.at;
  if (!change.name) return StoreJudgement(database, deployment_id, at, change.fact);
  ASSIGN_OR_RETURN(const bool stored, StoreAgentChange(database, deployment_id, *change.name, at, change.fact, true));
  // The journal told it first, at its time, but a judgement of the hub has hidden it since: what is heard now counts.
  const bool is_hidden = !stored && last && !last->name && !SaysTheSame(last->fact, change.fact);
  if (!is_hidden) return absl::OkStatus();
  return StoreJudgement(database, deployment_id, std::max(change.at, last->at + absl::Microseconds(1)), change.fact);
}

void HashPart(std::string& bytes, std::string_view part) {
  const std::uint64_t size = part.size();
  bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes.append(part);
}

}  // namespace

absl::Status InsertTarget(sqlite::Database& database, const StoredTarget& t) {
  if (!t.customer.empty()) {
    RETURN_IF_ERROR(RunBound(database, "INSERT INTO customers(name, created_us) VALUES(?,?) ON CONFLICT DO NOTHING",
                             [&](sqlite::Statement& s) { s.Bind(1, t.customer).Bind(2, t.created); }));
  }
  const absl::Status inserted = RunBound(
      database,
      "INSERT INTO targets(id, name, type, customer, created_us, secret_hash, secret_generation, metrics_enabled)"
      " VALUES(?,?,?,?,?,?,?,?)",
      [&](sqlite::Statement& s) {
        s.Bind(1, t.id).Bind(2, t.name).Bind(3, t.type).Bind(4, t.customer).Bind(5, t.created);
        s.BindBlob(6, t.secret_hash.data(), t.secret_hash.size());
        s.Bind(7, t.secret_generation).Bind(8, t.metrics_enabled);
      });
  if (absl::IsAlreadyExists(inserted)) {
    return MakeError(absl::StatusCode::kAlreadyExists, "TARGET_EXISTS",
                     fmt::format("a target named \"{}\" exists; choose another name or use reconnect", t.name));
  }
  RETURN_IF_ERROR(inserted);
  return InsertTargetInterval(database, t.id, t.open);
}

absl::StatusOr<TargetSettings> UpdateTarget(sqlite::Database& database, std::string_view id,
                                            const std::optional<std::string>& name,
                                            std::optional<bool> metrics_enabled) {
  const absl::Status updated =
      RunBound(database,
               "UPDATE targets SET name=coalesce(?2, name), metrics_enabled=coalesce(?3, metrics_enabled)"
               " WHERE id=?1 AND deleted_us IS NULL",
               [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, name).Bind(3, metrics_enabled); });
  if (absl::IsAlreadyExists(updated)) {
    return MakeError(absl::StatusCode::kAlreadyExists, "TARGET_EXISTS",
                     fmt::format("a target named \"{}\" exists; choose another name", name.value_or("")));
  }
  RETURN_IF_ERROR(updated);
  if (database.Changes() == 0) return TargetGone();
  ASSIGN_OR_RETURN(sqlite::Statement row, database.Prepare("SELECT name, metrics_enabled FROM targets WHERE id=?"));
  RETURN_IF_ERROR(row.Bind(1, id).Step().status());
  return TargetSettings{.name = row.Text(0), .metrics_enabled = row.Bool(1)};
}

absl::Status MarkTargetDeleted(sqlite::Database& database, std::string_view id, absl::Time at) {
  RETURN_IF_ERROR(RunBound(database, "UPDATE targets SET deleted_us=?2 WHERE id=?1 AND deleted_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, at); }));
  if (database.Changes() == 0) return TargetGone();
  RETURN_IF_ERROR(RunBound(database, "UPDATE connect_codes SET void_us=?2 WHERE target_id=?1 AND void_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, at); }));
  return CloseTargetHistory(database, id, at);
}

absl::StatusOr<std::int64_t> RotateSecret(sqlite::Database& database, std::string_view id, const SecretHash& hash,
                                          absl::Time at) {
  std::int64_t generation = 0;
  {
    ASSIGN_OR_RETURN(sqlite::Statement current,
                     database.Prepare("SELECT secret_generation FROM targets WHERE id=? AND deleted_us IS NULL"));
    ASSIGN_OR_RETURN(const bool row, current.Bind(1, id).Step());
    if (!row) return TargetGone();
    generation = current.Int64(0) + 1;
  }
  RETURN_IF_ERROR(RunBound(database,
                           "INSERT INTO retired_secrets(target_id, generation, hash, retired_us)"
                           " SELECT id, secret_generation, secret_hash, ?2 FROM targets WHERE id=?1",
                           [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, at); }));
  RETURN_IF_ERROR(RunBound(database, "DELETE FROM retired_secrets WHERE target_id=?1 AND generation<?2",
                           [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, generation - kKeptRetiredSecrets); }));
  RETURN_IF_ERROR(
      RunBound(database,
               "UPDATE targets SET secret_hash=?2, secret_generation=?3, session_counter=0,"
               " confirmed_counter=0, identity_warning='' WHERE id=?1",
               [&](sqlite::Statement& s) { s.Bind(1, id).BindBlob(2, hash.data(), hash.size()).Bind(3, generation); }));
  RETURN_IF_ERROR(RecordTargetTransition(database, {.target_id = std::string(id),
                                                    .state = types::v1::TARGET_STATE_NOT_CONNECTED,
                                                    .at = at,
                                                    .reason = "the target secret was rotated",
                                                    .last_seen = {}}));
  return generation;
}

absl::Status InsertConnectCode(sqlite::Database& database, const SecretHash& code, std::string_view target_id,
                               absl::Time now, absl::Time expires) {
  RETURN_IF_ERROR(RunBound(database, "UPDATE connect_codes SET void_us=?2 WHERE target_id=?1 AND void_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, now); }));
  RETURN_IF_ERROR(RunBound(database,
                           "DELETE FROM connect_codes WHERE target_id=?1 AND hash NOT IN (SELECT hash FROM"
                           " connect_codes WHERE target_id=?1 ORDER BY expires_us DESC LIMIT ?2)",
                           [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, kKeptConnectCodes - 1); }));
  return RunBound(
      database, "INSERT INTO connect_codes(hash, target_id, expires_us) VALUES(?,?,?)",
      [&](sqlite::Statement& s) { s.BindBlob(1, code.data(), code.size()).Bind(2, target_id).Bind(3, expires); });
}

absl::StatusOr<std::string> FindConnectCode(sqlite::Database& database, const SecretHash& code, absl::Time now) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database.Prepare("SELECT target_id, expires_us, void_us FROM connect_codes WHERE hash=?"));
  ASSIGN_OR_RETURN(const bool row, statement.BindBlob(1, code.data(), code.size()).Step());
  if (!row) {
    return MakeError(absl::StatusCode::kNotFound, "CONNECT_CODE_UNKNOWN",
                     "this connect code is not known; copy the whole command, or make a new one with "
                     "\"muster target reconnect\"");
  }
  if (!statement.IsNull(2)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "CONNECT_CODE_USED",
                     "this connect code was used or replaced; make a new one with \"muster target reconnect\"");
  }
  if (statement.Time(1) <= now) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "CONNECT_CODE_EXPIRED",
                     "this connect code is older than 24 h; make a new one with \"muster target reconnect\"");
  }
  return statement.Text(0);
}

absl::StatusOr<absl::Time> RecordSessionOpening(sqlite::Database& database, const SessionOpening& o) {
  const std::string machine = o.machine.SerializeAsString();
  RETURN_IF_ERROR(RunBound(database,
                           "UPDATE targets SET session_counter=max(session_counter, ?2), identity_warning=?3,"
                           " agent_version=?4, machine=?5, last_seen_us=?6"
                           " WHERE id=?1 AND secret_generation=?7 AND deleted_us IS NULL",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, o.target_id).Bind(2, o.session_counter).Bind(3, o.identity_warning);
                             s.Bind(4, o.agent_version).BindBlob(5, machine.data(), machine.size()).Bind(6, o.at);
                             s.Bind(7, o.secret_generation);
                           }));
  if (database.Changes() == 0) return o.at;
  RETURN_IF_ERROR(RunBound(database, "UPDATE connect_codes SET void_us=?2 WHERE target_id=?1 AND void_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, o.target_id).Bind(2, o.at); }));
  return EnsureAgentRuns(database, o.target_id, o.epochs, o.at);
}

absl::Status ConfirmSessionCounter(sqlite::Database& database, std::string_view target_id, std::int64_t counter) {
  return RunBound(database,
                  "UPDATE targets SET confirmed_counter=max(confirmed_counter, ?2) WHERE id=?1 AND session_counter>=?2",
                  [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, counter); });
}

absl::Status RecordTargetTransition(sqlite::Database& database, const TargetTransition& t) {
  ASSIGN_OR_RETURN(const bool deleted, IsDeleted(database, t.target_id));
  if (deleted) return absl::OkStatus();
  RETURN_IF_ERROR(RunBound(database, "UPDATE targets SET last_seen_us=coalesce(?2, last_seen_us) WHERE id=?1",
                           [&](sqlite::Statement& s) { s.Bind(1, t.target_id).Bind(2, t.last_seen); }));
  ASSIGN_OR_RETURN(const LastInterval last,
                   ReadLastInterval(database,
                                    "SELECT state, from_us, to_us FROM target_intervals WHERE target_id=?"
                                    " ORDER BY from_us DESC LIMIT 1",
                                    t.target_id));
  if (last.open && last.state == static_cast<int>(t.state)) return absl::OkStatus();
  const absl::Time from = std::max(t.at, last.successor);
  const absl::Time end = std::min(from, std::max(t.unknown_from.value_or(from), last.successor));
  RETURN_IF_ERROR(RunBound(database, "UPDATE target_intervals SET to_us=?2 WHERE target_id=?1 AND to_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, t.target_id).Bind(2, end); }));
  if (end < from) {
    RETURN_IF_ERROR(InsertTargetInterval(
        database, t.target_id,
        {.state = types::v1::TARGET_STATE_UNKNOWN, .from = end, .to = from, .reason = kNotListeningReason}));
  }
  return InsertTargetInterval(database, t.target_id, {.state = t.state, .from = from, .to = {}, .reason = t.reason});
}

absl::Status CloseTargetHistory(sqlite::Database& database, std::string_view target_id, absl::Time at) {
  RETURN_IF_ERROR(RunBound(database,
                           "UPDATE target_intervals SET to_us=max(?2, from_us+1) WHERE target_id=?1 AND to_us IS NULL",
                           [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, at); }));
  RETURN_IF_ERROR(EndSilence(database, target_id, at));
  return RunBound(database,
                  "INSERT INTO deployment_changes(deployment_id, at_us, status, message, application_version, revision)"
                  " SELECT d.id, max(?2, c.at_us+1), 0, '', '', '' FROM deployments d CROSS JOIN deployment_changes c"
                  " ON c.rowid=(SELECT rowid FROM deployment_changes WHERE deployment_id=d.id"
                  " ORDER BY at_us DESC, run_us DESC, agent_us DESC LIMIT 1) WHERE d.target_id=?1 AND c.status<>0",
                  [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, at); });
}

absl::Status BeginSilence(sqlite::Database& database, std::string_view target_id, const OpenSilence& silence) {
  ASSIGN_OR_RETURN(const bool deleted, IsDeleted(database, target_id));
  if (deleted) return absl::OkStatus();
  ASSIGN_OR_RETURN(const LastInterval last, ReadLastInterval(database,
                                                             "SELECT 0, from_us, to_us FROM silences WHERE target_id=?"
                                                             " ORDER BY from_us DESC LIMIT 1",
                                                             target_id));
  if (last.open) return absl::OkStatus();
  return RunBound(database, "INSERT INTO silences(target_id, from_us, reason) VALUES(?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, target_id).Bind(2, std::max(silence.from, last.successor)).Bind(3, silence.reason);
                  });
}

absl::Status EndSilence(sqlite::Database& database, std::string_view target_id, absl::Time at) {
  return RunBound(database, "UPDATE silences SET to_us=max(?2, from_us+1) WHERE target_id=?1 AND to_us IS NULL",
                  [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, at); });
}

absl::Status RecordDeploymentTransition(sqlite::Database& database, const DeploymentTransition& transition) {
  ASSIGN_OR_RETURN(const bool deleted, IsDeleted(database, transition.target_id));
  if (deleted) return absl::OkStatus();
  const StoredDeployment& d = transition.deployment;
  const std::string report = d.report.SerializeAsString();
  RETURN_IF_ERROR(UpsertDeployment(database, transition, report));
  if (!transition.change) return absl::OkStatus();
  return RecordChange(database, d.id, *transition.change);
}

absl::Status ArchiveDeployment(sqlite::Database& database, std::string_view deployment_id, absl::Time at) {
  ASSIGN_OR_RETURN(const std::optional<LastChange> last, ReadLastChange(database, deployment_id));
  // What was never stored has no history that could end.
  if (last && last->fact.status != types::v1::DEPLOYMENT_STATUS_UNSPECIFIED) {
    RETURN_IF_ERROR(StoreJudgement(database, deployment_id, std::max(at, last->at + absl::Microseconds(1)), {}));
  }
  return RunBound(database,
                  "UPDATE deployments SET archived_us=?2, application=NULL, application_version=NULL WHERE id=?1",
                  [&](sqlite::Statement& s) { s.Bind(1, deployment_id).Bind(2, at); });
}

absl::StatusOr<DeploymentChoices> ReadDeploymentChoices(sqlite::Database& database, std::string_view deployment_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT logs_enabled, application, application_version FROM deployments"
                                    " WHERE id=? AND archived_us IS NULL"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, deployment_id).Step());
  if (!row) {
    return MakeError(absl::StatusCode::kUnavailable, "DEPLOYMENT_NOT_STORED",
                     "the deployment is not stored yet, or was removed just now; look again and repeat");
  }
  DeploymentChoices choices{.logs_enabled = s.Bool(0), .application = {}, .application_version = {}};
  if (!s.IsNull(1)) choices.application = s.Text(1);
  if (!s.IsNull(2)) choices.application_version = s.Text(2);
  return choices;
}

absl::Status UpdateDeploymentChoices(sqlite::Database& database, std::string_view deployment_id,
                                     const DeploymentChoices& choices) {
  return RunBound(database,
                  "UPDATE deployments SET logs_enabled=?2, application=?3, application_version=?4 WHERE id=?1",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, deployment_id).Bind(2, choices.logs_enabled);
                    s.Bind(3, choices.application).Bind(4, choices.application_version);
                  });
}

absl::Status InsertToken(sqlite::Database& database, const StoredToken& t) {
  absl::Status inserted = RunBound(
      database, "INSERT INTO tokens(id, name, hash, role, customer, created_us, expires_us) VALUES(?,?,?,?,?,?,?)",
      [&](sqlite::Statement& s) {
        s.Bind(1, t.id).Bind(2, t.name).BindBlob(3, t.hash.data(), t.hash.size()).Bind(4, t.role);
        s.Bind(5, t.customer).Bind(6, t.created).Bind(7, t.expires);
      });
  if (absl::IsAlreadyExists(inserted)) {
    return MakeError(absl::StatusCode::kAlreadyExists, "TOKEN_EXISTS",
                     fmt::format("a token named \"{}\" exists; choose another name", t.name));
  }
  return inserted;
}

absl::Status MarkTokenRevoked(sqlite::Database& database, std::string_view id, absl::Time at) {
  return RunBound(database, "UPDATE tokens SET revoked_us=?2 WHERE id=?1 AND revoked_us IS NULL",
                  [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, at); });
}

absl::Status DeleteToken(sqlite::Database& database, std::string_view id) {
  return RunBound(database, "DELETE FROM tokens WHERE id=?", [&](sqlite::Statement& s) { s.Bind(1, id); });
}

SecretHash AuditHash(const SecretHash& previous, const AuditRecord& record) {
  std::string bytes(reinterpret_cast<const char*>(previous.data()), previous.size());
  HashPart(bytes, std::to_string(record.sequence));
  HashPart(bytes, std::to_string(absl::ToUnixMicros(record.at)));
  for (const std::string* part : {&record.actor, &record.action, &record.subject, &record.detail}) {
    HashPart(bytes, *part);
  }
  return HashSecret(bytes);
}

absl::Status AppendAudit(sqlite::Database& database, const AuditRecord& wanted) {
  AuditRecord record = wanted;
  // Rows keep microseconds; the hash must cover what a reader will see.
  record.at = absl::FromUnixMicros(absl::ToUnixMicros(record.at));
  SecretHash previous{};
  {
    ASSIGN_OR_RETURN(sqlite::Statement last,
                     database.Prepare("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1"));
    ASSIGN_OR_RETURN(const bool row, last.Step());
    record.sequence = row ? last.Int64(0) + 1 : 1;
    if (row) {
      const std::string hash = last.Text(1);
      std::memcpy(previous.data(), hash.data(), std::min(hash.size(), previous.size()));
    }
  }
  const SecretHash hash = AuditHash(previous, record);
  return RunBound(database,
                  "INSERT INTO audit(sequence, at_us, actor, action, subject, detail, hash) VALUES(?,?,?,?,?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, record.sequence).Bind(2, record.at).Bind(3, record.actor).Bind(4, record.action);
                    s.Bind(5, record.subject).Bind(6, record.detail).BindBlob(7, hash.data(), hash.size());
                  });
}

absl::StatusOr<std::string> EnsureMeta(sqlite::Database& database, std::string_view key, std::string_view initial) {
  RETURN_IF_ERROR(RunBound(database, "INSERT INTO meta(key, value) VALUES(?,?) ON CONFLICT DO NOTHING",
                           [&](sqlite::Statement& s) { s.Bind(1, key).Bind(2, initial); }));
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("SELECT value FROM meta WHERE key=?"));
  RETURN_IF_ERROR(statement.Bind(1, key).Step().status());
  return statement.Text(0);
}

absl::Status BeginRun(sqlite::Database& database, absl::Time started) {
  return RunBound(database, "INSERT OR REPLACE INTO hub_runs(started_us, alive_us) VALUES(?1,?1)",
                  [&](sqlite::Statement& s) { s.Bind(1, started); });
}

absl::Status TouchRun(sqlite::Database& database, absl::Time started, absl::Time now) {
  return RunBound(database, "UPDATE hub_runs SET alive_us=max(alive_us, ?2) WHERE started_us=?1",
                  [&](sqlite::Statement& s) { s.Bind(1, started).Bind(2, now); });
}

absl::Status EndRun(sqlite::Database& database, absl::Time started, absl::Time now) {
  return RunBound(database, "UPDATE hub_runs SET alive_us=?2, stopped_us=?2 WHERE started_us=?1",
                  [&](sqlite::Statement& s) { s.Bind(1, started).Bind(2, now); });
}

}  // namespace muster::hub
