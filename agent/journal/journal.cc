#include "agent/journal/journal.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// The loop looks around at least this often.
constexpr absl::Duration kMaxWait = absl::Minutes(1);
// Of the fault in a heartbeat.
constexpr std::size_t kMaxFaultBytes = 512;
// Acks and welcomes that wait for a disk that takes nothing; beyond, the oldest go: a later one says more.
constexpr std::size_t kMaxPositions = 64;

bool IsUrgent(const Entry& entry) { return entry.kind == EntryKind::kTransition || entry.kind == EntryKind::kPresence; }

std::string DescribeFault(const std::string& path, const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return CleanUtf8("no space left for " + path, kMaxFaultBytes);
  return CleanUtf8(path + ": " + MessageOf(status), kMaxFaultBytes);
}

v1::RecordBatch Nothing(const ReadRequest& request) {
  v1::RecordBatch batch;
  batch.set_epoch(request.epoch);
  batch.set_lane(request.lane);
  batch.set_first_sequence(request.first_sequence);
  return batch;
}

}  // namespace

Journal::Journal(JournalStore::Options options, const Clock* clock) : options_(std::move(options)), clock_(clock) {
  view_.epoch = options_.epoch;
  view_.depth.set_capacity_bytes(options_.capacity_bytes);
  thread_ = std::thread([this] { Loop(); });
}

Journal::~Journal() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  thread_.join();
}

void Journal::WaitUntilOpen(absl::Duration timeout) {
  const Instant deadline = clock_->Monotonic() + timeout;
  MutexLock lock(&mutex_);
  while (!tried_to_open_) {
    const absl::Duration left = deadline - clock_->Monotonic();
    if (left <= absl::ZeroDuration() || !idle_.WaitFor(&mutex_, left)) return;
  }
}

void Journal::Flush() {
  MutexLock lock(&mutex_);
  const std::uint64_t mine = ++flushes_asked_;
  wake_.NotifyOne();
  while (flushes_done_ < mine) idle_.Wait(&mutex_);
}

void Journal::Append(v1::Record record) {
  const Moment now = clock_->Read();
  Entry entry = MakeEntry(record, now);
  const bool is_urgent = IsUrgent(entry);
  MutexLock lock(&mutex_);
  const Instant due = is_urgent ? now.monotonic : now.monotonic + kCommitInterval;
  if (queue_.empty() || due < commit_due_) {
    commit_due_ = due;
    wake_.NotifyOne();
  }
  queue_.Append(std::move(entry));
}

RecordsView Journal::View() const {
  MutexLock lock(&mutex_);
  RecordsView view = view_;
  v1::JournalDepth& depth = view.depth;
  depth.set_records(depth.records() + queue_.entries());
  depth.set_bytes(depth.bytes() + queue_.bytes());
  depth.set_dropped_total(depth.dropped_total() + queue_.dropped());
  depth.set_fault(fault_);
  if (const Entry* oldest = queue_.oldest(); oldest != nullptr && !depth.has_oldest_time()) {
    *depth.mutable_oldest_time() = ToProto(oldest->wall);
    *depth.mutable_oldest_age() = ToProto(std::max(clock_->Monotonic() - oldest->monotonic, absl::ZeroDuration()));
  }
  return view;
}

void Journal::Read(const ReadRequest& request, std::function<void(v1::RecordBatch)> done) {
  MutexLock lock(&mutex_);
  readings_.push_back({.request = request, .done = std::move(done)});
  wake_.NotifyOne();
}

void Journal::Acknowledge(const v1::BatchAck& ack) {
  MutexLock lock(&mutex_);
  new_positions_.emplace_back([ack](JournalStore* store) { return store->Acknowledge(ack); });
  wake_.NotifyOne();
}

void Journal::Resume(const std::vector<v1::LanePosition>& applied) {
  MutexLock lock(&mutex_);
  new_positions_.emplace_back([applied](JournalStore* store) { return store->Resume(applied); });
  wake_.NotifyOne();
}

void Journal::SetListener(std::function<void()> changed) {
  MutexLock lock(&listening_);
  listener_ = std::move(changed);
}

void Journal::Loop() {
  OpenStore();
  while (WaitForWork()) Work();
  Work();
  store_.reset();
}

bool Journal::HasWork() const {
  if (!readings_.empty() || !new_positions_.empty() || flushes_done_ < flushes_asked_) return true;
  const Instant now = clock_->Monotonic();
  if (now < retry_at_) return false;
  return (!queue_.empty() && now >= commit_due_) || store_ == nullptr || !positions_.empty();
}

absl::Duration Journal::TimeToWait() const {
  Instant next = clock_->Monotonic() + kMaxWait;
  if (!queue_.empty()) next = std::min(next, commit_due_);
  if (store_ == nullptr || !positions_.empty()) next = std::min(next, retry_at_);
  return std::max(std::max(next, retry_at_) - clock_->Monotonic(), absl::ZeroDuration());
}

bool Journal::WaitForWork() {
  MutexLock lock(&mutex_);
  while (!stopping_ && !HasWork()) wake_.WaitFor(&mutex_, TimeToWait());
  return !stopping_;
}

