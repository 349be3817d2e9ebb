#include "hub/ticker.h"

#include <algorithm>
#include <utility>

namespace muster::hub {

void Ticker::Add(absl::Duration interval, std::function<void()> work) {
  tasks_.push_back({.interval = interval, .work = std::move(work), .due = clock_->Monotonic() + interval});
}

void Ticker::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Ticker::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Ticker::Loop() {
  while (true) {
    Instant next = clock_->Monotonic() + absl::Seconds(1);
    for (Task& task : tasks_) {
      if (clock_->Monotonic() >= task.due) {
        task.work();
        task.due = clock_->Monotonic() + task.interval;
      }
      next = std::min(next, task.due);
    }
    MutexLock lock(&mutex_);
    if (stopping_) return;
    const absl::Duration wait = next - clock_->Monotonic();
    if (wait > absl::ZeroDuration()) wake_.WaitFor(&mutex_, wait);
    if (stopping_) return;
  }
}

}  // namespace muster::hub
