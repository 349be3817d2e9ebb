#include "hub/metrics/hub_families.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/time_format.h"
#include "common/version.h"

namespace muster::hub {
namespace {

void Gauge(PageWriter& page, std::string_view name, std::string_view help, double value, std::string_view unit = {}) {
  page.Family(name, FamilyType::kGauge, help, unit);
  page.Sample({}, value);
}

void Counter(PageWriter& page, std::string_view name, std::string_view help, double value) {
  page.Family(name, FamilyType::kCounter, help);
  page.Sample({}, value);
}

std::string LabelsOf(const prometheus::ClientMetric& metric) {
  std::string labels;
  for (const auto& label : metric.label) {
    if (!labels.empty()) labels += ',';
    labels += Label(label.name, label.value);
  }
  return labels;
}

void WriteHistogram(const std::string& labels, const prometheus::ClientMetric::Histogram& histogram, PageWriter& page) {
  for (const auto& bucket : histogram.bucket) {
    page.Part("_bucket", labels, page.BucketLabel(bucket.upper_bound), static_cast<double>(bucket.cumulative_count));
  }
  page.Part("_sum", labels, {}, histogram.sample_sum);
  page.Part("_count", labels, {}, static_cast<double>(histogram.sample_count));
}

// "distr_hub_store_commit_seconds" -> "seconds".
std::string_view UnitOf(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(6);
  for (const std::string_view unit : {"seconds", "bytes"}) {
    if (name.ends_with(unit)) return unit;
  }
  return {};
}

}  // namespace

void WriteHubFacts(const HubGauges& hub, PageWriter& page) {
  Gauge(page, "distr_organizations_total", "Current number of organizations.", static_cast<double>(hub.organizations));
  Gauge(page, "distr_organizations", "Current number of organizations.", static_cast<double>(hub.organizations));
  Gauge(page, "distr_customer_organizations", "Current number of customer organizations.",
        static_cast<double>(hub.customer_organizations));
  Gauge(page, "distr_hub_up", "Whether the hub runs.", hub.is_up ? 1 : 0);
  Gauge(page, "distr_hub_alive_timestamp_seconds", "Unix time at which the hub last noted that it runs.",
        UnixSeconds(hub.alive), "seconds");
  Gauge(page, "distr_hub_store_bytes", "Size of the hub's database with its write-ahead log.",
        static_cast<double>(hub.store_bytes), "bytes");
  Gauge(page, "distr_hub_audit_log_entries", "Entries of the audit log.", static_cast<double>(hub.audit_entries));
}

void WriteHubGauges(const HubGauges& hub, PageWriter& page) {
  page.Family("distr_hub_info", FamilyType::kGauge, "The hub's version; always 1.");
  page.Sample(Label("version", kVersion), 1);
  Gauge(page, "distr_hub_sessions", "Agent sessions that are open.", static_cast<double>(hub.open_sessions));
  Gauge(page, "distr_hub_store_writable", "Whether the hub can store history now.", hub.store_writable ? 1 : 0);
  Gauge(page, "distr_hub_log_store_bytes", "Size of the stored log lines, which the bound is about.",
        static_cast<double>(hub.logs.store_bytes), "bytes");
  Gauge(page, "distr_hub_log_store_limit_bytes", "What the stored log lines may take now.",
        static_cast<double>(hub.logs.limit_bytes), "bytes");
  Gauge(page, "distr_hub_log_store_writable", "Whether the hub can store log lines now.", hub.logs.is_writable ? 1 : 0);
  Gauge(page, "distr_hub_log_tail_rows", "Rows of log lines that are not merged yet.",
        static_cast<double>(hub.logs.tail_rows));
  Gauge(page, "distr_hub_log_chunks", "Chunks of log lines.", static_cast<double>(hub.logs.chunks));
  Gauge(page, "distr_hub_metric_store_bytes", "Size of the stored host metrics, which the bound is about.",
        static_cast<double>(hub.samples.store_bytes), "bytes");
  Gauge(page, "distr_hub_metric_store_limit_bytes", "What the stored host metrics may take now.",
        static_cast<double>(hub.samples.limit_bytes), "bytes");
  Gauge(page, "distr_hub_metric_store_writable", "Whether host metrics can be moved to their store now.",
        hub.samples.is_writable ? 1 : 0);
  Gauge(page, "distr_hub_metric_chunks", "Chunks of host metrics.", static_cast<double>(hub.samples.chunks));
  Gauge(page, "distr_hub_host_samples_waiting", "Samples of hosts that are not in the store of metrics yet.",
        static_cast<double>(hub.samples.waiting));
  Counter(page, "distr_hub_audit_entries_total", "Audit entries written since the hub started.",
          static_cast<double>(hub.audit_entries_written));
  Gauge(page, "distr_hub_http_connections", "Open connections of the API's HTTP listener.",
        static_cast<double>(hub.http_connections_open));
  Counter(page, "distr_hub_http_connections_refused_total",
          "Connections closed at once because of a limit on connections.",
          static_cast<double>(hub.http_connections_refused_total));
  Counter(page, "distr_hub_http_requests_refused_total",
          "Requests ended by a limit, malformed requests and failed TLS handshakes.",
          static_cast<double>(hub.http_requests_refused_total));
}

void WriteHubCounters(std::vector<prometheus::MetricFamily> families, PageWriter& page) {
  for (prometheus::MetricFamily& family : families) {
    // A registry keeps them in the order of their hashes.
    std::sort(family.metric.begin(), family.metric.end(), [](const auto& a, const auto& b) {
      return std::lexicographical_compare(
          a.label.begin(), a.label.end(), b.label.begin(), b.label.end(),
          [](const auto& x, const auto& y) { return std::tie(x.name, x.value) < std::tie(y.name, y.value); });
    });
    const FamilyType type = family.type == prometheus::MetricType::Counter     ? FamilyType::kCounter
                            : family.type == prometheus::MetricType::Histogram ? FamilyType::kHistogram
                                                                               : FamilyType::kGauge;
    page.Family(family.name, type, family.help, UnitOf(family.name));
    for (const prometheus::ClientMetric& metric : family.metric) {
      const std::string labels = LabelsOf(metric);
      if (type == FamilyType::kHistogram) {
        WriteHistogram(labels, metric.histogram, page);
      } else {
        page.Sample(labels, type == FamilyType::kCounter ? metric.counter.value : metric.gauge.value);
      }
    }
  }
}

void WriteProcess(const ProcessStats& process, PageWriter& page) {
  page.Family("process_cpu_seconds_total", FamilyType::kCounter, "Total user and system CPU time spent in seconds.",
              "seconds");
  page.Sample({}, process.cpu_seconds);
  Gauge(page, "process_open_fds", "Number of open file descriptors.", static_cast<double>(process.open_fds));
  Gauge(page, "process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(process.max_fds));
  Gauge(page, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
        static_cast<double>(process.virtual_bytes), "bytes");
  Gauge(page, "process_resident_memory_bytes", "Resident memory size in bytes.",
        static_cast<double>(process.resident_bytes), "bytes");
  Gauge(page, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
        process.start_time_seconds, "seconds");
  Gauge(page, "process_threads", "Number of OS threads of the process.", static_cast<double>(process.threads));
}

}  // namespace muster::hub
