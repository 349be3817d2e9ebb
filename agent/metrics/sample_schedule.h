// When the host is sampled. Knows no clock and no thread.
#ifndef MUSTER_AGENT_METRICS_SAMPLE_SCHEDULE_H_
#define MUSTER_AGENT_METRICS_SAMPLE_SCHEDULE_H_

#include "common/clock.h"

namespace muster::agent {

inline constexpr absl::Duration kSampleInterval = absl::Seconds(30);
// Rates need two readings; an operator who switches collection on need not wait for half a minute.
inline constexpr absl::Duration kSecondSampleAfter = absl::Seconds(5);

class SampleSchedule {
 public:
  // Begins anew, or ends.
  void Restart(bool enabled, Instant now) {
    sampled_ = false;
    due_ = enabled ? now : kNever;
  }
  // A sample was begun at `now`.
  void Sampled(Instant now) {
    due_ = now + (sampled_ ? kSampleInterval : kSecondSampleAfter);
    sampled_ = true;
  }
  Instant due() const { return due_; }

 private:
  static constexpr Instant kNever = Instant::FromDuration(absl::InfiniteDuration());

  bool sampled_ = false;
  Instant due_ = kNever;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_SAMPLE_SCHEDULE_H_
