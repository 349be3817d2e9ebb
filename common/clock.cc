#include "common/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace muster {
namespace {

class SystemClock : public Clock {
 public:
  explicit SystemClock(clockid_t monotonic) : monotonic_(monotonic) {}
  absl::Time Now() const override { return absl::FromUnixMicros(absl::ToUnixMicros(absl::Now())); }
  Instant Monotonic() const override {
    timespec ts{};
    clock_gettime(monotonic_, &ts);
    return Instant::FromDuration(absl::DurationFromTimespec(ts));
  }

 private:
  const clockid_t monotonic_;
};

}  // namespace

const Clock* Clock::System() {
  static const SystemClock* const clock = new SystemClock(CLOCK_MONOTONIC);
  return clock;
}

const Clock* Clock::SinceBoot() {
  static const SystemClock* const clock = new SystemClock(CLOCK_BOOTTIME);
  return clock;
}

}  // namespace muster
