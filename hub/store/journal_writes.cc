#include "hub/store/journal_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/store/agent_runs.h"
#include "hub/store/batch_walk.h"
#include "hub/store/change_rows.h"
#include "hub/store/host_sample.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::DeploymentState;
using agent::v1::DeploymentTransition;
using agent::v1::PresenceRecord;
using agent::v1::Record;
using agent::v1::RecordBatch;

std::string Cut(const std::string& text, std::size_t max_bytes) { return CleanUtf8(text, max_bytes); }

// What a deployment shows that only a journal knows: everything but its resources, which nobody will look at.
DeploymentState ReportToKeep(const DeploymentState& told) {
  DeploymentState report;
  report.set_key(told.key());
  report.set_name(Cut(told.name(), kMaxNameBytes));
  report.set_kind(told.kind());
  report.set_status(told.status());
  report.set_message(Cut(told.message(), kMaxMessageBytes));
  report.set_application(Cut(told.application(), kMaxNameBytes));
  report.set_application_version(Cut(told.application_version(), kMaxNameBytes));
  report.set_revision(Cut(told.revision(), kMaxNameBytes));
  if (IsStorable(told.change_time())) *report.mutable_change_time() = told.change_time();
  report.set_gone(told.gone());
  return report;
}

DeploymentFact FactOf(const DeploymentTransition& transition, const std::optional<std::string>& chosen_version) {
  if (transition.removed()) return {};
  const DeploymentState& told = transition.deployment();
  return {.status = told.gone() ? types::v1::DEPLOYMENT_STATUS_ERROR : told.status(),
          .message = told.gone() ? kGoneMessage : Cut(told.message(), kMaxMessageBytes),
          .application_version = chosen_version ? *chosen_version : Cut(told.application_version(), kMaxNameBytes),
          .revision = Cut(told.revision(), kMaxNameBytes)};
}

// Empty, or why this can never be stored.
std::string FindDefect(const DeploymentTransition& transition) {
  const DeploymentState& told = transition.deployment();
  if (told.key().empty()) return "the deployment has no key";
  if (told.key().size() > kMaxKeyBytes) return "the deployment's key is too long";
  if (told.has_change_time() && !IsStorable(told.change_time())) return "change_time is outside the years 1970 to 9999";
  if (!transition.removed() && !told.gone() && !MayBeReported(told.status())) {
    return fmt::format("status {} of a deployment cannot be reported", static_cast<int>(told.status()));
  }
  return "";
}

std::string FindDefect(const PresenceRecord& presence) {
  if (!presence.has_from() || !IsStorable(presence.from()) || !presence.has_to() || !IsStorable(presence.to())) {
    return "a presence without two times in the years 1970 to 9999";
  }
  if (FromProto(presence.to()) < FromProto(presence.from())) return "a presence that ends before it begins";
  return "";
}

std::string FindDefect(const Record& record) {
  if (!record.has_observed_at() || !IsStorable(record.observed_at())) {
    return "observed_at is outside the years 1970 to 9999";
  }
  switch (record.payload_case()) {
    case Record::kTransition:
      return FindDefect(record.transition());
    case Record::kPresence:
      return FindDefect(record.presence());
    case Record::kHostSample:
      return FindSampleDefect(record.host_sample());
    case Record::kLogLines:
      return "log lines have a lane of their own";
    default:
      return "the record says nothing that this hub knows";
  }
}

// One batch on its way into the tables.
class Application {
 public:
  Application(sqlite::Database& database, const BatchOrigin& origin, const RecordBatch& batch, absl::Time created)
      : database_(database), origin_(origin), batch_(batch), walk_(database, origin, batch, created) {}

  absl::StatusOr<BatchOutcome> Run();

 private:
  // A deployment that this batch names.
  struct Known {
    std::string id;
    // Not there yet: to be created before its first change.
    bool stored = false;
    std::optional<std::string> chosen_version;
  };

