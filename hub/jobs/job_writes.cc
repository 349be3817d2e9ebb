#include "hub/jobs/job_writes.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/jobs/job_check.h"

namespace muster::hub {
namespace {

using agent::v1::JobGroup;
using agent::v1::JobReport;

// Former stores of which the hub knows what each had told: enough for two machines that take turns under one identity,
// or one that goes back to an older disk. What earlier ones had told stays as a sum.
constexpr int kKeptFormerStores = 4;

struct KnownGroup {
  std::int64_t id = 0;
  std::string store_id;
  std::string told;
  JobGroup base;
  absl::Time first_push;
  std::optional<absl::Time> success;
  std::optional<absl::Time> failure;
};

// One that cannot be read is begun anew: the agent tells totals.
JobGroup ParseGroup(const std::string& bytes) {
  JobGroup group;
  if (!group.ParseFromString(bytes)) group.Clear();
  return group;
}

absl::StatusOr<std::optional<KnownGroup>> ReadGroup(sqlite::Database& database, std::string_view target_id,
                                                    const std::string& name) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT id, store_id, told, base, first_push_us, success_us, failure_us"
                                    " FROM job_groups WHERE target_id=? AND name=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, name).Step());
  if (!row) return std::nullopt;
  return KnownGroup{.id = s.Int64(0),
                    .store_id = s.Text(1),
                    .told = s.Text(2),
                    .base = ParseGroup(s.Text(3)),
                    .first_push = s.Time(4),
                    .success = s.OptionalTime(5),
                    .failure = s.OptionalTime(6)};
}

absl::Status DeleteGroup(sqlite::Database& database, std::string_view target_id, const std::string& name,
                         JobOutcome* outcome) {
  outcome->gone.push_back(name);
  std::erase_if(outcome->groups, [&](const StoredJobGroup& stored) { return stored.group.name() == name; });
  return RunBound(database, "DELETE FROM job_groups WHERE target_id=? AND name=?",
                  [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, name); });
}

// Makes room for one more. What an agent forgets after 400 days it does not tell, so those that have ended go first.
absl::Status KeepLimit(sqlite::Database& database, const BatchOrigin& origin, JobOutcome* outcome) {
  std::string oldest;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT name FROM job_groups WHERE target_id=?1 AND"
                                                           " (SELECT count(*) FROM job_groups WHERE target_id=?1)>=?2"
                                                           " ORDER BY ends_us IS NULL OR ends_us>?3, push_us, id"
                                                           " LIMIT 1"));
    s.Bind(1, origin.target_id).Bind(2, kMaxJobGroupsPerTarget).Bind(3, origin.arrived);
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return absl::OkStatus();
    oldest = s.Text(0);
  }
  return DeleteGroup(database, origin.target_id, oldest, outcome);
}

absl::StatusOr<std::int64_t> InsertGroup(sqlite::Database& database, const StoredJobGroup& stored,
                                         const std::string& name, const std::string& store_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("INSERT INTO job_groups(target_id, name, store_id, told, base, first_push_us,"
                                    " push_us) VALUES(?,?,?,X'',X'',?,?) RETURNING id"));
  s.Bind(1, stored.target_id).Bind(2, name).Bind(3, store_id).Bind(4, stored.first_push).Bind(5, stored.push);
  RETURN_IF_ERROR(s.Step().status());
  const std::int64_t id = s.Int64(0);
  RETURN_IF_ERROR(s.Run());
  return id;
}

