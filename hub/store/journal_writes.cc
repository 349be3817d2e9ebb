#include "hub/store/journal_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/store/agent_runs.h"
#include "hub/store/change_rows.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::DeploymentState;
using agent::v1::DeploymentTransition;
using agent::v1::GapRecord;
using agent::v1::PresenceRecord;
using agent::v1::Record;
using agent::v1::RecordBatch;

// A negative control of tests/fault: the build that stores again what it has must be caught there.
#ifdef MUSTER_MUTANT_NO_DEDUPE
constexpr bool kDedupes = false;
#else
constexpr bool kDedupes = true;
#endif

// Beyond, numbers could not be counted on; no agent lives that long.
constexpr std::int64_t kMaxSequence = std::numeric_limits<std::int64_t>::max() / 2;
// Reasons in one ack: with 8192 records refused it has 130 KiB, half of what an agent reads.
constexpr std::size_t kMaxReasons = 200;
// The years 1970 to 9999.
constexpr std::int64_t kLastSecond = 253'402'300'799;

template <typename Bind>
absl::Status RunBound(sqlite::Database& database, sqlite::Sql sql, Bind bind) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare(sql));
  bind(statement);
  return statement.Run();
}

bool IsStorable(const google::protobuf::Timestamp& time) {
  return time.seconds() >= 0 && time.seconds() <= kLastSecond && time.nanos() >= 0 && time.nanos() < 1'000'000'000;
}

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
    case Record::kLogLines:
      return "this hub does not keep such records yet";
    default:
      return "the record says nothing that this hub knows";
  }
}

// One batch on its way into the tables.
class Application {
 public:
  Application(sqlite::Database& database, const BatchOrigin& origin, const RecordBatch& batch)
      : database_(database), origin_(origin), batch_(batch) {}

  absl::StatusOr<BatchOutcome> Run() {
    RETURN_IF_ERROR(CheckTarget());
    RETURN_IF_ERROR(ReadPosition());
    if (batch_.first_sequence() > outcome_.position + 1) {
      outcome_.expected = outcome_.position + 1;
      return outcome_;
    }
    ASSIGN_OR_RETURN(run_, FindAgentRun(database_, origin_.target_id, batch_.epoch(), origin_.run));
    const std::int64_t before = outcome_.position;
    RETURN_IF_ERROR(ApplyRecords());
    if (outcome_.duplicates > 0) RETURN_IF_ERROR(RepeatRefusals(before));
    if (outcome_.position > before) RETURN_IF_ERROR(StorePosition());
    return std::move(outcome_);
  }

 private:
  // A deployment that this batch names.
  struct Known {
    std::string id;
    // Not there yet: to be created before its first change.
    bool stored = false;
    std::optional<std::string> chosen_version;
  };

  absl::Status CheckTarget();
  absl::Status ReadPosition();
  absl::Status ApplyRecords();
  // The number behind a gap record; `first` when it does not fit there.
  static std::int64_t EndOfGap(const GapRecord& gap, std::int64_t first);
  absl::Status ApplyOne(const Record& record, std::int64_t sequence);
  absl::Status ApplyGap(const GapRecord& gap, std::int64_t first, std::int64_t end);
  absl::Status ApplyTransition(const Record& record, absl::Time at);
  absl::Status ApplyPresence(const PresenceRecord& presence, absl::Time at);
  absl::Status Refuse(std::int64_t sequence, const std::string& reason);
  absl::Status RepeatRefusals(std::int64_t before);
  absl::Status StorePosition();
  absl::StatusOr<Known*> FindDeployment(const std::string& key);
  absl::Status CreateDeployment(const Known& known, const DeploymentState& told, absl::Time at);
  // By the hub's clock; never before the target was created, never after now, never before the record before it.
  absl::Time Corrected(const Record& record) const;
  absl::Time Within(absl::Time time) const { return std::max(std::min(time, origin_.arrived), created_); }

  sqlite::Database& database_;
  const BatchOrigin& origin_;
  const RecordBatch& batch_;
  BatchOutcome outcome_;
  absl::Time created_;
  // Of the batch's epoch.
  absl::Time run_;
  // Time of the last record of this lane.
  absl::Time last_at_ = absl::InfinitePast();
  // Of the batch's last record.
  std::int64_t last_number_ = 0;
  bool new_position_ = false;
  std::unordered_map<std::string, Known> known_;  // by key
};

