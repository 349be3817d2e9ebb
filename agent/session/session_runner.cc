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

SessionRunner::SessionRunner(SessionLogic::Options options, HostView host, std::function<double()> uniform,
                             const Clock* clock, Dialer* dialer, Housekeeping* housekeeping)
    : clock_(clock),
      dialer_(dialer),
      housekeeping_(housekeeping),
      logic_(std::move(options), std::move(host), std::move(uniform), this) {}

SessionRunner::~SessionRunner() = default;

void SessionRunner::Run() {
  logic_.Start(clock_->Read());
  while (true) {
    housekeeping_->SessionIs(logic_.status());
    if (logic_.stopped()) break;
    housekeeping_->Alive(clock_->Monotonic());
    dialer_->Reap();
    std::vector<Task> tasks;
    std::optional<Present> present;
    {
      MutexLock lock(&mutex_);
      if (tasks_.empty() && !present_.has_value()) wake_.WaitFor(&mutex_, TimeToWait());
      tasks.swap(tasks_);
      present.swap(present_);
    }
    RunTasks(std::move(tasks), std::move(present));
    const Moment now = clock_->Read();
    PollSecret(now);
    if (now.monotonic >= logic_.NextDeadline()) logic_.OnTimer(now);
  }
  link_.reset();
  dialer_->Drain();
}

void SessionRunner::Stop(v1::GoodbyeReason reason) {
  Post([this, reason](Moment now) { logic_.Stop(reason, now); });
}

void SessionRunner::Publish(Present present) {
  MutexLock lock(&mutex_);
  present_ = std::move(present);
  wake_.NotifyOne();
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

void SessionRunner::RunTasks(std::vector<Task> tasks, std::optional<Present> present) {
  // Pictures first: a Welcome among the tasks then finds the newest one.
  if (present.has_value()) logic_.OnPresent(*present, clock_->Read());
  for (Task& task : tasks) task(clock_->Read());
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

}  // namespace muster::agent
