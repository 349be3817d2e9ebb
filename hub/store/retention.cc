#include "hub/store/retention.h"

#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {

absl::StatusOr<bool> HistoryTrim::Step(sqlite::Database& database) {
  rows_left_ = kMaxRows;
  for (int looks = 0; looks < kMaxLooks && rows_left_ > 0 && phase_ != Phase::kDone; ++looks) {
    switch (phase_) {
      case Phase::kRuns:
        RETURN_IF_ERROR(TrimRuns(database));
        break;
      case Phase::kTargets:
        RETURN_IF_ERROR(TrimTarget(database));
        break;
      default:
        RETURN_IF_ERROR(TrimDeployment(database));
    }
  }
  unfinished_ = rows_left_ <= 0;
  return phase_ != Phase::kDone;
}

absl::Status HistoryTrim::Delete(sqlite::Database& database, sqlite::Sql sql) {
  if (rows_left_ <= 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  RETURN_IF_ERROR(s.Bind(1, id_).Bind(2, cutoff_).Bind(3, rows_left_).Run());
  rows_left_ -= static_cast<int>(database.Changes());
  deleted_ += database.Changes();
  return absl::OkStatus();
}

absl::StatusOr<bool> HistoryTrim::Next(sqlite::Database& database, sqlite::Sql sql) {
  if (std::exchange(unfinished_, false) && !id_.empty()) return true;
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, id_).Step());
  id_ = row ? s.Text(0) : "";
  return row;
}

absl::Status HistoryTrim::TrimRuns(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("DELETE FROM hub_runs WHERE started_us IN (SELECT started_us FROM hub_runs"
                                    " WHERE started_us<?1 AND coalesce(stopped_us, alive_us)<=?1"
                                    " ORDER BY started_us LIMIT ?2)"));
  RETURN_IF_ERROR(s.Bind(1, cutoff_).Bind(2, rows_left_).Run());
  rows_left_ -= static_cast<int>(database.Changes());
  deleted_ += database.Changes();
  if (rows_left_ > 0) phase_ = Phase::kTargets;
  return absl::OkStatus();
}

