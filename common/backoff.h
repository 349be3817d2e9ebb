// Reconnect delays: full jitter between zero and a ceiling that doubles from 1 s to 60 s
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Not thread-safe.
#ifndef MUSTER_COMMON_BACKOFF_H_
#define MUSTER_COMMON_BACKOFF_H_

#include <functional>

#include "absl/time/time.h"

namespace muster {

class Backoff {
 public:
  struct Options {
    absl::Duration initial = absl::Seconds(1);
    absl::Duration maximum = absl::Seconds(60);
  };
  // `uniform` returns a number in [0, 1).
  Backoff(Options options, std::function<double()> uniform);

  // The delay before the next attempt; raises the ceiling. `at_most` lowers the ceiling this once, but not below the
  // initial one.
  absl::Duration Next(absl::Duration at_most = absl::InfiniteDuration());
  // After a stable session.
  void Reset();

 private:
  const Options options_;
  const std::function<double()> uniform_;
  absl::Duration ceiling_;
};

// A source of [0, 1) seeded from the system.
std::function<double()> SystemUniform();

}  // namespace muster

#endif  // MUSTER_COMMON_BACKOFF_H_
