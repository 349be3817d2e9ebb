// `muster status --watch`: the fleet's stream on a terminal (drawn in place), in a pipe (a line for each change) or as
// JSON (a document for each message). Survives the hub going away: says so, waits, and comes back. One thread.
#ifndef MUSTER_HUB_CLI_FLEET_WATCH_H_
#define MUSTER_HUB_CLI_FLEET_WATCH_H_

#include <map>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/clock.h"
#include "hub/cli/command_context.h"
#include "hub/cli/lasting_stream.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

// What changed between one fleet status and the next, as lines. The first status is a change from nothing.
class FleetChanges {
 public:
  // Oldest status first. Ages are not changes.
  std::vector<Spans> Next(const fleet::v1::FleetStatus& status);

 private:
  struct Entry {
    std::string subject;
    // Equal facts: no change.
    std::string facts;
    Spans state;
  };
  using Entries = std::map<std::string, Entry>;

  Entries entries_;
};

class FleetWatch {
 public:
  // `target_limit` 0: what suits the output.
  FleetWatch(const CommandContext& context, int target_limit, Backoff backoff);

  // Returns as LastingStream does, and when the output is gone.
  absl::Status Run();

 private:
  absl::Status OnMessage(const fleet::v1::WatchFleetResponse& message);
  absl::Status OnTick();
  absl::Status PrintChanges();
  absl::Status Draw();
  absl::Time HubNow() const;

  const CommandContext& context_;
  const bool in_place_;
  const int target_limit_;
  LastingStream stream_;
  FleetChanges changes_;
  fleet::v1::FleetStatus status_;
  Instant status_at_;
  int drawn_lines_ = 0;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_FLEET_WATCH_H_
