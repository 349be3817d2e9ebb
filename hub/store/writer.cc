#include "hub/store/writer.h"

#include <algorithm>
#include <future>
#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

bool IsFullDisk(const absl::Status& status) { return ReasonOf(status) == "DISK_FULL"; }

absl::Status Stopped() {
  return MakeError(absl::StatusCode::kUnavailable, "HUB_STOPPING", "the hub is stopping; try again when it is back");
}

}  // namespace

Writer::Writer(std::unique_ptr<sqlite::Database> database, Observer observer, Pacing pacing)
    : database_(std::move(database)), observer_(std::move(observer)), pacing_(pacing) {
  thread_ = std::thread([this] { Loop(); });
}

Writer::~Writer() { Stop(); }

absl::Status Writer::TryQueue(Operation& operation, Done& done, std::size_t weight) {
  MutexLock lock(&mutex_);
  if (stopping_) return Stopped();
  if (failed_for_good_) return fault_;
  if (queue_.size() >= kMaxQueue) {
    return MakeError(absl::StatusCode::kResourceExhausted, "WRITER_BUSY",
                     "the hub's disk does not keep up with what is to be stored; try again later");
  }
  const bool was_empty = queue_.empty();
  queue_.push_back(Item{std::move(operation), std::move(done), weight, absl::OkStatus()});
  weight_ += weight;
  if (weight == 0) ++hasty_;
  // While it waits for the distance to pass it need not hear of each.
  if (was_empty || IsDue()) wake_.NotifyOne();
  return absl::OkStatus();
}

bool Writer::IsDue() const {
  return pacing_.distance == absl::ZeroDuration() || hasty_ > 0 || weight_ >= pacing_.enough_weight;
}

void Writer::Submit(Operation operation, Done done, std::size_t weight) {
  if (absl::Status refusal = TryQueue(operation, done, weight); !refusal.ok()) done(std::move(refusal));
}

absl::Status Writer::Run(Operation operation, absl::AnyInvocable<void()> committed, std::size_t weight) {
  std::promise<absl::Status> promise;
  std::future<absl::Status> result = promise.get_future();
  Submit(
      std::move(operation),
      [&promise, &committed](absl::Status status) {
        if (status.ok() && committed) committed();
        promise.set_value(std::move(status));
      },
      weight);
  return result.get();
}

void Writer::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyOne();
  if (thread_.joinable()) thread_.join();
}

absl::Status Writer::Fault() const {
  MutexLock lock(&mutex_);
  return fault_;
}

std::size_t Writer::queued() const {
  MutexLock lock(&mutex_);
  return queue_.size();
}

void Writer::WaitForWork(std::optional<Instant> until) {
  while (!stopping_) {
    if (queue_.empty() && !until.has_value()) {
      wake_.Wait(&mutex_);
      continue;
    }
    if (!queue_.empty() && IsDue()) break;
    const Instant wanted = queue_.empty() ? *until : next_begin_;
    const absl::Duration left = wanted - Clock::System()->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    wake_.WaitFor(&mutex_, left);
  }
}

bool Writer::IsOver() const {
  MutexLock lock(&mutex_);
  return stopping_ && queue_.empty();
}

std::vector<Writer::Item> Writer::NextBatch(std::optional<Instant> until) {
  std::vector<Item> batch;
  MutexLock lock(&mutex_);
  WaitForWork(until);
  if (queue_.empty()) return batch;
  next_begin_ = Clock::System()->Monotonic() + pacing_.distance;
  const std::size_t size = std::min(queue_.size(), kMaxBatch);
  batch.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    weight_ -= queue_.front().weight;
    if (queue_.front().weight == 0) --hasty_;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void Writer::Loop() {
  // Nothing: all that was committed is in the database.
  std::optional<Instant> checkpoint_at;
  while (true) {
    std::vector<Item> batch = NextBatch(checkpoint_at);
    for (std::span<Item> left = batch; !left.empty();) left = CommitSome(left);
    const bool is_over = batch.empty() && IsOver();
    if (!batch.empty() && !checkpoint_at) checkpoint_at = Clock::System()->Monotonic() + kCheckpointDistance;
    if (checkpoint_at && (is_over || Clock::System()->Monotonic() >= *checkpoint_at)) {
      checkpoint_at.reset();
      Checkpoint();
    }
    if (is_over) return;
  }
}

void Writer::Checkpoint() {
  if (absl::Status moved = database_->Checkpoint(); !moved.ok() && !IsFullDisk(moved)) {
    log::Warning("{}", MessageOf(moved));
  }
}

bool Writer::FailedForGood(absl::Status& why) const {
  MutexLock lock(&mutex_);
  if (failed_for_good_) why = fault_;
  return failed_for_good_;
}

std::span<Writer::Item> Writer::CommitSome(std::span<Item> items) {
  std::size_t done = items.size();
  absl::Status failed;
  if (!FailedForGood(failed)) {
    const Instant begin = Clock::System()->Monotonic();
    failed = RunInTransaction(items, done);
    if (!failed.ok()) {
      database_->Execute("ROLLBACK").IgnoreError();
      done = items.size();
    }
    NoteOutcome(failed, done, Clock::System()->Monotonic() - begin);
  }
  for (Item& item : items.first(done)) item.done(failed.ok() ? std::move(item.result) : failed);
  return items.subspan(done);
}

absl::Status Writer::RunInTransaction(std::span<Item> items, std::size_t& done) {
  const Instant begin = Clock::System()->Monotonic();
  RETURN_IF_ERROR(database_->Run("BEGIN IMMEDIATE"));
  done = 0;
  for (Item& item : items) {
    RETURN_IF_ERROR(database_->Run("SAVEPOINT operation"));
    item.result = item.operation(*database_);
    if (item.result.ok()) {
      RETURN_IF_ERROR(database_->Run("RELEASE operation"));
    } else if (IsFullDisk(item.result) || item.result.code() == absl::StatusCode::kDataLoss) {
      // What concerns the whole file ends the transaction; the rest is this operation's own failure.
      return item.result;
    } else {
      RETURN_IF_ERROR(database_->Execute("ROLLBACK TO operation; RELEASE operation"));
    }
    ++done;
    if (Clock::System()->Monotonic() - begin >= kMaxTransaction) break;
  }
#ifdef MUSTER_MUTANT_EARLY_ACK  // a negative control of tests/fault: answers before the commit
  for (Item& item : items.first(done)) std::exchange(item.done, [](const absl::Status&) {})(item.result);
#endif
  return database_->Run("COMMIT");
}

void Writer::NoteOutcome(const absl::Status& committed, std::size_t operations, absl::Duration took) {
  bool newly_faulty = false;
  bool recovered = false;
  {
    MutexLock lock(&mutex_);
    if (committed.ok()) {
      recovered = !fault_.ok();
    } else {
      newly_faulty = fault_.ok();
      failed_for_good_ = !IsFullDisk(committed) && committed.code() != absl::StatusCode::kUnavailable;
    }
    fault_ = committed;
  }
  if (committed.ok() && observer_.committed) observer_.committed(took, operations);
  if (!committed.ok() && observer_.failed) observer_.failed();
  if (newly_faulty) log::Error("cannot store {}: {}", observer_.subject, MessageOf(committed));
  if (recovered) log::Info("storing {} again", observer_.subject);
}

}  // namespace muster::hub