  absl::Status ApplyOne(const Record& record, std::int64_t sequence);
  absl::Status ApplyPayload(const Record& record, std::int64_t sequence, absl::Time at);
  absl::Status ApplyGap(const LostRecords& lost);
  absl::Status ApplyTransition(const Record& record, absl::Time at);
  absl::Status ApplyPresence(const PresenceRecord& presence, absl::Time at);
  absl::StatusOr<Known*> FindDeployment(const std::string& key);
  absl::Status CreateDeployment(const Known& known, const DeploymentState& told, absl::Time at);

  sqlite::Database& database_;
  const BatchOrigin& origin_;
  const RecordBatch& batch_;
  BatchWalk walk_;
  // Of the batch's epoch.
  absl::Time run_;
  std::unordered_map<std::string, Known> known_;  // by key
};

absl::StatusOr<BatchOutcome> Application::Run() {
  ASSIGN_OR_RETURN(const bool is_in_order, walk_.Begin());
  if (!is_in_order) return std::move(walk_.outcome());
  ASSIGN_OR_RETURN(run_, FindAgentRun(database_, origin_.target_id, batch_.epoch(), origin_.run));
  RETURN_IF_ERROR(
      walk_.ApplyNew([this](const Record& record, std::int64_t sequence) { return ApplyOne(record, sequence); },
                     [this](const LostRecords& lost) { return ApplyGap(lost); }));
  RETURN_IF_ERROR(walk_.Finish());
  return std::move(walk_.outcome());
}

absl::Status Application::ApplyOne(const Record& record, std::int64_t sequence) {
  if (const std::string defect = FindDefect(record); !defect.empty()) return walk_.Refuse(sequence, defect);
  const absl::Time at = walk_.Corrected(record);
  const absl::Status stored = ApplyPayload(record, sequence, at);
  // A record that breaks a constraint is a defect of ours: it must not hold up those behind it for ever.
  if (absl::IsAlreadyExists(stored)) return walk_.Refuse(sequence, MessageOf(stored));
  RETURN_IF_ERROR(stored);
  walk_.NoteApplied(at);
  return absl::OkStatus();
}

absl::Status Application::ApplyPayload(const Record& record, std::int64_t sequence, absl::Time at) {
  if (record.has_transition()) return ApplyTransition(record, at);
  if (record.has_presence()) return ApplyPresence(record.presence(), at);
  RETURN_IF_ERROR(StoreSample(database_,
                              {.target_id = origin_.target_id, .at = at, .epoch = batch_.epoch(), .sequence = sequence},
                              record.host_sample()));
  ++walk_.outcome().samples;
  return absl::OkStatus();
}

absl::Status Application::ApplyGap(const LostRecords& lost) {
  return RunBound(database_,
                  "INSERT OR IGNORE INTO journal_gaps(target_id, epoch, lane, first_sequence, last_sequence,"
                  " reason, from_us, to_us) VALUES(?,?,?,?,?,?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                    s.Bind(4, lost.first_sequence).Bind(5, lost.last_sequence).Bind(6, lost.reason);
                    s.Bind(7, lost.from).Bind(8, lost.to);
                  });
}

absl::StatusOr<Application::Known*> Application::FindDeployment(const std::string& key) {
  const auto [it, created] = known_.try_emplace(key);
  Known& known = it->second;
  if (!created) return &known;
  known.id = DerivedId("dep_", origin_.target_id, key);
  std::optional<absl::Time> archived;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s,
                     database_.Prepare("SELECT application_version, archived_us FROM deployments WHERE id=?"));
    ASSIGN_OR_RETURN(known.stored, s.Bind(1, known.id).Step());
    if (known.stored && !s.IsNull(0)) known.chosen_version = s.Text(0);
    if (known.stored) archived = s.OptionalTime(1);
  }
  // It was there again after it had been archived, as long as no heartbeat lists it.
  if (archived && *archived < origin_.arrived) {
    RETURN_IF_ERROR(RunBound(database_, "UPDATE deployments SET archived_us=?2 WHERE id=?1 AND archived_us IS NOT NULL",
                             [&](sqlite::Statement& s) { s.Bind(1, known.id).Bind(2, origin_.arrived); }));
  }
  return &known;
}

