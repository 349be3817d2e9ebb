// A clock that stands still until a test moves it. Thread-safe.
#ifndef MUSTER_COMMON_TESTING_FAKE_CLOCK_H_
#define MUSTER_COMMON_TESTING_FAKE_CLOCK_H_

#include "common/clock.h"
#include "common/mutex.h"

namespace muster {

class FakeClock : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(&mutex_);
    return wall_;
  }
  Instant Monotonic() const override {
    MutexLock lock(&mutex_);
    return monotonic_;
  }
  // Time passes.
  void Advance(absl::Duration d) {
    MutexLock lock(&mutex_);
    wall_ += d;
    monotonic_ = monotonic_ + d;
  }
  // Somebody sets the wall clock; no time passes.
  void StepWall(absl::Duration d) {
    MutexLock lock(&mutex_);
    wall_ += d;
  }

 private:
  mutable Mutex mutex_;
  absl::Time wall_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'800'000'000);
  Instant monotonic_ ABSL_GUARDED_BY(mutex_) = Instant::FromDuration(absl::Hours(1));
};

}  // namespace muster

#endif  // MUSTER_COMMON_TESTING_FAKE_CLOCK_H_
