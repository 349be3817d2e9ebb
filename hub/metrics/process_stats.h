// What /proc/self says about this process, as the process_* metrics of every Prometheus client library.
#ifndef MUSTER_HUB_METRICS_PROCESS_STATS_H_
#define MUSTER_HUB_METRICS_PROCESS_STATS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster::hub {

struct ProcessStats {
  double cpu_seconds = 0;
  std::int64_t resident_bytes = 0;
  std::int64_t virtual_bytes = 0;
  std::int64_t threads = 0;
  double start_time_seconds = 0;  // since 1970
  std::int64_t open_fds = 0;
  std::int64_t max_fds = 0;
};

struct ProcTexts {
  std::string_view stat;         // /proc/self/stat
  std::string_view system_stat;  // /proc/stat, for btime
  std::string_view limits;       // /proc/self/limits
  std::int64_t ticks_per_second = 100;
  std::int64_t page_bytes = 4096;
};

// Everything but open_fds.
absl::StatusOr<ProcessStats> ParseProcessStats(const ProcTexts& texts);

absl::StatusOr<ProcessStats> ReadProcessStats();

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_PROCESS_STATS_H_
