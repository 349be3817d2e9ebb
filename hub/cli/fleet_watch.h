// `muster status --watch`: the fleet's stream on a terminal (drawn in place), in a pipe (a line for each change) or as
// JSON (a document for each message). Survives the hub going away: says so, waits, and comes back. One thread.
#ifndef MUSTER_HUB_CLI_FLEET_WATCH_H_
#define MUSTER_HUB_CLI_FLEET_WATCH_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/clock.h"
#include "hub/cli/command_context.h"
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
  // An operator who watches wants the picture back soon; one connection in 10 s is no load.
  static constexpr Backoff::Options kRetry = {.initial = absl::Seconds(1), .maximum = absl::Seconds(10)};

  // `target_limit` 0: what suits the output.
  FleetWatch(const CommandContext& context, int target_limit, Backoff backoff);

  // Returns when interrupted, when the output is gone, or on an error that waiting does not heal. The first connection
  // has to succeed: until then nobody knows whether the address is right.
  absl::Status Run();

 private:
  absl::Status OnMessage(const fleet::v1::WatchFleetResponse& message);
  absl::Status OnTick();
  absl::Status PrintChanges();
  absl::Status Draw();
  // Says that the hub is away, and waits.
  absl::Status AwayAndWait(const absl::Status& why);
  absl::Time HubNow() const;

  const CommandContext& context_;
  const bool in_place_;
  const int target_limit_;
  Backoff backoff_;
  FleetChanges changes_;
  fleet::v1::FleetStatus status_;
  Instant status_at_;
  bool any_message_ = false;
  bool message_in_this_stream_ = false;
  // Since when and why the hub is away.
  std::optional<Instant> away_since_;
  std::string away_why_;
  int drawn_lines_ = 0;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_FLEET_WATCH_H_
