// A few threads with a bounded queue for work that may block briefly (a SQLite read), so that it never runs on the
// threads that serve sockets. Thread-safe.
#ifndef MUSTER_HUB_HTTP_WORKER_POOL_H_
#define MUSTER_HUB_HTTP_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/mutex.h"

namespace muster::hub {

class WorkerPool {
 public:
  // 2 cores serve about 1,000 short reads a second each; 256 waiting ones are answered within half a second.
  static constexpr std::size_t kDefaultQueue = 256;

  explicit WorkerPool(int threads, std::size_t max_queue = kDefaultQueue);
  // Runs what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False, and `work` is not run, when the queue is full or the pool is stopping.
  [[nodiscard]] bool TrySubmit(std::function<void()> work);
  // Taken unless the pool is stopping, and not counted as waiting: for work that is bounded elsewhere, as the steps of
  // streams are by the number of streams.
  void Submit(std::function<void()> work);
  // No more work is taken; what is queued still runs. Blocks until the threads are done.
  void Stop();

 private:
  struct Work {
    std::function<void()> run;
    bool is_counted = false;
  };
  void Run();

  const std::size_t max_queue_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  // Of the queue, those that TrySubmit took.
  std::size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_WORKER_POOL_H_
