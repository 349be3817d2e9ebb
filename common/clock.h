// The one place that reads the time. Durations that decide something (stale, back-off) come from Monotonic(), times
// that are shown or stored come from Now(). Logic takes both as values; only wiring holds a Clock.
#ifndef MUSTER_COMMON_CLOCK_H_
#define MUSTER_COMMON_CLOCK_H_

#include <compare>

#include "absl/time/time.h"

namespace muster {

// A point on this machine's monotonic clock (CLOCK_MONOTONIC). Means nothing on another machine or after a restart.
class Instant {
 public:
  constexpr Instant() = default;
  static constexpr Instant FromDuration(absl::Duration since_origin) { return Instant(since_origin); }

  friend absl::Duration operator-(Instant a, Instant b) { return a.since_origin_ - b.since_origin_; }
  friend Instant operator+(Instant a, absl::Duration d) { return Instant(a.since_origin_ + d); }
  friend Instant operator-(Instant a, absl::Duration d) { return Instant(a.since_origin_ - d); }
  friend bool operator==(Instant a, Instant b) { return a.since_origin_ == b.since_origin_; }
  friend bool operator!=(Instant a, Instant b) { return a.since_origin_ != b.since_origin_; }
  friend bool operator<(Instant a, Instant b) { return a.since_origin_ < b.since_origin_; }
  friend bool operator<=(Instant a, Instant b) { return a.since_origin_ <= b.since_origin_; }
  friend bool operator>(Instant a, Instant b) { return a.since_origin_ > b.since_origin_; }
  friend bool operator>=(Instant a, Instant b) { return a.since_origin_ >= b.since_origin_; }

 private:
  explicit constexpr Instant(absl::Duration since_origin) : since_origin_(since_origin) {}
  absl::Duration since_origin_;
};

// Both readings of one moment, handed to logic as a value.
struct Moment {
  Instant monotonic;
  absl::Time wall;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // In whole microseconds, as times are stored: a time is the same before and after a restart.
  virtual absl::Time Now() const = 0;
  virtual Instant Monotonic() const = 0;
  Moment Read() const { return Moment{.monotonic = Monotonic(), .wall = Now()}; }

  // The machine's clocks; lives for ever.
  static const Clock* System();
  // The same, but Monotonic() counts the time that the machine was suspended, from its boot (CLOCK_BOOTTIME). For what
  // tells how long ago something was. Instants of the two do not mix.
  static const Clock* SinceBoot();
};

}  // namespace muster

#endif  // MUSTER_COMMON_CLOCK_H_
