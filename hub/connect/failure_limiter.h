// Slows down who guesses connect codes: so many failures of one address a minute, then refusals until the minute is
// over. Guessing 256 random bits is hopeless anyway; this keeps the store and the log quiet. Thread-safe.
#ifndef MUSTER_HUB_CONNECT_FAILURE_LIMITER_H_
#define MUSTER_HUB_CONNECT_FAILURE_LIMITER_H_

#include <cstddef>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::hub {

class FailureLimiter {
 public:
  // A person who pastes an old line a few times stays far below.
  static constexpr int kMaxFailures = 20;
  static constexpr absl::Duration kWindow = absl::Minutes(1);
  // 100 bytes each: 1 MB. When full, windows that are over go; if none is, unknown addresses are not counted.
  static constexpr std::size_t kMaxAddresses = 10'000;

  bool Allows(const std::string& address, Instant now);
  void Failed(const std::string& address, Instant now);

 private:
  struct Window {
    Instant start;
    int failures = 0;
  };

  Mutex mutex_;
  std::unordered_map<std::string, Window> windows_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_FAILURE_LIMITER_H_
