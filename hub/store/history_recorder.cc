#include "hub/store/history_recorder.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

struct WriteEvent {
  sqlite::Database& database;
  absl::Status operator()(const TargetTransition& e) const { return RecordTargetTransition(database, e); }
  absl::Status operator()(const DeploymentTransition& e) const { return RecordDeploymentTransition(database, e); }
  absl::Status operator()(const SilenceBegan& e) const { return BeginSilence(database, e.target_id, e.silence); }
  absl::Status operator()(const SilenceEnded& e) const { return EndSilence(database, e.target_id, e.at); }
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
  pending_.insert(pending_.end(), std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
  const std::size_t held = pending_.size() + in_flight_;
  if (held <= max_pending_) return;
  const std::size_t excess = std::min(held - max_pending_, pending_.size());
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(excess));
  dropped_ += static_cast<std::int64_t>(excess);
}

void HistoryRecorder::Flush() {
  auto batch = std::make_shared<Batch>();
  {
    MutexLock lock(&mutex_);
    if (in_flight_ > 0 || pending_.empty()) return;
    in_flight_ = std::min(pending_.size(), batch_limit_);
    const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(in_flight_);
    batch->assign(std::make_move_iterator(pending_.begin()), std::make_move_iterator(end));
    pending_.erase(pending_.begin(), end);
  }
  writer_->Submit(
      [batch](sqlite::Database& database) -> absl::Status {
        for (const HistoryEvent& event : *batch) RETURN_IF_ERROR(std::visit(WriteEvent{database}, event));
        return absl::OkStatus();
      },
      [this, batch](const absl::Status& status) { OnWritten(status, *batch); });
}

void HistoryRecorder::OnWritten(const absl::Status& status, Batch& batch) {
  // Refused by the disk, by a full queue or at the end: kept for the next Flush. Anything else is an event that could
  // never be stored, a defect of ours: it is looked for by halves, dropped and counted, and the rest goes on.
  const bool keep = status.code() == absl::StatusCode::kResourceExhausted || absl::IsUnavailable(status) ||
                    (!status.ok() && !writer_->Fault().ok());
  const bool split = !status.ok() && !keep && batch.size() > 1;
  const bool drop = !status.ok() && !keep && !split;
  bool more = false;
  {
    MutexLock lock(&mutex_);
    in_flight_ = 0;
    refused_ = keep;
    if (keep || split) {
      pending_.insert(pending_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
    }
    if (split) batch_limit_ = batch.size() / 2;
    if (status.ok()) batch_limit_ = std::min(batch_limit_ * 2, kMaxPerOperation);
    if (drop) ++dropped_;
    more = !keep && !pending_.empty();
    // Under the lock: who drained may destroy this as soon as the lock is free.
    answered_.NotifyAll();
  }
  if (drop) log::Error("a history event could not be stored and is lost: {}", MessageOf(status));
  if (more) Flush();
}

void HistoryRecorder::Drain() {
  while (true) {
    Flush();
    MutexLock lock(&mutex_);
    while (in_flight_ > 0) answered_.Wait(&mutex_);
    if (pending_.empty() || refused_) return;
  }
}

std::size_t HistoryRecorder::pending() const {
  MutexLock lock(&mutex_);
  return pending_.size() + in_flight_;
}

std::int64_t HistoryRecorder::dropped() const {
  MutexLock lock(&mutex_);
  return dropped_;
}

}  // namespace muster::hub
