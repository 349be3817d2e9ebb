#include "agent/journal/journal.h"

#include <algorithm>
#include <iterator>
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
  committed_at_ = clock_->Monotonic();
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
  CommitBy(is_urgent ? now.monotonic : now.monotonic + kCommitInterval);
  queue_.Append(std::move(entry));
}

void Journal::CommitBy(Instant due) {
  if (!queue_.empty() && due >= commit_due_) return;
  commit_due_ = due;
  wake_.NotifyOne();
}

bool Journal::AppendLines(std::vector<Lines>& lines) {
  {
    MutexLock lock(&mutex_);
    if (queue_.bytes() > kMaxBytesBeforeLines) return false;
  }
  const Moment now = clock_->Read();
  std::vector<Entry> entries;
  entries.reserve(lines.size());
  for (const Lines& some : lines) entries.push_back(MakeEntry(some.record, now));
  MutexLock lock(&mutex_);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CommitBy(std::max(now.monotonic, committed_at_ + kCommitInterval));
    queue_.Append(std::move(entries[i]));
    std::optional<LogPosition>& position = lines[i].position;
    if (!position.has_value()) continue;
    std::string container = position->container;
    queue_.Change({.positions = {{std::move(container), std::move(position)}}});
  }
  lines.clear();
  return true;
}

void Journal::ForgetPositions(std::vector<std::string> containers) {
  LogChanges changes;
  for (std::string& container : containers) changes.positions.emplace(std::move(container), std::nullopt);
  Change(std::move(changes));
}

void Journal::MovePosition(std::string from, LogPosition to) {
  LogChanges changes;
  changes.positions.emplace(std::move(from), std::nullopt);
  std::string container = to.container;
  changes.positions.insert_or_assign(std::move(container), std::move(to));
  Change(std::move(changes));
}

void Journal::KeepSettings(std::vector<std::string> off_keys, absl::Time now) {
  Change({.settings = LogChanges::Settings{.off_keys = std::move(off_keys), .first = now}});
}

void Journal::Change(LogChanges changes) {
  const Instant due = clock_->Monotonic() + kCommitInterval;
  MutexLock lock(&mutex_);
  CommitBy(due);
  queue_.Change(std::move(changes));
}

std::optional<LogMemory> Journal::Remember() {
  MutexLock lock(&mutex_);
  return std::exchange(log_memory_, std::nullopt);
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
  const bool may_wait = view_.depth.bytes() <= kMaxBytesBeforeAcks;
  const Instant due = clock_->Monotonic() + (may_wait ? kAckInterval : absl::ZeroDuration());
  if (acks_.empty() || due < acks_due_) {
    acks_due_ = due;
    wake_.NotifyOne();
  }
  const auto waiting = std::find_if(acks_.begin(), acks_.end(), [&](const v1::BatchAck& other) {
    return other.lane() == ack.lane() && other.epoch() == ack.epoch();
  });
  if (waiting == acks_.end()) {
    acks_.push_back(ack);
    return;
  }
  waiting->set_sequence(std::max(waiting->sequence(), ack.sequence()));
  waiting->mutable_refused()->MergeFrom(ack.refused());
}

Journal::Position Journal::ToPosition(v1::BatchAck ack) {
  return [ack = std::move(ack)](JournalStore* store) { return store->Acknowledge(ack); };
}

std::vector<v1::BatchAck> Journal::TakeAcks() {
  std::vector<v1::BatchAck> taken;
  // In order.
  if (queue_.empty() || !positions_.empty() || !new_positions_.empty()) return taken;
  const auto first =
      std::stable_partition(acks_.begin(), acks_.end(), [](const v1::BatchAck& ack) { return !ack.refused().empty(); });
  taken.assign(std::make_move_iterator(first), std::make_move_iterator(acks_.end()));
  acks_.erase(first, acks_.end());
  return taken;
}

void Journal::ApplyAcks() {
  for (v1::BatchAck& ack : acks_) new_positions_.push_back(ToPosition(std::move(ack)));
  acks_.clear();
}

void Journal::Resume(const std::vector<v1::LanePosition>& applied) {
  MutexLock lock(&mutex_);
  ApplyAcks();
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
  if (!acks_.empty() && now >= acks_due_) return true;
  return (!queue_.empty() && now >= commit_due_) || store_ == nullptr || !positions_.empty();
}

absl::Duration Journal::TimeToWait() const {
  Instant next = clock_->Monotonic() + kMaxWait;
  if (!queue_.empty()) next = std::min(next, commit_due_);
  if (!acks_.empty()) next = std::min(next, acks_due_);
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
  std::vector<v1::BatchAck> acks;
  {
    MutexLock lock(&mutex_);
    flushes = flushes_asked_;
    is_forced = stopping_ || flushes > flushes_done_;
    is_commit_due = is_forced || clock_->Monotonic() >= commit_due_;
    if (is_commit_due) acks = TakeAcks();
    if (is_forced || clock_->Monotonic() >= acks_due_) ApplyAcks();
    for (Position& position : new_positions_) positions_.push_back(std::move(position));
    new_positions_.clear();
  }
  while (positions_.size() > kMaxPositions) positions_.pop_front();
  const bool may_write = is_forced || clock_->Monotonic() >= retry_at_;
  const bool is_open = may_write && (store_ != nullptr || OpenStore());
  const bool committed = is_open && (!is_commit_due || Commit(&acks));
  for (v1::BatchAck& ack : acks) positions_.push_back(ToPosition(std::move(ack)));
  if (is_open) {
    ApplyPositions();
    const bool all_done = committed && store_ != nullptr && positions_.empty() && Check(store_->CheckpointIfDue());
    if (all_done) NoteRecovery();
  }
  AnswerReadings();
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
  auto store = JournalStore::Open(options_, clock_->Now(), condition);
  const bool opened = Check(store.status()) && ReadLogMemory(store->get());
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

bool Journal::ReadLogMemory(JournalStore* store) {
  if (has_read_log_memory_) return true;
  absl::StatusOr<LogMemory> memory = store->ReadLogMemory();
  if (!Check(memory.status())) return false;
  has_read_log_memory_ = true;
  MutexLock lock(&mutex_);
  log_memory_ = *std::move(memory);
  return true;
}

void Journal::ApplyPositions() {
  if (positions_.empty()) return;
  while (store_ != nullptr && !positions_.empty()) {
    if (!Check(positions_.front()(store_.get()))) break;
    positions_.pop_front();
    has_news_ = true;
  }
  UpdateView();
}

bool Journal::Commit(std::vector<v1::BatchAck>* acks) {
  while (store_ != nullptr) {
    EntryBatch batch;
    {
      MutexLock lock(&mutex_);
      batch = queue_.Take(kMaxAppendBytes);
    }
    if (batch.empty()) return true;
    const bool appended = Check(store_->Append(batch.entries, batch.changes, *acks));
    std::optional<RecordsView> view = appended ? ViewOfStore() : std::nullopt;
    MutexLock lock(&mutex_);
    if (!appended) {
      queue_.PutBack(std::move(batch.entries));
      return false;
    }
    acks->clear();
    failures_ = 0;
    has_news_ = true;
    // In one step, so that no view counts them twice or not at all.
    queue_.Committed();
    committed_at_ = clock_->Monotonic();
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