absl::Status UpdateGroup(sqlite::Database& database, const StoredJobGroup& stored, const std::string& store_id,
                         const JobGroup& told, const JobGroup& base) {
  const std::string told_bytes = told.SerializeAsString();
  const std::string base_bytes = base.SerializeAsString();
  std::optional<absl::Time> ends;
  if (told.has_time_to_live()) ends = stored.push + FromProto(told.time_to_live());
  return RunBound(database,
                  "UPDATE job_groups SET store_id=?2, told=?3, base=?4, first_push_us=?5, push_us=?6, success_us=?7,"
                  " failure_us=?8, ends_us=?9 WHERE id=?1",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, stored.id).Bind(2, store_id).BindBlob(3, told_bytes.data(), told_bytes.size());
                    s.BindBlob(4, base_bytes.data(), base_bytes.size()).Bind(5, stored.first_push);
                    s.Bind(6, stored.push).Bind(7, stored.success).Bind(8, stored.failure).Bind(9, ends);
                  });
}

// `base` with what the former stores that are kept had told.
absl::StatusOr<JobGroup> AddFormer(sqlite::Database& database, std::int64_t group_id, JobGroup base) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT told FROM job_former_totals WHERE group_id=? ORDER BY rowid"));
  s.Bind(1, group_id);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return base;
    base = AddTotals(base, ParseGroup(s.Text(0)));
  }
}

// What the store that told last had counted joins the former ones; the one that tells now leaves them.
absl::Status ChangeStore(sqlite::Database& database, const std::string& store_id, KnownGroup* known) {
  RETURN_IF_ERROR(RunBound(database, "DELETE FROM job_former_totals WHERE group_id=? AND store_id=?",
                           [&](sqlite::Statement& s) { s.Bind(1, known->id).Bind(2, store_id); }));
  RETURN_IF_ERROR(RunBound(database, "INSERT OR REPLACE INTO job_former_totals(group_id, store_id, told) VALUES(?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, known->id).Bind(2, known->store_id);
                             s.BindBlob(3, known->told.data(), known->told.size());
                           }));
  std::optional<std::int64_t> oldest;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT rowid, told FROM job_former_totals WHERE group_id=?"
                                                           " ORDER BY rowid DESC LIMIT 1 OFFSET ?"));
    ASSIGN_OR_RETURN(const bool row, s.Bind(1, known->id).Bind(2, kKeptFormerStores).Step());
    if (!row) return absl::OkStatus();
    oldest = s.Int64(0);
    known->base = AddTotals(known->base, ParseGroup(s.Text(1)));
  }
  return RunBound(database, "DELETE FROM job_former_totals WHERE rowid=?",
                  [&](sqlite::Statement& s) { s.Bind(1, *oldest); });
}

absl::Time Ago(absl::Time arrived, const google::protobuf::Duration& age) {
  return ToMicros(arrived - std::max(FromProto(age), absl::ZeroDuration()));
}

absl::Status ApplyGroup(sqlite::Database& database, const BatchOrigin& origin, const std::string& store_id,
                        JobGroup told, JobOutcome* outcome) {
  const std::string name = told.name();
  if (told.is_deleted()) return DeleteGroup(database, origin.target_id, name, outcome);
  for (std::string& refusal : CleanGroup(&told)) outcome->refusals.push_back(std::move(refusal));
  ASSIGN_OR_RETURN(std::optional<KnownGroup> known, ReadGroup(database, origin.target_id, name));
  StoredJobGroup stored{.id = 0, .target_id = origin.target_id, .group = {}, .first_push = {}, .push = {}};
  stored.push = Ago(origin.arrived, told.push_age());
  stored.first_push = stored.push;
  if (known) {
    stored.id = known->id;
    stored.first_push = std::min(known->first_push, stored.push);
    // An agent that was installed anew does not know of them.
    stored.success = known->success;
    stored.failure = known->failure;
    if (known->store_id != store_id) RETURN_IF_ERROR(ChangeStore(database, store_id, &*known));
  } else {
    RETURN_IF_ERROR(KeepLimit(database, origin, outcome));
    ASSIGN_OR_RETURN(stored.id, InsertGroup(database, stored, name, store_id));
    known.emplace();
  }
  if (told.has_success_age()) stored.success = Ago(origin.arrived, told.success_age());
  if (told.has_failure_age()) stored.failure = Ago(origin.arrived, told.failure_age());
  RETURN_IF_ERROR(UpdateGroup(database, stored, store_id, told, known->base));
  ASSIGN_OR_RETURN(const JobGroup former, AddFormer(database, stored.id, std::move(known->base)));
  stored.group = AddTotals(former, std::move(told));
  std::erase(outcome->gone, name);
  std::erase_if(outcome->groups, [&](const StoredJobGroup& earlier) { return earlier.group.name() == name; });
  outcome->groups.push_back(std::move(stored));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckNewestSession(sqlite::Database& database, std::string_view target_id, std::int64_t session_counter) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT 1 FROM targets WHERE id=? AND session_counter>?"));
  ASSIGN_OR_RETURN(const bool is_superseded, s.Bind(1, target_id).Bind(2, session_counter).Step());
  if (!is_superseded) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "SUPERSEDED", "a newer session of this target took over");
}

