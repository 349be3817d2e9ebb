#include "agent/jobs/job_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kExpireInterval = absl::Seconds(10);
constexpr std::size_t kMaxFaultBytes = 512;
// Of a report around its groups.
constexpr std::size_t kReportOverheadBytes = 256;

// What a client is told: reasons of the socket, not of SQLite.
absl::Status ForClients(const absl::Status& status) {
  const std::string text = CleanUtf8(MessageOf(status), kMaxFaultBytes);
  if (absl::IsResourceExhausted(status)) {
    return MakeError(absl::StatusCode::kUnavailable, "DISK_FULL",
                     fmt::format("no space left for the store of jobs: {}", text));
  }
  return MakeError(absl::StatusCode::kUnavailable, "STORE_FAILED", fmt::format("the store of jobs failed: {}", text));
}

}  // namespace

JobStore::JobStore(JobFile::Options options, const Clock* clock) : options_(std::move(options)), clock_(clock) {
  thread_ = std::thread([this] { Loop(); });
}

JobStore::~JobStore() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  thread_.join();
}

bool JobStore::Submit(Push push, Done done) {
  MutexLock lock(&mutex_);
  const std::size_t cost = push.cost;
  if (tasks_.size() >= kMaxWaitingPushes || (!tasks_.empty() && waiting_bytes_ + cost > kMaxWaitingBytes)) return false;
  waiting_bytes_ += cost;
  tasks_.push_back({.push = std::move(push), .done = std::move(done), .is_refusal = false});
  if (tasks_.size() == 1) wake_.NotifyOne();
  return true;
}

void JobStore::NoteRefusal(std::string group) {
  if (group.empty()) return;
  Push push;
  push.group = std::move(group);
  MutexLock lock(&mutex_);
  if (tasks_.size() >= kMaxWaitingPushes) return;
  tasks_.push_back({.push = std::move(push), .done = nullptr, .is_refusal = true});
  if (tasks_.size() == 1) wake_.NotifyOne();
}

JobStore::Status JobStore::GetStatus() const {
  MutexLock lock(&mutex_);
  return status_;
}

void JobStore::Flush() {
  MutexLock lock(&mutex_);
  const std::uint64_t mine = ++flushes_asked_;
  wake_.NotifyOne();
  while (flushes_done_ < mine) idle_.Wait(&mutex_);
}

std::optional<v1::JobPosition> JobStore::Position() const {
  MutexLock lock(&mutex_);
  return position_;
}

void JobStore::SetListener(std::function<void()> changed) {
  MutexLock lock(&listening_);
  listener_ = std::move(changed);
}

v1::JobReport JobStore::Report(std::int64_t version, std::size_t max_bytes, Moment now) {
  v1::JobReport report;
  MutexLock lock(&mutex_);
  if (!position_.has_value()) return report;
  report.set_store_id(position_->store_id());
  std::vector<const Published*> changed;
  for (const auto& [name, published] : published_) {
    if (published.group.version() > version) changed.push_back(&published);
  }
  std::sort(changed.begin(), changed.end(),
            [](const auto* a, const auto* b) { return a->group.version() < b->group.version(); });
  std::size_t bytes = kReportOverheadBytes;
  for (const Published* published : changed) {
    v1::JobGroup group = published->group;
    const auto tell = [now](const std::optional<Instant>& at, google::protobuf::Duration* age) {
      *age = muster::ToProto(std::max(now.monotonic - *at, absl::ZeroDuration()));
    };
    if (published->push.has_value()) tell(published->push, group.mutable_push_age());
    if (published->success.has_value()) tell(published->success, group.mutable_success_age());
    if (published->failure.has_value()) tell(published->failure, group.mutable_failure_age());
    const std::size_t size = group.ByteSizeLong() + 8;
    if (!report.groups().empty() && bytes + size > max_bytes) return report;
    bytes += size;
    report.set_version(group.version());
    *report.add_groups() = std::move(group);
  }
  report.set_version(position_->version());
  return report;
}

void JobStore::Loop() {
  Open();
  while (true) {
    std::uint64_t flush = 0;
    bool is_stopping = false;
    {
      MutexLock lock(&mutex_);
      flush = flushes_asked_;
      is_stopping = stopping_;
    }
    // What came before the flush is among these.
    Do(WaitForTasks());
    const Instant now = clock_->Monotonic();
    if (file_ != nullptr && told_version_ != book_->version()) {
      bool flushing = false;
      {
        MutexLock lock(&mutex_);
        flushing = flush > flushes_done_;
      }
      const bool due = !published_at_.has_value() || now - *published_at_ >= kJobPublishInterval;
      if (due || flushing) Publish();
    }
    MutexLock lock(&mutex_);
    flushes_done_ = flush;
    idle_.NotifyAll();
    if (is_stopping && tasks_.empty()) return;
  }
}

