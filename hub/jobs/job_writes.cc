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

struct KnownGroup {
  std::int64_t id = 0;
  std::string store_id;
  JobGroup told;
  JobGroup base;
  absl::Time first_push;
};

absl::StatusOr<std::optional<KnownGroup>> ReadGroup(sqlite::Database& database, std::string_view target_id,
                                                    const std::string& name) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT id, store_id, told, base, first_push_us FROM job_groups"
                                    " WHERE target_id=? AND name=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, name).Step());
  if (!row) return std::nullopt;
  KnownGroup known{.id = s.Int64(0), .store_id = s.Text(1), .told = {}, .base = {}, .first_push = s.Time(4)};
  if (!known.told.ParseFromString(s.Text(2)) || !known.base.ParseFromString(s.Text(3))) {
    return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "a group of jobs in hub.db cannot be read");
  }
  return known;
}

absl::Status DeleteGroup(sqlite::Database& database, std::string_view target_id, const std::string& name) {
  return RunBound(database, "DELETE FROM job_groups WHERE target_id=? AND name=?",
                  [&](sqlite::Statement& s) { s.Bind(1, target_id).Bind(2, name); });
}

// Makes room for one more.
absl::Status KeepLimit(sqlite::Database& database, std::string_view target_id, JobOutcome* outcome) {
  std::string oldest;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT name FROM job_groups WHERE target_id=?1 AND"
                                                           " (SELECT count(*) FROM job_groups WHERE target_id=?1)>=?2"
                                                           " ORDER BY push_us, id LIMIT 1"));
    ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, kMaxJobGroupsPerTarget).Step());
    if (!row) return absl::OkStatus();
    oldest = s.Text(0);
  }
  outcome->gone.push_back(oldest);
  return DeleteGroup(database, target_id, oldest);
}

absl::Status InsertGroup(sqlite::Database& database, const StoredJobGroup& stored, const std::string& store_id) {
  return RunBound(database,
                  "INSERT INTO job_groups(target_id, name, store_id, told, base, first_push_us, push_us)"
                  " VALUES(?,?,?,X'',X'',?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, stored.target_id).Bind(2, stored.group.name()).Bind(3, store_id);
                    s.Bind(4, stored.first_push).Bind(5, stored.push);
                  });
}

absl::Status UpdateGroup(sqlite::Database& database, const StoredJobGroup& stored, const std::string& store_id,
                         const JobGroup& told, const JobGroup& base) {
  const std::string told_bytes = told.SerializeAsString();
  const std::string base_bytes = base.SerializeAsString();
  return RunBound(database,
                  "UPDATE job_groups SET store_id=?2, told=?3, base=?4, push_us=?5, success_us=?6, failure_us=?7"
                  " WHERE id=?1",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, stored.id).Bind(2, store_id).BindBlob(3, told_bytes.data(), told_bytes.size());
                    s.BindBlob(4, base_bytes.data(), base_bytes.size()).Bind(5, stored.push);
                    s.Bind(6, stored.success).Bind(7, stored.failure);
                  });
}

absl::Time Ago(absl::Time arrived, const google::protobuf::Duration& age) {
  return ToMicros(arrived - std::max(FromProto(age), absl::ZeroDuration()));
}

absl::Status ApplyGroup(sqlite::Database& database, const BatchOrigin& origin, const std::string& store_id,
                        JobGroup told, JobOutcome* outcome) {
  const std::string name = told.name();
  if (told.is_deleted()) {
    outcome->gone.push_back(name);
    return DeleteGroup(database, origin.target_id, name);
  }
  for (std::string& refusal : CleanGroup(&told)) outcome->refusals.push_back(std::move(refusal));
  ASSIGN_OR_RETURN(std::optional<KnownGroup> known, ReadGroup(database, origin.target_id, name));
  StoredJobGroup stored{.id = 0, .target_id = origin.target_id, .group = {}, .first_push = {}, .push = {}};
  stored.push = Ago(origin.arrived, told.push_age());
  if (told.has_success_age()) stored.success = Ago(origin.arrived, told.success_age());
  if (told.has_failure_age()) stored.failure = Ago(origin.arrived, told.failure_age());
  stored.first_push = known ? std::min(known->first_push, stored.push) : stored.push;
  JobGroup base;
  if (known) {
    base = known->store_id == store_id ? std::move(known->base) : AddTotals(known->base, std::move(known->told));
    stored.id = known->id;
  } else {
    RETURN_IF_ERROR(KeepLimit(database, origin.target_id, outcome));
    stored.group.set_name(name);
    RETURN_IF_ERROR(InsertGroup(database, stored, store_id));
    ASSIGN_OR_RETURN(std::optional<KnownGroup> inserted, ReadGroup(database, origin.target_id, name));
    stored.id = inserted->id;
  }
  RETURN_IF_ERROR(UpdateGroup(database, stored, store_id, told, base));
  stored.group = AddTotals(base, std::move(told));
  outcome->groups.push_back(std::move(stored));
  return absl::OkStatus();
}

}  // namespace

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

absl::StatusOr<std::vector<StoredJobGroup>> LoadJobs(sqlite::Database& database) {
  std::vector<StoredJobGroup> groups;
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT g.id, g.target_id, g.told, g.base, g.first_push_us, g.push_us,"
                                    " g.success_us, g.failure_us FROM job_groups g JOIN targets t ON t.id=g.target_id"
                                    " WHERE t.deleted_us IS NULL ORDER BY g.id"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return groups;
    JobGroup told;
    JobGroup base;
    if (!told.ParseFromString(s.Text(2)) || !base.ParseFromString(s.Text(3))) {
      return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "a group of jobs in hub.db cannot be read");
    }
    groups.push_back({.id = s.Int64(0),
                      .target_id = s.Text(1),
                      .group = AddTotals(base, std::move(told)),
                      .first_push = s.Time(4),
                      .push = s.Time(5),
                      .success = s.OptionalTime(6),
                      .failure = s.OptionalTime(7)});
  }
}

}  // namespace muster::hub