absl::StatusOr<JobOutcome> ApplyJobReport(sqlite::Database& database, const BatchOrigin& origin, JobReport report) {
  RETURN_IF_ERROR(CheckOrigin(database, origin).status());
  JobOutcome outcome{.target_id = origin.target_id, .position = {}, .groups = {}, .gone = {}, .refusals = {}};
  outcome.position.set_store_id(report.store_id());
  outcome.position.set_version(report.version());
  for (JobGroup& group : *report.mutable_groups()) {
    RETURN_IF_ERROR(ApplyGroup(database, origin, report.store_id(), std::move(group), &outcome));
  }
  RETURN_IF_ERROR(RunBound(
      database,
      "INSERT INTO job_stores(target_id, store_id, version) VALUES(?,?,?) ON CONFLICT(target_id)"
      " DO UPDATE SET store_id=excluded.store_id, version=excluded.version",
      [&](sqlite::Statement& s) { s.Bind(1, origin.target_id).Bind(2, report.store_id()).Bind(3, report.version()); }));
  return outcome;
}

absl::StatusOr<std::optional<agent::v1::JobPosition>> ReadJobPosition(sqlite::Database& database,
                                                                      std::string_view target_id) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT store_id, version FROM job_stores WHERE target_id=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Step());
  if (!row) return std::nullopt;
  agent::v1::JobPosition position;
  position.set_store_id(s.Text(0));
  position.set_version(s.Int64(1));
  return position;
}

absl::Status MarkJobsEnded(sqlite::Database& database, const std::vector<EndedJobGroup>& ended) {
  for (const EndedJobGroup& group : ended) {
    RETURN_IF_ERROR(
        RunBound(database, "UPDATE job_groups SET ends_us=0 WHERE target_id=? AND name=? AND push_us<=?",
                 [&](sqlite::Statement& s) { s.Bind(1, group.target_id).Bind(2, group.name).Bind(3, group.push); }));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredJobGroup>> LoadJobs(sqlite::Database& database) {
  std::vector<StoredJobGroup> groups;
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT g.id, g.target_id, g.name, g.told, g.base, g.first_push_us, g.push_us,"
                                    " g.success_us, g.failure_us, g.ends_us FROM job_groups g JOIN targets t"
                                    " ON t.id=g.target_id WHERE t.deleted_us IS NULL ORDER BY g.id"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return groups;
    ASSIGN_OR_RETURN(const JobGroup former, AddFormer(database, s.Int64(0), ParseGroup(s.Text(4))));
    StoredJobGroup& stored = groups.emplace_back(StoredJobGroup{.id = s.Int64(0),
                                                                .target_id = s.Text(1),
                                                                .group = AddTotals(former, ParseGroup(s.Text(3))),
                                                                .first_push = s.Time(5),
                                                                .push = s.Time(6),
                                                                .success = s.OptionalTime(7),
                                                                .failure = s.OptionalTime(8),
                                                                .has_ended = !s.IsNull(9) && s.Int64(9) == 0});
    stored.group.set_name(s.Text(2));
  }
}

}  // namespace muster::hub
