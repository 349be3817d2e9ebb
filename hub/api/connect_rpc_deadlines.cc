#include "hub/api/connect_rpc_deadlines.h"

#include <utility>

namespace muster::hub {

ConnectRpcDeadlines::~ConnectRpcDeadlines() {
  std::thread thread;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    thread = std::move(thread_);
  }
  wake_.NotifyAll();
  if (thread.joinable()) thread.join();
}

std::uint64_t ConnectRpcDeadlines::At(Instant time, std::function<void()> function) {
  std::uint64_t id = 0;
  {
    MutexLock lock(&mutex_);
    id = ++last_id_;
    if (stopping_) return id;
    waiting_.emplace(std::pair(time, id), std::move(function));
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  wake_.NotifyAll();
  return id;
}

void ConnectRpcDeadlines::Cancel(Instant time, std::uint64_t id) {
  std::function<void()> dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  const auto found = waiting_.find({time, id});
  if (found == waiting_.end()) return;
  dropped.swap(found->second);
  waiting_.erase(found);
}

void ConnectRpcDeadlines::Run() {
  for (;;) {
    std::function<void()> due;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && (waiting_.empty() || waiting_.begin()->first.first > clock_->Monotonic())) {
        if (waiting_.empty()) {
          wake_.Wait(&mutex_);
        } else {
          wake_.WaitFor(&mutex_, waiting_.begin()->first.first - clock_->Monotonic());
        }
      }
      if (stopping_) return;
      due = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    }
    due();
  }
}

}  // namespace muster::hub
