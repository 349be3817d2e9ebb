// The text of a marker: lines are missing in its place (docs/formats/log-chunk.md, "Text"). Written by the agent's
// collector. No state, any thread.
#ifndef MUSTER_HUB_LOGS_LOG_MARKER_H_
#define MUSTER_HUB_LOGS_LOG_MARKER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::hub {

inline constexpr std::size_t kMaxMarkerReasonBytes = 32;

struct LogMarker {
  // Points into what was given.
  std::string_view reason;
  // 0: unknown.
  std::int64_t lines = 0;
  // Microseconds since 1970 by the host's clock.
  std::int64_t to_us = 0;
  bool operator==(const LogMarker&) const = default;
};

// "REASON LINES TO", without a newline; absent: it does not read so.
std::optional<LogMarker> ParseMarker(std::string_view text);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_MARKER_H_
