// How much of a window a target was connected, or a deployment up, from composed periods (docs/history.md). Values.
#ifndef MUSTER_HUB_HISTORY_AVAILABILITY_H_
#define MUSTER_HUB_HISTORY_AVAILABILITY_H_

#include <optional>

#include "hub/history/facts.h"

namespace muster::hub {

class Availability {
 public:
  // A window with both ends.
  explicit Availability(const TimeSpan& window) : window_(window) {}

  // Periods of one subject, in any order, that do not overlap; what lies outside the window does not count.
  void Add(const TargetPeriod& period);
  void Add(const DeploymentPeriod& period);

  const TimeSpan& window() const { return window_; }
  absl::Duration available() const { return available_; }
  absl::Duration unavailable() const { return unavailable_; }
  // All the rest, the time without any period included.
  absl::Duration unknown() const { return window_.to - window_.from - available_ - unavailable_; }
  // Of what is known, 0 to 1; absent when nothing is.
  std::optional<double> Ratio() const;

 private:
  absl::Duration Within(absl::Time from, absl::Time to) const;

  const TimeSpan window_;
  absl::Duration available_;
  absl::Duration unavailable_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HISTORY_AVAILABILITY_H_
