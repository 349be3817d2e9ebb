#include "hub/http/worker_pool.h"

#include <utility>

namespace muster::hub {

WorkerPool::WorkerPool(int threads, std::size_t max_queue) : max_queue_(max_queue) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TrySubmit(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    if (stopping_ || waiting_ >= max_queue_) return false;
    ++waiting_;
    queue_.push_back({.run = std::move(work), .is_counted = true});
  }
  wake_.NotifyOne();
  return true;
}

void WorkerPool::Submit(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    queue_.push_back({.run = std::move(work), .is_counted = false});
  }
  wake_.NotifyOne();
}

void WorkerPool::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::Run() {
  for (;;) {
    Work work;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(&mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
      if (work.is_counted) --waiting_;
    }
    work.run();
  }
}

}  // namespace muster::hub