void Journal::Work() {
  std::uint64_t flushes = 0;
  bool is_forced = false;
  bool is_commit_due = false;
  {
    MutexLock lock(&mutex_);
    flushes = flushes_asked_;
    is_forced = stopping_ || flushes > flushes_done_;
    is_commit_due = is_forced || clock_->Monotonic() >= commit_due_;
    for (Position& position : new_positions_) positions_.push_back(std::move(position));
    new_positions_.clear();
  }
  while (positions_.size() > kMaxPositions) positions_.pop_front();
  const bool may_write = is_forced || clock_->Monotonic() >= retry_at_;
  if (may_write && (store_ != nullptr || OpenStore())) {
    const bool committed = !is_commit_due || Commit();
    ApplyPositions();
    const bool all_done = committed && store_ != nullptr && positions_.empty() && Check(store_->CheckpointIfDue());
    if (all_done) NoteRecovery();
  }
  AnswerReadings();
  UpdateView();
  {
    MutexLock lock(&mutex_);
    flushes_done_ = flushes;
    idle_.NotifyAll();
  }
  TellListener();
}

bool Journal::OpenStore() {
  const auto condition =
      is_damaged_ || failures_ >= kMaxFailures ? JournalStore::Condition::kBroken : JournalStore::Condition::kUnknown;
  auto store = JournalStore::Open(options_, condition);
  const bool opened = Check(store.status());
  if (opened) {
    store_ = *std::move(store);
    is_damaged_ = false;
    // It was built anew: what failed before says nothing of it.
    if (condition == JournalStore::Condition::kBroken) failures_ = 0;
    has_news_ = true;
  }
  UpdateView();
  MutexLock lock(&mutex_);
  tried_to_open_ = true;
  idle_.NotifyAll();
  return opened;
}

void Journal::ApplyPositions() {
  while (store_ != nullptr && !positions_.empty()) {
    if (!Check(positions_.front()(store_.get()))) return;
    positions_.pop_front();
    has_news_ = true;
  }
}

bool Journal::Commit() {
  while (store_ != nullptr) {
    std::vector<Entry> entries;
    {
      MutexLock lock(&mutex_);
      entries = queue_.Take(kMaxAppendBytes);
    }
    if (entries.empty()) return true;
    const bool appended = Check(store_->Append(entries));
    std::optional<RecordsView> view = appended ? ViewOfStore() : std::nullopt;
    MutexLock lock(&mutex_);
    if (!appended) {
      queue_.PutBack(std::move(entries));
      return false;
    }
    failures_ = 0;
    has_news_ = true;
    // In one step, so that no view counts them twice or not at all.
    queue_.Committed();
    if (view.has_value()) view_ = *std::move(view);
  }
  return false;
}

void Journal::AnswerReadings() {
  std::vector<Reading> readings;
  {
    MutexLock lock(&mutex_);
    readings.swap(readings_);
  }
  for (const Reading& reading : readings) {
    absl::StatusOr<v1::RecordBatch> batch = Nothing(reading.request);
    if (store_ != nullptr) {
      batch = store_->Read(reading.request, clock_->Monotonic());
      Check(batch.status());
    }
    reading.done(batch.ok() ? *std::move(batch) : Nothing(reading.request));
  }
}

bool Journal::Check(const absl::Status& status) {
  if (status.ok()) return true;
  {
    const std::string fault = DescribeFault(options_.path, status);
    MutexLock lock(&mutex_);
    if (fault != fault_) log::Warning("records are kept in memory only: {}", fault);
    fault_ = fault;
  }
  retry_at_ = clock_->Monotonic() + kJournalRetryInterval;
  // A full disk has rolled back. After anything else only the file knows how it stands.
  if (absl::IsResourceExhausted(status)) return false;
  if (absl::IsDataLoss(status)) ++failures_;
  is_damaged_ = is_damaged_ || (store_ != nullptr && ReasonOf(status) == "DATABASE_CORRUPT");
  store_.reset();
  return false;
}

void Journal::NoteRecovery() {
  MutexLock lock(&mutex_);
  if (!fault_.empty()) log::Info("records are made durable again");
  fault_.clear();
}

std::optional<RecordsView> Journal::ViewOfStore() {
  if (store_ == nullptr) return std::nullopt;
  const auto depth = store_->Depth(clock_->Monotonic());
  if (!Check(depth.status())) return std::nullopt;
  RecordsView view;
  view.is_open = true;
  view.epoch = options_.epoch;
  view.lanes = store_->Lanes();
  view.depth = *depth;
  return view;
}

void Journal::UpdateView() {
  // While the file cannot be read, what it held last still counts.
  std::optional<RecordsView> view = ViewOfStore();
  if (!view.has_value()) return;
  MutexLock lock(&mutex_);
  view_ = *std::move(view);
}

void Journal::TellListener() {
  if (!std::exchange(has_news_, false)) return;
  MutexLock lock(&listening_);
  if (listener_) listener_();
}

}  // namespace muster::agent