// Only the live fleet says what is there now: until it does, a deployment that a journal tells of is archived. None of
// its changes is later than this batch.
absl::Status Application::CreateDeployment(const Known& known, const DeploymentState& told, absl::Time at) {
  const std::string report = ReportToKeep(told).SerializeAsString();
  return RunBound(database_,
                  "INSERT INTO deployments(id, target_id, key, created_us, archived_us, revision_us, report)"
                  " VALUES(?1,?2,?3,?4,?5,?4,?6)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, known.id).Bind(2, origin_.target_id).Bind(3, told.key()).Bind(4, at);
                    s.Bind(5, std::max(origin_.arrived, at)).BindBlob(6, report.data(), report.size());
                  });
}

absl::Status Application::ApplyTransition(const Record& record, absl::Time at) {
  const DeploymentState& told = record.transition().deployment();
  ASSIGN_OR_RETURN(Known * known, FindDeployment(told.key()));
  if (!known->stored) {
    RETURN_IF_ERROR(CreateDeployment(*known, told, at));
    known->stored = true;
  }
  const absl::Time agent_time = ToMicros(FromProto(told.has_change_time() ? told.change_time() : record.observed_at()));
  const DeploymentFact fact = FactOf(record.transition(), known->chosen_version);
  if (!kDedupes) return StoreJudgement(database_, known->id, at, fact);
  const ChangeName name{.run = run_, .time = agent_time};
  return StoreAgentChange(database_, known->id, name, at, fact, run_ == origin_.run).status();
}

absl::Status Application::ApplyPresence(const PresenceRecord& presence, absl::Time at) {
  const absl::Time from = walk_.Within(at - (FromProto(presence.to()) - FromProto(presence.from())));
  if (from >= at) return absl::OkStatus();
  RETURN_IF_ERROR(RunBound(database_,
                           "UPDATE presence SET to_us=max(to_us, ?3) WHERE target_id=?1 AND deployments_observed=?4"
                           " AND to_us>=?5 AND from_us="
                           "(SELECT max(from_us) FROM presence WHERE target_id=?1 AND from_us<=?2)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, from).Bind(3, at);
                             s.Bind(4, presence.deployments_observed()).Bind(5, from - kAdjacentPresence);
                           }));
  if (database_.Changes() > 0) return absl::OkStatus();
  // Two that begin at one time are two machines with one identity: what both saw is what was seen.
  return RunBound(database_,
                  "INSERT INTO presence(target_id, from_us, to_us, deployments_observed) VALUES(?1,?2,?3,?4)"
                  " ON CONFLICT(target_id, from_us) DO UPDATE SET to_us=max(to_us, ?3),"
                  " deployments_observed=min(deployments_observed, ?4)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, origin_.target_id).Bind(2, from).Bind(3, at);
                    s.Bind(4, presence.deployments_observed());
                  });
}

}  // namespace

absl::StatusOr<absl::Time> CheckOrigin(sqlite::Database& database, const BatchOrigin& origin) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT secret_generation, created_us FROM targets WHERE id=?"
                                                         " AND deleted_us IS NULL"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, origin.target_id).Step());
  if (!row) return MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "the target was deleted");
  if (s.Int64(0) != origin.secret_generation) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "SECRET_ROTATED", "the target secret was replaced");
  }
  return s.Time(1);
}

absl::StatusOr<BatchOutcome> ApplyBatch(sqlite::Database& database, const BatchOrigin& origin,
                                        const RecordBatch& batch) {
  ASSIGN_OR_RETURN(const absl::Time created, CheckOrigin(database, origin));
  return Application(database, origin, batch, created).Run();
}

}  // namespace muster::hub