absl::Status Application::CheckTarget() {
  ASSIGN_OR_RETURN(sqlite::Statement s, database_.Prepare("SELECT secret_generation, created_us FROM targets WHERE id=?"
                                                          " AND deleted_us IS NULL"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, origin_.target_id).Step());
  if (!row) return MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "the target was deleted");
  if (s.Int64(0) != origin_.secret_generation) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "SECRET_ROTATED", "the target secret was replaced");
  }
  created_ = s.Time(1);
  return absl::OkStatus();
}

absl::Status Application::ReadPosition() {
  ASSIGN_OR_RETURN(sqlite::Statement s, database_.Prepare("SELECT sequence, at_us FROM journal_positions"
                                                          " WHERE target_id=? AND epoch=? AND lane=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane()).Step());
  new_position_ = !row;
  if (!row) return absl::OkStatus();
  outcome_.position = s.Int64(0);
  last_at_ = s.Time(1);
  return absl::OkStatus();
}

std::int64_t Application::EndOfGap(const GapRecord& gap, std::int64_t first) {
  const bool fits = gap.first_sequence() == first && gap.last_sequence() >= first && gap.last_sequence() < kMaxSequence;
  return fits ? gap.last_sequence() + 1 : first;
}

absl::Status Application::ApplyRecords() {
  std::int64_t next = batch_.first_sequence();
  for (const Record& record : batch_.records()) {
    const std::int64_t first = next;
    std::int64_t end = first + 1;
    if (record.has_gap()) end = EndOfGap(record.gap(), first);
    // A gap that does not fit takes one number: what comes behind it must be counted from somewhere.
    next = std::max(end, first + 1);
    if (kDedupes && next - 1 <= outcome_.position) {
      ++outcome_.duplicates;
      continue;
    }
    if (end == first) {
      RETURN_IF_ERROR(Refuse(first, "a gap that does not begin where it stands"));
    } else if (record.has_gap()) {
      RETURN_IF_ERROR(ApplyGap(record.gap(), std::max(first, outcome_.position + 1), end));
    } else {
      RETURN_IF_ERROR(ApplyOne(record, first));
    }
    outcome_.position = next - 1;
  }
  last_number_ = next - 1;
  return absl::OkStatus();
}

absl::Status Application::ApplyOne(const Record& record, std::int64_t sequence) {
  if (const std::string defect = FindDefect(record); !defect.empty()) return Refuse(sequence, defect);
  const absl::Time at = Corrected(record);
  const absl::Status stored =
      record.has_transition() ? ApplyTransition(record, at) : ApplyPresence(record.presence(), at);
  // A record that breaks a constraint is a defect of ours: it must not hold up those behind it for ever.
  if (absl::IsAlreadyExists(stored)) return Refuse(sequence, MessageOf(stored));
  RETURN_IF_ERROR(stored);
  last_at_ = at;
  outcome_.newest = at;
  ++outcome_.applied;
  return absl::OkStatus();
}

absl::Time Application::Corrected(const Record& record) const {
  const absl::Time told = record.has_age() ? origin_.arrived - std::max(FromProto(record.age()), absl::ZeroDuration())
                                           : FromProto(record.observed_at()) - origin_.skew;
  return std::max(Within(told), last_at_);
}

absl::Status Application::ApplyGap(const GapRecord& gap, std::int64_t first, std::int64_t end) {
  // The records were made between what came before them and now; what the agent knows of their times narrows that.
  const auto time = [&](bool known, const google::protobuf::Timestamp& told, absl::Time otherwise) {
    return known && IsStorable(told) ? Within(FromProto(told) - origin_.skew) : otherwise;
  };
  const absl::Time from = time(gap.has_from(), gap.from(), Within(last_at_));
  const absl::Time to = std::max(time(gap.has_to(), gap.to(), origin_.arrived), from);
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT OR IGNORE INTO journal_gaps(target_id, epoch, lane, first_sequence, last_sequence,"
                           " reason, from_us, to_us) VALUES(?,?,?,?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                             s.Bind(4, first).Bind(5, end - 1).Bind(6, gap.reason()).Bind(7, from).Bind(8, to);
                           }));
  ++outcome_.gaps;
  return absl::OkStatus();
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
  const absl::Time from = Within(at - (FromProto(presence.to()) - FromProto(presence.from())));
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

absl::Status Application::Refuse(std::int64_t sequence, const std::string& reason) {
  agent::v1::RefusedRecord refused;
  refused.set_sequence(sequence);
  refused.set_reason(Cut(reason, kMaxMessageBytes));
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT OR IGNORE INTO poisoned_records(target_id, epoch, lane, sequence, reason, noted_us)"
                           " VALUES(?,?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                             s.Bind(4, sequence).Bind(5, refused.reason()).Bind(6, origin_.arrived);
                           }));
  if (outcome_.refused.size() >= kMaxReasons) refused.clear_reason();
  outcome_.refused.push_back(std::move(refused));
  return absl::OkStatus();
}

