// What the log store counts and measures, for /metrics. Values without behaviour.
#ifndef MUSTER_HUB_LOGS_LOG_COUNTS_H_
#define MUSTER_HUB_LOGS_LOG_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace muster::hub {

// Of one target, since the hub's start.
struct LogCounts {
  // Without markers.
  std::int64_t lines = 0;
  // Of text.
  std::int64_t bytes = 0;
  // Lines that are missing, as far as somebody counted them, by the reason of the marker or gap.
  std::map<std::string, std::int64_t> dropped;

  void Add(const LogCounts& more) {
    lines += more.lines;
    bytes += more.bytes;
    for (const auto& [reason, count] : more.dropped) dropped[reason] += count;
  }
};
using LogCountsByTarget = std::map<std::string, LogCounts, std::less<>>;

struct LogGauges {
  // Pages in use, which is what the bound is about.
  std::int64_t store_bytes = 0;
  std::int64_t limit_bytes = 0;
  bool is_writable = true;
  std::size_t tail_rows = 0;
  std::int64_t chunks = 0;
};

// Told on the log writer's thread or the merger's; must not block.
struct LogObserver {
  std::function<void(absl::Duration took)> committed = [](absl::Duration) {};
  // Text that came.
  std::function<void(std::int64_t bytes)> stored = [](std::int64_t) {};
  // Text that was made into a chunk.
  std::function<void(std::int64_t bytes)> merged = [](std::int64_t) {};
  // "age", "size", "volume".
  std::function<void(std::string_view reason, std::int64_t lines)> pruned = [](std::string_view, std::int64_t) {};
  std::function<void()> damaged = [] {};
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_COUNTS_H_
