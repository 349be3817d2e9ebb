#include "hub/store/history_recorder.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

struct WriteEvent {
  sqlite::Database& database;
  absl::Status operator()(const TargetTransition& e) const { return RecordTargetTransition(database, e); }
  absl::Status operator()(const DeploymentTransition& e) const { return RecordDeploymentTransition(database, e); }
  absl::Status operator()(const TargetRemoved& e) const { return CloseTargetHistory(database, e.target_id, e.at); }
  absl::Status operator()(const DeploymentArchived& e) const {
    return ArchiveDeployment(database, e.deployment_id, e.at);
  }
  absl::Status operator()(const CounterConfirmed& e) const {
    return ConfirmSessionCounter(database, e.target_id, e.counter);
  }
};

}  // namespace

void HistoryRecorder::Append(std::vector<HistoryEvent> events) {
  MutexLock lock(&mutex_);
  for (HistoryEvent& event : events) pending_.push_back(std::move(event));
  while (pending_.size() > kMaxPending && pending_.size() > in_flight_) {
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(in_flight_));
    ++dropped_;
  }
}

void HistoryRecorder::Flush() {
  std::vector<HistoryEvent> events;
  {
    MutexLock lock(&mutex_);
    if (in_flight_ > 0 || pending_.empty()) return;
    in_flight_ = std::min(pending_.size(), kMaxPerOperation);
    events.assign(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(in_flight_));
  }
  const std::size_t count = events.size();
  writer_->Submit(
      [events = std::move(events)](sqlite::Database& database) -> absl::Status {
        for (const HistoryEvent& event : events) RETURN_IF_ERROR(std::visit(WriteEvent{database}, event));
        return absl::OkStatus();
      },
      [this, count](const absl::Status& status) { OnWritten(status, count); });
}

void HistoryRecorder::OnWritten(const absl::Status& status, std::size_t count) {
  // Refused by the disk, by a full queue or at the end: kept for the next Flush. Anything else is a defect of ours
  // that would come again: those events are dropped and counted so that the rest goes on.
  const bool keep = status.code() == absl::StatusCode::kResourceExhausted || absl::IsUnavailable(status) ||
                    status.code() == absl::StatusCode::kDataLoss;
  bool more = false;
  {
    MutexLock lock(&mutex_);
    in_flight_ = 0;
    if (!keep) {
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
      if (!status.ok()) dropped_ += static_cast<std::int64_t>(count);
      more = !pending_.empty();
    }
  }
  if (!status.ok() && !keep) log::Error("{} history events could not be stored: {}", count, MessageOf(status));
  if (more) Flush();
}

std::size_t HistoryRecorder::pending() const {
  MutexLock lock(&mutex_);
  return pending_.size();
}

std::int64_t HistoryRecorder::dropped() const {
  MutexLock lock(&mutex_);
  return dropped_;
}

}  // namespace muster::hub
