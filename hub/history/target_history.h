// Composes the history of one target and its deployments from facts, by the rules of docs/history.md. Built for one
// answer over the facts that matter to it; used by hub/store/history_reads. Values in, values out; const after
// construction.
//
// Asked for a window it needs the facts that hold anywhere from kHubGrace before the window to kHubGrace after it.
#ifndef MUSTER_HUB_HISTORY_TARGET_HISTORY_H_
#define MUSTER_HUB_HISTORY_TARGET_HISTORY_H_

#include <optional>
#include <vector>

#include "hub/history/facts.h"
#include "hub/history/timeline.h"

namespace muster::hub {

// After a start the hub calls nobody stale for this long, so its silence about a target says nothing.
inline constexpr absl::Duration kHubGrace = absl::Seconds(60);

class TargetHistory {
 public:
  TargetHistory(const HubFacts& hub, TargetFacts facts);

  // Oldest first, cut to the window, no two neighbours alike.
  std::vector<TargetPeriod> Compose(const TimeSpan& window) const;
  // `changes` in the order in which they arrived.
  std::vector<DeploymentPeriod> ComposeDeployment(std::vector<DeploymentChange> changes, const TimeSpan& window) const;

  // At one moment: `from` is when the fact that says so began, `to` is open. Absent: it did not exist.
  std::optional<TargetPeriod> At(absl::Time time) const;
  // `change` is the last by then.
  std::optional<DeploymentPeriod> DeploymentAt(const DeploymentChange& change, absl::Time time) const;

 private:
  // When the hub heard of the target after a start at `start`, or the end of its grace.
  absl::Time HeardAfter(absl::Time start) const;
  std::vector<TimeSpan> UnheardSpans(const HubFacts& hub) const;
  // Where anything here begins or ends within the window; its own beginning first.
  std::vector<absl::Time> Boundaries(const TimeSpan& window) const;

  const Timeline<TargetPeriod> intervals_;
  const Timeline<Silence> silences_;
  const Timeline<Presence> presence_;
  const Timeline<Presence> runtime_seen_;
  // The hub was not running, or had not heard the target since it started: one for each start of the hub.
  const Timeline<TimeSpan> unheard_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HISTORY_TARGET_HISTORY_H_
