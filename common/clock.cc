#include "common/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace muster {
namespace {

class SystemClock : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixMicros(absl::ToUnixMicros(absl::Now())); }
  Instant Monotonic() const override {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return Instant::FromDuration(absl::DurationFromTimespec(ts));
  }
};

}  // namespace

const Clock* Clock::System() {
  static const SystemClock* const clock = new SystemClock;
  return clock;
}

}  // namespace muster
