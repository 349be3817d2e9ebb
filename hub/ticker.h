// Calls functions at fixed intervals on one thread of its own: the hub's only timer. Functions must return quickly.
// Built by main; Add before Start.
#ifndef MUSTER_HUB_TICKER_H_
#define MUSTER_HUB_TICKER_H_

#include <functional>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"

namespace muster::hub {

class Ticker {
 public:
  explicit Ticker(const Clock* clock) : clock_(clock) {}
  ~Ticker() { Stop(); }

  void Add(absl::Duration interval, std::function<void()> work);
  void Start();
  // Waits for the function that is running. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Task {
    absl::Duration interval;
    std::function<void()> work;
    Instant due;
  };
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);

  const Clock* const clock_;
  std::vector<Task> tasks_;  // of the thread once started
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_TICKER_H_
