// Everything the hub writes, as functions over an open transaction. Called from Writer operations only.
#ifndef MUSTER_HUB_STORE_WRITES_H_
#define MUSTER_HUB_STORE_WRITES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/store/records.h"

namespace muster::hub {

// ---- targets

// With its first interval. A taken name is ALREADY_EXISTS "TARGET_EXISTS".
absl::Status InsertTarget(sqlite::Database& database, const StoredTarget& target);
struct TargetSettings {
  std::string name;
  bool metrics_enabled = true;
};
// What is absent stays. Returns what the target has now; NOT_FOUND "TARGET_NOT_FOUND" when it is deleted, also below.
absl::StatusOr<TargetSettings> UpdateTarget(sqlite::Database& database, std::string_view id,
                                            const std::optional<std::string>& name,
                                            std::optional<bool> metrics_enabled);
// Marks it and closes its history; the row stays so that its agent can be told TARGET_DELETED.
absl::Status MarkTargetDeleted(sqlite::Database& database, std::string_view id, absl::Time at);

// The current secret retires, `hash` takes its place; session counters start anew and the target is not connected.
// Returns the new generation.
absl::StatusOr<std::int64_t> RotateSecret(sqlite::Database& database, std::string_view id, const SecretHash& hash,
                                          absl::Time at);

// Codes of one target that are remembered, so that a used one is told apart from a wrong one.
inline constexpr int kKeptConnectCodes = 16;
// Voids the target's other codes.
absl::Status InsertConnectCode(sqlite::Database& database, const SecretHash& code, std::string_view target_id,
                               absl::Time now, absl::Time expires);
// The target a good code is for. NOT_FOUND "CONNECT_CODE_UNKNOWN"; FAILED_PRECONDITION "CONNECT_CODE_USED" or
// "CONNECT_CODE_EXPIRED".
absl::StatusOr<std::string> FindConnectCode(sqlite::Database& database, const SecretHash& code, absl::Time now);

struct SessionOpening {
  std::string target_id;
  // The secret that Hello showed.
  std::int64_t secret_generation = 1;
  std::int64_t session_counter = 0;
  std::string identity_warning;
  std::string agent_version;
  types::v1::MachineFacts machine;
  // Journal epochs of the agent's runs, oldest first; the last one is of the run that opens the session.
  std::vector<std::string> epochs;
  absl::Time at;
};
// Keeps the counter, the facts and the runs, and voids the target's connect code. Returns the number of the run that
// opens the session (agent_runs.h). Leaves no trace when the secret was rotated or
// the target deleted since Hello: that session will be refused, and the new connect code must stay good.
absl::StatusOr<absl::Time> RecordSessionOpening(sqlite::Database& database, const SessionOpening& opening);
// The agent is known to hold this counter: one older is a clone or a disk rolled back.
absl::Status ConfirmSessionCounter(sqlite::Database& database, std::string_view target_id, std::int64_t counter);

// ---- history, from the live fleet and in its order. A time that is not after what it follows (the hub's wall clock
// was set back) is moved to just after it. Nothing is recorded for a deleted target.

struct TargetTransition {
  std::string target_id;
  types::v1::TargetState state = types::v1::TARGET_STATE_UNSPECIFIED;
  absl::Time at;
  std::string reason;
  std::optional<absl::Time> last_seen;
  // From here to `at` the hub did not know: it had just started, or gone on after a pause, and heard nothing since.
  std::optional<absl::Time> unknown_from = {};
};
// The state that the open interval has already changes nothing but `last_seen`.
absl::Status RecordTargetTransition(sqlite::Database& database, const TargetTransition& transition);
// Ends the open intervals of a target and the histories of its deployments.
absl::Status CloseTargetHistory(sqlite::Database& database, std::string_view target_id, absl::Time at);

// The deployments of a target are not reported any more, or again. One that goes on is not begun anew.
absl::Status BeginSilence(sqlite::Database& database, std::string_view target_id, const OpenSilence& silence);
absl::Status EndSilence(sqlite::Database& database, std::string_view target_id, absl::Time at);

struct DeploymentTransition {
  std::string target_id;
  StoredDeployment deployment;
  // What history gets. Absent: only the wording or the report's details are new.
  std::optional<RecordedChange> change = {};
};
// Creates the deployment at its first transition and brings back an archived one. A change whose name (deployment,
// run, agent's time, status) is there already, because the journal told it first, is not stored again.
absl::Status RecordDeploymentTransition(sqlite::Database& database, const DeploymentTransition& transition);
// Its history stays, and that its logs are off; the names that operators chose for it go.
absl::Status ArchiveDeployment(sqlite::Database& database, std::string_view deployment_id, absl::Time at);
// UNAVAILABLE "DEPLOYMENT_NOT_STORED" before its first transition was written, and when it is archived.
absl::StatusOr<DeploymentChoices> ReadDeploymentChoices(sqlite::Database& database, std::string_view deployment_id);
absl::Status UpdateDeploymentChoices(sqlite::Database& database, std::string_view deployment_id,
                                     const DeploymentChoices& choices);

// ---- tokens, audit, the hub itself

absl::Status InsertToken(sqlite::Database& database, const StoredToken& token);
absl::Status MarkTokenRevoked(sqlite::Database& database, std::string_view id, absl::Time at);
// Forgets one that nobody can use any more. The audit log keeps what was done with it.
absl::Status DeleteToken(sqlite::Database& database, std::string_view id);

// Each entry's hash covers the one before it: SHA-256(previous hash, sequence, time, actor, action, subject, detail).
absl::Status AppendAudit(sqlite::Database& database, const AuditRecord& record);

absl::StatusOr<std::string> EnsureMeta(sqlite::Database& database, std::string_view key, std::string_view initial);

// One row per run of the hub: silence outside of these is the hub's, not the targets'.
absl::Status BeginRun(sqlite::Database& database, absl::Time started);
absl::Status TouchRun(sqlite::Database& database, absl::Time started, absl::Time now);
absl::Status EndRun(sqlite::Database& database, absl::Time started, absl::Time now);

// The hash chain's step; used by the writer of entries and by their verifier.
SecretHash AuditHash(const SecretHash& previous, const AuditRecord& record);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_WRITES_H_