// A batch that is seen again gets the answer that was lost.
absl::Status Application::RepeatRefusals(std::int64_t before) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database_.Prepare("SELECT sequence, reason FROM poisoned_records WHERE target_id=? AND epoch=?"
                                     " AND lane=? AND sequence BETWEEN ? AND ? ORDER BY sequence"));
  s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
  s.Bind(4, batch_.first_sequence()).Bind(5, std::min(before, last_number_));
  std::vector<agent::v1::RefusedRecord> repeated;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) break;
    agent::v1::RefusedRecord& refused = repeated.emplace_back();
    refused.set_sequence(s.Int64(0));
    refused.set_reason(s.Text(1));
  }
  outcome_.refused.insert(outcome_.refused.begin(), repeated.begin(), repeated.end());
  return absl::OkStatus();
}

absl::Status Application::StorePosition() {
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT INTO journal_positions(target_id, epoch, lane, sequence, at_us, touched_us)"
                           " VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(target_id, epoch, lane)"
                           " DO UPDATE SET sequence=?4, at_us=?5, touched_us=?6",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                             s.Bind(4, outcome_.position).Bind(5, std::max(last_at_, created_));
                             s.Bind(6, origin_.arrived);
                           }));
  if (!outcome_.refused.empty()) {
    RETURN_IF_ERROR(RunBound(database_,
                             "DELETE FROM poisoned_records WHERE target_id=?1 AND noted_us<(SELECT noted_us FROM"
                             " poisoned_records WHERE target_id=?1 ORDER BY noted_us DESC LIMIT 1 OFFSET ?2)",
                             [&](sqlite::Statement& s) { s.Bind(1, origin_.target_id).Bind(2, kKeptPoisoned - 1); }));
  }
  if (!new_position_) return absl::OkStatus();
  return RunBound(database_,
                  "DELETE FROM journal_positions WHERE target_id=?1 AND touched_us<(SELECT touched_us FROM"
                  " journal_positions WHERE target_id=?1 ORDER BY touched_us DESC LIMIT 1 OFFSET ?2)",
                  [&](sqlite::Statement& s) { s.Bind(1, origin_.target_id).Bind(2, kKeptPositions - 1); });
}

}  // namespace

std::string FindBatchDefect(const RecordBatch& batch) {
  if (batch.epoch().empty() || batch.epoch().size() > kMaxEpochBytes) return "a batch without an epoch";
  if (batch.first_sequence() < 1 || batch.first_sequence() >= kMaxSequence) return "a batch without a sequence number";
  if (batch.records().empty()) return "a batch without records";
  if (batch.records_size() > kMaxBatchRecords) return "a batch of more than 8192 records";
  return "";
}

absl::StatusOr<BatchOutcome> ApplyBatch(sqlite::Database& database, const BatchOrigin& origin,
                                        const RecordBatch& batch) {
  return Application(database, origin, batch).Run();
}

absl::StatusOr<std::vector<agent::v1::LanePosition>> ReadPositions(sqlite::Database& database,
                                                                   std::string_view target_id,
                                                                   const std::vector<agent::v1::LanePosition>& listed) {
  std::vector<agent::v1::LanePosition> positions;
  for (const agent::v1::LanePosition& asked : listed) {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT sequence FROM journal_positions WHERE target_id=?"
                                                           " AND epoch=? AND lane=?"));
    ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, asked.epoch()).Bind(3, asked.lane()).Step());
    if (!row) continue;
    agent::v1::LanePosition& position = positions.emplace_back();
    position.set_epoch(asked.epoch());
    position.set_lane(asked.lane());
    position.set_sequence(s.Int64(0));
  }
  return positions;
}

}  // namespace muster::hub
