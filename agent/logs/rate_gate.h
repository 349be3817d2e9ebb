// How much of what containers write is taken: docs/logs.md, "What happens to a line", 1. Token buckets for each
// resource (lines and bytes) and one for the host (bytes); what is refused is counted for a marker. Plain logic: the
// time is passed in and must not go back. Used by the collector's thread only.
#ifndef MUSTER_AGENT_LOGS_RATE_GATE_H_
#define MUSTER_AGENT_LOGS_RATE_GATE_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "common/clock.h"

namespace muster::agent {

inline constexpr std::int64_t kResourceLinesPerSecond = 2000;
inline constexpr std::int64_t kResourceBytesPerSecond = 256 * 1024;
// Three quarters of a session's 1 MiB/s; the rest is for a backlog.
inline constexpr std::int64_t kHostBytesPerSecond = 768 * 1024;
// A bucket holds what comes in this time: 20,000 lines, 2.5 MiB, 7.5 MiB.
inline constexpr absl::Duration kRateStock = absl::Seconds(10);
// So long a gate that refused refuses; then comes the marker.
inline constexpr absl::Duration kMarkerInterval = absl::Seconds(1);

// Full at first. Kept is only the moment at which it would have been empty: what flowed in since then is what it holds
// (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
class TokenBucket {
 public:
  explicit TokenBucket(std::int64_t per_second) : per_second_(per_second) {}

  bool Holds(std::int64_t tokens, Instant now) const;
  // Only what it holds.
  void Take(std::int64_t tokens, Instant now);

 private:
  absl::Duration TimeFor(std::int64_t tokens) const { return absl::Seconds(tokens) / per_second_; }

  const std::int64_t per_second_;
  Instant empty_at_ = Instant::FromDuration(-absl::InfiniteDuration());
};

// What a marker RATE tells.
struct RefusedLines {
  // Messages: a piece of a long line would have been a line, too.
  std::int64_t lines = 0;
  // The earliest and the latest of the engine's times, nanoseconds since 1970.
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
};

// Of one resource. Once it refuses it does so for a second, and then until the marker was taken: what is taken and what
// is missing stand in runs of their own, the marker between them, and there is at most one marker a second.
class RateGate {
 public:
  // `host` is that of all gates and outlives them.
  explicit RateGate(TokenBucket* host) : host_(host) {}

  // Whether a message with so many bytes of text (at most those of a stock, or it never is) is taken. Counted if not.
  bool Admit(std::int64_t bytes, std::int64_t time_ns, Instant now);
  // What was refused, when a marker is due: to be asked before each Admit, and at DueAt. The marker stands here.
  std::optional<RefusedLines> TakeRefused(Instant now);
  // When a marker is due; absent: nothing was refused.
  std::optional<Instant> DueAt() const;
  // The stream ends: all that was refused, due or not.
  std::optional<RefusedLines> Finish();

 private:
  TokenBucket* const host_;
  TokenBucket lines_{kResourceLinesPerSecond};
  TokenBucket bytes_{kResourceBytesPerSecond};
  std::optional<RefusedLines> refused_;
  // Of the first message in `refused_`.
  Instant refused_at_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_RATE_GATE_H_
