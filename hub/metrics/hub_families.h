// Writes the families about the hub itself and its process (docs/metrics.md). Pure.
#ifndef MUSTER_HUB_METRICS_HUB_FAMILIES_H_
#define MUSTER_HUB_METRICS_HUB_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "hub/logs/log_counts.h"
#include "hub/metrics/page_writer.h"
#include "hub/metrics/process_stats.h"
#include "hub/samples/sample_counts.h"

namespace muster::hub {

// What the hub knows about itself at the moment of the scrape.
struct HubGauges {
  // Whether it serves, or did within the last 15 s where another process tells of it.
  bool is_up = true;
  // When it last said so.
  absl::Time alive = absl::UnixEpoch();
  std::int64_t organizations = 1;
  std::int64_t customer_organizations = 0;
  std::int64_t open_sessions = 0;
  std::int64_t store_bytes = 0;
  bool store_writable = true;
  std::int64_t audit_entries = 0;
  // Written since the hub started.
  std::int64_t audit_entries_written = 0;
  std::int64_t http_connections_open = 0;
  std::uint64_t http_connections_refused_total = 0;
  std::uint64_t http_requests_refused_total = 0;
  LogGauges logs = {};
  SampleGauges samples = {};
};

// What the hub's files tell, too.
void WriteHubFacts(const HubGauges& hub, PageWriter& page);
// What only a running hub knows.
void WriteHubGauges(const HubGauges& hub, PageWriter& page);
// In the order of the families; series in the order of their labels.
void WriteHubCounters(std::vector<prometheus::MetricFamily> families, PageWriter& page);
void WriteProcess(const ProcessStats& process, PageWriter& page);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_HUB_FAMILIES_H_