absl::Status HistoryTrim::TrimTarget(sqlite::Database& database) {
  ASSIGN_OR_RETURN(const bool found, Next(database, "SELECT id FROM targets WHERE id>?1 ORDER BY id LIMIT 1"));
  if (!found) {
    phase_ = Phase::kDeployments;
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(
      Delete(database,
             "DELETE FROM target_intervals WHERE target_id=?1 AND from_us IN (SELECT from_us FROM"
             " target_intervals WHERE target_id=?1 AND from_us<?2 AND to_us<=?2 ORDER BY from_us LIMIT ?3)"));
  RETURN_IF_ERROR(Delete(database,
                         "DELETE FROM silences WHERE target_id=?1 AND from_us IN (SELECT from_us FROM silences"
                         " WHERE target_id=?1 AND from_us<?2 AND to_us<=?2 ORDER BY from_us LIMIT ?3)"));
  RETURN_IF_ERROR(Delete(database,
                         "DELETE FROM presence WHERE target_id=?1 AND from_us IN (SELECT from_us FROM presence"
                         " WHERE target_id=?1 AND from_us<?2 AND to_us<=?2 ORDER BY from_us LIMIT ?3)"));
  RETURN_IF_ERROR(Delete(
      database,
      "DELETE FROM journal_gaps WHERE (target_id, epoch, lane, first_sequence) IN (SELECT target_id, epoch, lane,"
      " first_sequence FROM journal_gaps WHERE target_id=?1 AND from_us<?2 AND to_us<=?2 LIMIT ?3)"));
  RETURN_IF_ERROR(
      Delete(database,
             "DELETE FROM poisoned_records WHERE (target_id, epoch, lane, sequence) IN (SELECT target_id, epoch, lane,"
             " sequence FROM poisoned_records WHERE target_id=?1 AND noted_us<=?2 LIMIT ?3)"));
  // An agent asks for what it was told, however long ago: positions and runs stay as long as their target.
  RETURN_IF_ERROR(
      Delete(database,
             "DELETE FROM journal_positions WHERE (target_id, epoch, lane) IN (SELECT p.target_id, p.epoch, p.lane"
             " FROM journal_positions p JOIN targets t ON t.id=p.target_id WHERE t.id=?1 AND t.deleted_us<=?2"
             " LIMIT ?3)"));
  // Samples of others leave when they are moved to metrics.db.
  RETURN_IF_ERROR(Delete(
      database,
      "DELETE FROM host_samples WHERE (target_id, at_us, epoch, sequence) IN (SELECT s.target_id, s.at_us, s.epoch,"
      " s.sequence FROM host_samples s JOIN targets t ON t.id=s.target_id WHERE t.id=?1 AND t.deleted_us<=?2"
      " LIMIT ?3)"));
  RETURN_IF_ERROR(Delete(database,
                         "DELETE FROM job_groups WHERE id IN (SELECT g.id FROM job_groups g JOIN targets t"
                         " ON t.id=g.target_id WHERE t.id=?1 AND t.deleted_us<=?2 LIMIT ?3)"));
  RETURN_IF_ERROR(Delete(database,
                         "DELETE FROM job_stores WHERE target_id IN (SELECT id FROM targets WHERE id=?1 AND"
                         " deleted_us<=?2 LIMIT ?3)"));
  return Delete(database,
                "DELETE FROM agent_runs WHERE (target_id, epoch) IN (SELECT r.target_id, r.epoch FROM agent_runs r"
                " JOIN targets t ON t.id=r.target_id WHERE t.id=?1 AND t.deleted_us<=?2 LIMIT ?3)");
}

absl::Status HistoryTrim::TrimDeployment(sqlite::Database& database) {
  ASSIGN_OR_RETURN(const bool found, Next(database, "SELECT id FROM deployments WHERE id>?1 ORDER BY id LIMIT 1"));
  if (!found) {
    phase_ = Phase::kDone;
    return absl::OkStatus();
  }
  // A change ends with the next one: what held at the cutoff stays, and with it the last one.
  RETURN_IF_ERROR(
      Delete(database,
             "DELETE FROM deployment_changes WHERE rowid IN (SELECT rowid FROM deployment_changes"
             " WHERE deployment_id=?1 AND at_us<(SELECT max(at_us) FROM deployment_changes WHERE deployment_id=?1"
             " AND at_us<=?2) ORDER BY at_us LIMIT ?3)"));
  // One that was archived before it goes as a whole.
  RETURN_IF_ERROR(
      Delete(database,
             "DELETE FROM deployment_changes WHERE rowid IN (SELECT c.rowid FROM deployment_changes c"
             " JOIN deployments d ON d.id=c.deployment_id WHERE d.id=?1 AND d.archived_us<=?2 AND NOT EXISTS"
             " (SELECT 1 FROM deployment_changes WHERE deployment_id=?1 AND at_us>?2) LIMIT ?3)"));
  return Delete(database,
                "DELETE FROM deployments WHERE id IN (SELECT id FROM deployments WHERE id=?1 AND archived_us<=?2"
                " AND NOT EXISTS (SELECT 1 FROM deployment_changes WHERE deployment_id=?1) LIMIT ?3)");
}

void Retention::Start(absl::Time now) {
  {
    MutexLock lock(&mutex_);
    if (running_) return;
    running_ = true;
  }
  Submit(std::make_shared<HistoryTrim>(now - keep_));
}

void Retention::Submit(const std::shared_ptr<HistoryTrim>& trim) {
  auto more = std::make_shared<bool>(false);
  writer_->Submit(
      [trim, more](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(*more, trim->Step(database));
        return absl::OkStatus();
      },
      [this, trim, more](const absl::Status& status) { OnStep(trim, *more, status); });
}

void Retention::OnStep(const std::shared_ptr<HistoryTrim>& trim, bool more, const absl::Status& status) {
  if (status.ok() && more) return Submit(trim);
  if (!status.ok()) log::Warning("old history could not be forgotten: {}", MessageOf(status));
  if (status.ok() && trim->deleted() > 0) log::Info("forgot {} rows of old history", trim->deleted());
  MutexLock lock(&mutex_);
  running_ = false;
}

}  // namespace muster::hub
