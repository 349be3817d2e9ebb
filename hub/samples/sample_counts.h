// What the store of host metrics counts and measures, for /metrics. Values without behaviour.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_COUNTS_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_COUNTS_H_

#include <cstdint>
#include <functional>
#include <string_view>

namespace muster::hub {

struct SampleGauges {
  // Pages of metrics.db in use, which is what the bound is about.
  std::int64_t store_bytes = 0;
  std::int64_t limit_bytes = 0;
  bool is_writable = true;
  // In hub.db, as of the merger's last pass.
  std::int64_t waiting = 0;
  std::int64_t chunks = 0;
};

// Told on the merger's thread; must not block.
struct SampleObserver {
  // Samples that came into metrics.db.
  std::function<void(std::int64_t samples)> merged = [](std::int64_t) {};
  // Values that were forgotten: "age", "size", "volume" of metrics.db, "waiting" of hub.db, "deleted" with their
  // target.
  std::function<void(std::string_view reason, std::int64_t values)> pruned = [](std::string_view, std::int64_t) {};
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_COUNTS_H_
