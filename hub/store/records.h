// Rows of the hub's database as values.
#ifndef MUSTER_HUB_STORE_RECORDS_H_
#define MUSTER_HUB_STORE_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/secret.h"
#include "muster/agent/v1/agent.pb.h"
#include "muster/fleet/v1/fleet.pb.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// Texts from an agent are cut to these before they are kept.
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxMessageBytes = 512;
inline constexpr std::size_t kMaxKeyBytes = 510;

inline constexpr char kGoneMessage[] = "all containers are gone";

// The statuses that an agent may report; the others are the hub's words.
inline bool MayBeReported(types::v1::DeploymentStatus status) {
  return status == types::v1::DEPLOYMENT_STATUS_ERROR || status == types::v1::DEPLOYMENT_STATUS_PROGRESSING ||
         status == types::v1::DEPLOYMENT_STATUS_RUNNING || status == types::v1::DEPLOYMENT_STATUS_HEALTHY;
}

struct TargetInterval {
  types::v1::TargetState state = types::v1::TARGET_STATE_NOT_CONNECTED;
  absl::Time from;
  std::optional<absl::Time> to;
  std::string reason;
};

// Deployments of a target were not reported.
struct OpenSilence {
  absl::Time from;
  std::string reason;
};

struct DeploymentInterval {
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  absl::Time from;
  std::optional<absl::Time> to;
  std::string message;
  std::string application_version;
  std::string revision;
};

// What an operator decided about a deployment; kept apart from what the agent reports.
struct DeploymentChoices {
  bool logs_enabled = true;
  std::optional<std::string> application;
  std::optional<std::string> application_version;
};

// What history says last about a deployment, stale or not.
struct DeploymentFact {
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  std::string message;
  std::string application_version;
  std::string revision;
};

// Names a change that an agent told, and says where it stands among the others of its deployment.
struct ChangeName {
  absl::Time run;   // the agent's run, by its number (hub/store/agent_runs.h)
  absl::Time time;  // change_time, by the agent's clock; it rises within a run
};

// A row of history: from `at` on this is so, until the next one.
struct RecordedChange {
  absl::Time at;
  // Absent: the hub's own judgement.
  std::optional<ChangeName> name;
  DeploymentFact fact;
};

struct StoredDeployment {
  std::string id;
  absl::Time created;
  absl::Time revision_since;
  std::optional<absl::Time> gone_since;
  DeploymentChoices choices;
  agent::v1::DeploymentState report;
  // What the fleet shows, stale included.
  DeploymentInterval open;
  DeploymentFact recorded = {};
};

struct StoredTarget {
  std::string id;
  std::string name;
  types::v1::TargetType type = types::v1::TARGET_TYPE_UNSPECIFIED;
  std::string customer;
  absl::Time created;
  bool deleted = false;
  SecretHash secret_hash{};
  std::int64_t secret_generation = 1;
  // Newest first, at most kKeptRetiredSecrets.
  std::vector<SecretHash> retired_secrets;
  std::int64_t session_counter = 0;
  std::int64_t confirmed_counter = 0;
  std::string identity_warning;
  bool metrics_enabled = true;
  std::string agent_version;
  types::v1::MachineFacts machine;
  std::optional<absl::Time> last_seen;
  TargetInterval open;
  std::optional<OpenSilence> silence;
  std::vector<StoredDeployment> deployments;
  // Keys of archived deployments whose logs are off: newest first, at most kMaxArchivedLogsOff.
  std::vector<std::string> archived_logs_off = {};
};

// An operator made each of them with a command of its own; with 1000 deployments that are off, too, and keys of 255
// bytes the settings have half of a frame's 1 MiB.
inline constexpr std::size_t kMaxArchivedLogsOff = 1000;

// An old secret is told apart from a wrong one for this many rotations.
inline constexpr int kKeptRetiredSecrets = 16;

struct StoredToken {
  std::string id;
  std::string name;
  SecretHash hash{};
  fleet::v1::Role role = fleet::v1::ROLE_UNSPECIFIED;
  std::string customer;
  absl::Time created;
  std::optional<absl::Time> expires;
  std::optional<absl::Time> revoked;
};

struct AuditRecord {
  std::int64_t sequence = 0;
  absl::Time at;
  std::string actor;
  std::string action;
  std::string subject;
  std::string detail;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_RECORDS_H_