std::vector<JobStore::Task> JobStore::WaitForTasks() {
  absl::Duration wait = kExpireInterval;
  if (file_ == nullptr) wait = kJobReopenInterval;
  if (file_ != nullptr && told_version_ != book_->version()) wait = kJobPublishInterval;
  MutexLock lock(&mutex_);
  if (tasks_.empty() && !stopping_ && flushes_asked_ == flushes_done_) wake_.WaitFor(&mutex_, wait);
  waiting_bytes_ = 0;
  return std::exchange(tasks_, {});
}

void JobStore::Open() {
  const Moment now = clock_->Read();
  if (opened_at_.has_value() && now.monotonic - *opened_at_ < kJobReopenInterval) return;
  opened_at_ = now.monotonic;
  auto loaded = JobFile::Open(options_, now);
  if (!loaded.ok()) return Fail(loaded.status());
  file_ = std::move(loaded->file);
  book_ = std::move(loaded->book);
  failure_ = absl::OkStatus();
  SetFault("");
  {
    MutexLock lock(&mutex_);
    published_.clear();
    position_.reset();
  }
  // All of it: the file may hold less than what was in memory, or a commit whose outcome was not known.
  for (auto& [name, group] : book_->groups()) group.is_published = false;
  Publish();
}

void JobStore::Do(std::vector<Task> tasks) {
  if (file_ == nullptr) Open();
  if (file_ == nullptr) {
    for (Task& task : tasks) {
      if (task.done) task.done(failure_);
    }
    return;
  }
  const Instant now = clock_->Monotonic();
  std::vector<absl::StatusOr<JobBook::Outcome>> outcomes;
  outcomes.reserve(tasks.size());
  for (const Task& task : tasks) {
    if (task.is_refusal) {
      book_->NoteRefusal(task.push.group);
      outcomes.emplace_back(JobBook::Outcome::kCounted);
    } else {
      outcomes.push_back(book_->Apply(task.push, now));
    }
  }
  if (!expired_at_.has_value() || now - *expired_at_ >= kExpireInterval) {
    book_->Expire(now);
    expired_at_ = now;
  }
  if (const absl::Status committed = Commit(); !committed.ok()) {
    Fail(committed);
    for (auto& outcome : outcomes) {
      if (outcome.ok()) outcome = failure_;
    }
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].done) tasks[i].done(outcomes[i]);
  }
}

absl::Status JobStore::Commit() {
  if (!book_->HasChanges()) return absl::OkStatus();
  RETURN_IF_ERROR(file_->Save(book_.get(), clock_->Read()));
  book_->ChangesAreKept();
  ++commits_;
  if (const absl::Status moved = file_->CheckpointIfDue(); !moved.ok()) {
    // What was committed is in the log all the same; without room there, the next commit says so.
    log::Warning("the log of the store of jobs cannot be moved into its file: {}", MessageOf(moved));
  }
  return absl::OkStatus();
}

void JobStore::Fail(const absl::Status& why) {
  file_.reset();
  book_.reset();
  failure_ = ForClients(why);
  opened_at_ = clock_->Monotonic();
  SetFault(MessageOf(failure_));
}

void JobStore::SetFault(std::string fault) {
  MutexLock lock(&mutex_);
  if (status_.fault == fault) return;
  if (!fault.empty()) log::Warning("pushes of jobs are refused: {}", fault);
  if (fault.empty()) log::Info("pushes of jobs are taken again");
  status_.fault = std::move(fault);
}

void JobStore::Publish() {
  const Instant now = clock_->Monotonic();
  std::map<std::string, Published> changed;
  for (auto& [name, group] : book_->groups()) {
    if (group.is_published) continue;
    group.is_published = true;
    Published& published = changed[name];
    published.group = ToProto(group);
    if (group.is_deleted) continue;
    published.push = group.last_push;
    published.success = group.last_success;
    published.failure = group.last_failure;
  }
  v1::JobPosition position;
  position.set_store_id(file_->store_id());
  position.set_version(book_->version());
  published_at_ = now;
  told_version_ = book_->version();
  {
    MutexLock lock(&mutex_);
    for (auto& [name, published] : changed) published_[name] = std::move(published);
    std::erase_if(published_, [this](const auto& entry) { return !book_->groups().contains(entry.first); });
    position_ = std::move(position);
    status_.groups = book_->Groups(now);
    status_.series = book_->Series(now);
  }
  MutexLock lock(&listening_);
  if (listener_) listener_();
}

}  // namespace muster::agent
