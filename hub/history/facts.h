// What history is made of, and what it becomes, as values. docs/history.md tells who says what.
#ifndef MUSTER_HUB_HISTORY_FACTS_H_
#define MUSTER_HUB_HISTORY_FACTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// From `from` up to but not including `to`; what goes on has no end.
struct TimeSpan {
  absl::Time from = absl::InfinitePast();
  absl::Time to = absl::InfiniteFuture();
  bool operator==(const TimeSpan&) const = default;
};

// A target in one state: what the live fleet stored, and what is composed.
struct TargetPeriod {
  types::v1::TargetState state = types::v1::TARGET_STATE_UNSPECIFIED;
  absl::Time from;
  absl::Time to = absl::InfiniteFuture();
  std::string reason;
  bool operator==(const TargetPeriod&) const = default;
};

// A deployment with one status.
struct DeploymentPeriod {
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  absl::Time from;
  absl::Time to = absl::InfiniteFuture();
  std::string message;
  std::string application_version;
  std::string revision;
  // When it began by the agent's clock; absent where it began by the hub's judgement, or before the window.
  std::optional<absl::Time> agent_time;
  bool operator==(const DeploymentPeriod&) const = default;
};

// The hub heard the target but not its deployments.
struct Silence {
  absl::Time from;
  absl::Time to = absl::InfiniteFuture();
  std::string reason;
};

// The agent ran, heard or not.
struct Presence {
  absl::Time from;
  absl::Time to;
  bool runtime_seen = false;
};

struct DeploymentChange {
  absl::Time at;
  // By the agent's clock; absent: the hub's own judgement.
  std::optional<absl::Time> agent_time;
  // UNSPECIFIED: from here on there was no such deployment.
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  std::string message;
  std::string application_version;
  std::string revision;
};

// Facts about one target, in any order.
struct TargetFacts {
  std::vector<TargetPeriod> intervals;
  std::vector<Silence> silences;
  std::vector<Presence> presence;
};

// Facts about the hub.
struct HubFacts {
  // When it ran; the present run has no end. Before the first nothing is known to be missing.
  std::vector<TimeSpan> runs;
  absl::Time now;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HISTORY_FACTS_H_
