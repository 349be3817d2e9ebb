#include "agent/session/session_runner.h"

#include <algorithm>
#include <utility>

namespace muster::agent {
namespace {

// A new secret is noticed within this time, and the watchdog is fed at least this often.
constexpr absl::Duration kTick = absl::Seconds(1);

}  // namespace

// Carries a link's events into the loop, marked with the link's number.
class SessionRunner::Events : public LinkEvents {
 public:
  Events(SessionRunner* runner, std::uint64_t link_number) : runner_(runner), link_number_(link_number) {}

  void OnSent() override {
    Post([r = runner_](Moment now) { r->logic_.OnSent(now); });
  }
  void OnFrame(v1::SessionResponse frame) override {
    Post([r = runner_, number = link_number_, frame = std::move(frame)](Moment now) {
      r->logic_.OnFrame(frame, now);
      // The frame may have ended its own link.
      if (r->link_ != nullptr && r->link_number_ == number) r->link_->Receive();
    });
  }
  void OnReadEnded() override {
    Post([r = runner_](Moment now) { r->logic_.OnReadEnded(now); });
  }
  void OnClosed(absl::Status status) override {
    Post([r = runner_, status = std::move(status)](Moment now) { r->logic_.OnLinkClosed(status, now); });
  }

 private:
  void Post(Task task) { runner_->PostFromLink(link_number_, std::move(task)); }

  SessionRunner* const runner_;
  const std::uint64_t link_number_;
};

// What the journal's thread calls: it may do so once more when the loop has ended.
class SessionRunner::Door {
 public:
  explicit Door(SessionRunner* runner) : runner_(runner) {}

  void Bring(v1::RecordBatch batch) {
    MutexLock lock(&mutex_);
    if (runner_ == nullptr) return;
    runner_->Post(
        [r = runner_, batch = std::move(batch)](Moment now) mutable { r->logic_.OnRecords(std::move(batch), now); });
  }
  void Close() {
    MutexLock lock(&mutex_);
    runner_ = nullptr;
  }

 private:
  Mutex mutex_;
  SessionRunner* runner_ ABSL_GUARDED_BY(mutex_);
};

SessionRunner::SessionRunner(SessionLogic::Options options, HostView host, std::function<double()> uniform,
                             const Clock* clock, Dialer* dialer, Housekeeping* housekeeping)
    : clock_(clock),
      dialer_(dialer),
      housekeeping_(housekeeping),
      records_(host.records),
      jobs_(host.jobs),
      door_(std::make_shared<Door>(this)),
      logic_(std::move(options), std::move(host), std::move(uniform), this) {}

SessionRunner::~SessionRunner() { door_->Close(); }

void SessionRunner::Run() {
  if (records_ != nullptr) {
    records_->SetListener([this] {
      MutexLock lock(&mutex_);
      records_changed_ = true;
      wake_.NotifyOne();
    });
  }
  if (jobs_ != nullptr) {
    // A few times a second at most.
    jobs_->SetListener([this] { Post([this](Moment now) { logic_.OnJobsChanged(now); }); });
  }
  logic_.Start(clock_->Read());
  while (true) {
    housekeeping_->SessionIs(logic_.status());
    if (logic_.stopped()) break;
    housekeeping_->Alive(clock_->Monotonic());
    dialer_->Reap();
    Do(WaitForWork());
    const Moment now = clock_->Read();
    PollSecret(now);
    if (now.monotonic >= logic_.NextDeadline()) logic_.OnTimer(now);
  }
  if (records_ != nullptr) records_->SetListener(nullptr);
  if (jobs_ != nullptr) jobs_->SetListener(nullptr);
  door_->Close();
  link_.reset();
  dialer_->Drain();
}

SessionRunner::Work SessionRunner::WaitForWork() {
  Work work;
  MutexLock lock(&mutex_);
  if (tasks_.empty() && !present_.has_value() && !records_changed_) wake_.WaitFor(&mutex_, TimeToWait());
  work.tasks.swap(tasks_);
  work.present.swap(present_);
  work.host.swap(host_);
  std::swap(work.records_changed, records_changed_);
  return work;
}

void SessionRunner::Stop(v1::GoodbyeReason reason) {
  Post([this, reason](Moment now) { logic_.Stop(reason, now); });
}

void SessionRunner::Publish(Present present) {
  MutexLock lock(&mutex_);
  present_ = std::move(present);
  wake_.NotifyOne();
}

void SessionRunner::PublishHost(std::optional<v1::HostReport> report, Instant taken) {
  MutexLock lock(&mutex_);
  host_.emplace(HostNews{.report = std::move(report), .taken = taken});
}

void SessionRunner::Post(Task task) {
  MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  wake_.NotifyOne();
}

void SessionRunner::PostFromLink(std::uint64_t link_number, Task task) {
  Post([this, link_number, task = std::move(task)](Moment now) mutable {
    if (link_ != nullptr && link_number_ == link_number) task(now);
  });
}

void SessionRunner::Do(Work work) {
  if (work.host.has_value()) logic_.OnHostReport(std::move(work.host->report), work.host->taken);
  // Pictures first: a Welcome among the tasks then finds the newest one.
  if (work.present.has_value()) logic_.OnPresent(*work.present, clock_->Read());
  if (work.records_changed) logic_.OnRecordsChanged(clock_->Read());
  for (Task& task : work.tasks) task(clock_->Read());
}

void SessionRunner::PollSecret(Moment now) {
  if (secret_polled_at_.has_value() && now.monotonic - *secret_polled_at_ < kTick) return;
  secret_polled_at_ = now.monotonic;
  if (auto secret = housekeeping_->PollSecret()) logic_.OnSecretChanged(*std::move(secret), now);
}

absl::Duration SessionRunner::TimeToWait() const {
  const absl::Duration until_deadline = logic_.NextDeadline() - clock_->Monotonic();
  return std::clamp(until_deadline, absl::ZeroDuration(), kTick);
}

void SessionRunner::Connect() {
  link_.reset();
  ++link_number_;
  link_ = dialer_->Dial(std::make_shared<Events>(this, link_number_));
  link_->Receive();
}

void SessionRunner::Send(const v1::SessionRequest& frame) { link_->Send(frame); }

void SessionRunner::HalfClose() { link_->HalfClose(); }

void SessionRunner::Disconnect() { link_.reset(); }

void SessionRunner::KeepSessionCounter(std::int64_t counter) { housekeeping_->KeepSessionCounter(counter); }

void SessionRunner::RelistIntervalChanged(absl::Duration interval) { housekeeping_->RelistIntervalChanged(interval); }

void SessionRunner::SetLogsOff(std::vector<std::string> deployment_keys) {
  housekeeping_->SetLogsOff(std::move(deployment_keys));
}

void SessionRunner::SetMetricsEnabled(bool enabled) { housekeeping_->SetMetricsEnabled(enabled); }

void SessionRunner::ReadRecords(const ReadRequest& request) {
  records_->Read(request, [door = door_](v1::RecordBatch batch) { door->Bring(std::move(batch)); });
}

}  // namespace muster::agent
