// Notes from when to when the agent ran without a hub that heard it (docs/delivery.md, "Presence"). Plain logic, fed
// about once a second; not thread-safe.
#ifndef MUSTER_AGENT_JOURNAL_PRESENCE_H_
#define MUSTER_AGENT_JOURNAL_PRESENCE_H_

#include <optional>
#include <vector>

#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// A record this often while nobody hears: a kill -9 loses at most a minute of presence.
inline constexpr absl::Duration kPresenceInterval = absl::Minutes(1);
// Fed once a second; a longer silence is a pause of the agent itself: SIGSTOP, suspend, a machine without time to give.
inline constexpr absl::Duration kMaxTickGap = absl::Seconds(10);

class Presence {
 public:
  struct Tick {
    Moment now;
    // The hub acknowledged a heartbeat of the present session.
    bool connected = false;
    // When the last acknowledged heartbeat was sent; absent: none since the agent started.
    std::optional<Instant> heard_at;
    // The runtime could be seen all the time since the last tick.
    bool observed = false;
  };

  // The records to append now, oldest first: mostly none.
  std::vector<v1::Record> OnTick(const Tick& tick);
  // The agent stops.
  std::vector<v1::Record> Finish(Moment now);

 private:
  struct Span {
    Instant from;
    bool observed = true;
  };

  void Open(const Tick& tick, std::vector<v1::Record>* records);
  void Close(Instant until, Moment now, std::vector<v1::Record>* records);

  // What is not recorded yet.
  std::optional<Span> open_;
  std::optional<Instant> closed_at_;
  std::optional<Instant> last_tick_;
  // The last pause, which no presence may cover.
  Instant paused_at_;
  std::optional<Instant> resumed_at_;
  // Runtime seen at every tick since the last acknowledged heartbeat.
  bool observed_since_heard_ = true;
  std::optional<Instant> heard_at_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_PRESENCE_H_
