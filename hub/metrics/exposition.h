// Writes one scrape: the fleet, the hub's own counters and the process, as Prometheus' text format 0.0.4. A pure
// function of its input, on any thread. The families, their labels and their meaning are in docs/metrics.md.
#ifndef MUSTER_HUB_METRICS_EXPOSITION_H_
#define MUSTER_HUB_METRICS_EXPOSITION_H_

#include <prometheus/metric_family.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "hub/fleet/snapshot.h"
#include "hub/logs/log_counts.h"
#include "hub/metrics/page_writer.h"
#include "hub/metrics/process_stats.h"

namespace muster::hub {

// To the letter: Prometheus 3 refuses a scrape of another type.
inline constexpr char kExpositionContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// What the hub knows about itself at the moment of the scrape.
struct HubGauges {
  std::int64_t organizations = 1;
  std::int64_t customer_organizations = 0;
  std::int64_t open_sessions = 0;
  std::int64_t store_bytes = 0;
  bool store_writable = true;
  std::int64_t audit_entries = 0;
  std::int64_t http_connections_open = 0;
  std::uint64_t http_connections_refused_total = 0;
  std::uint64_t http_requests_refused_total = 0;
  LogGauges logs = {};
};

struct ScrapeInput {
  FleetSnapshot fleet;
  HubGauges hub;
  LogCountsByTarget logs = {};
  std::vector<prometheus::MetricFamily> counters;
  // Absent where /proc cannot be read.
  std::optional<ProcessStats> process = std::nullopt;
};

std::string WriteExposition(const ScrapeInput& input);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_EXPOSITION_H_
