#include "hub/metrics/hub_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <string>

#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

// From a group commit on a fast disk (0.2 ms) to one that somebody notices.
const Histogram::BucketBoundaries kFast = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5};

Family<Counter>& MakeCounter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Histogram& MakeHistogram(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kFast);
}

std::string CodeLabel(absl::StatusCode code) {
  return std::string(code == absl::StatusCode::kOk ? "ok" : ConnectCode(code));
}

}  // namespace

struct HubMetrics::Families {
  prometheus::Registry registry;

  Counter& sessions_opened =
      MakeCounter(registry, "distr_hub_sessions_opened_total", "Agent sessions accepted since the hub started.")
          .Add({});
  Family<Counter>& sessions_ended =
      MakeCounter(registry, "distr_hub_sessions_ended_total", "Agent sessions that ended, by reason.");
  Family<Counter>& sessions_refused =
      MakeCounter(registry, "distr_hub_sessions_refused_total", "Hellos that were not accepted, by reason.");
  Counter& heartbeats = MakeCounter(registry, "distr_hub_heartbeats_total", "Heartbeats taken from agents.").Add({});
  Histogram& heartbeat_apply =
      MakeHistogram(registry, "distr_hub_heartbeat_apply_seconds", "From a heartbeat's arrival to the live fleet.");
  Family<Counter>& frames_refused = MakeCounter(registry, "distr_hub_frames_refused_total",
                                                "Frames that broke the agents' wire contract, by reason.");
  Counter& records_applied =
      MakeCounter(registry, "distr_journal_applied_records_total", "Records of agents' journals that were stored.")
          .Add({});
  Family<Counter>& batches_refused = MakeCounter(registry, "distr_journal_batches_refused_total",
                                                 "Batches of records that were not stored, by reason.");
  Histogram& store_commit =
      MakeHistogram(registry, "distr_hub_store_commit_seconds", "Duration of the store's group commits.");
  Counter& store_items =
      MakeCounter(registry, "distr_hub_store_items_total", "Items that the store's writer committed.").Add({});
  Counter& store_failures = MakeCounter(registry, "distr_hub_store_failures_total", "Commits that failed.").Add({});
  Histogram& log_commit =
      MakeHistogram(registry, "distr_hub_log_commit_seconds", "Duration of the log store's group commits.");
  Counter& log_raw =
      MakeCounter(registry, "distr_hub_log_raw_bytes_total", "Text of log lines that were stored, before compression.")
          .Add({});
  Counter& log_merged =
      MakeCounter(registry, "distr_hub_log_merged_bytes_total", "Text of log lines that was made into chunks.").Add({});
  Family<Counter>& log_pruned =
      MakeCounter(registry, "distr_hub_log_pruned_lines_total", "Log lines that were forgotten, by reason.");
  Counter& log_damaged =
      MakeCounter(registry, "distr_hub_log_chunks_damaged_total", "Chunks of log lines that were found damaged.")
          .Add({});
  Counter& samples_stored =
      MakeCounter(registry, "distr_hub_host_samples_total", "Samples of hosts that were stored.").Add({});
  Family<Counter>& metric_values_pruned = MakeCounter(registry, "distr_hub_metric_values_pruned_total",
                                                      "Values of host metrics that were forgotten, by reason.");
  Family<Counter>& api_requests = MakeCounter(registry, "distr_hub_api_requests_total",
                                              "Calls of the operators' API, by protocol, method and code.");
  Family<Histogram>& api_seconds = prometheus::BuildHistogram()
                                       .Name("distr_hub_api_request_seconds")
                                       .Help("Duration of the operators' API calls, by protocol.")
                                       .Register(registry);
  Family<Counter>& connect_redeemed =
      MakeCounter(registry, "distr_hub_connect_requests_total", "Fetches of the install script, by result.");
  Family<Counter>& log_scans = MakeCounter(registry, "distr_hub_log_scans_total",
                                           "Pages and volumes of log lines that were read, by their end.");
  Histogram& log_scan = MakeHistogram(registry, "distr_hub_log_scan_seconds", "Time to read one of them.");
  Counter& log_scanned_bytes =
      MakeCounter(registry, "distr_hub_log_scanned_bytes_total", "Text of log lines that scans looked at.").Add({});
  Gauge& log_tails =
      prometheus::BuildGauge().Name("distr_hub_log_tails").Help("Live tails that are open.").Register(registry).Add({});
  Histogram& scrape =
      MakeHistogram(registry, "distr_hub_scrape_seconds", "Time to collect and write this page, without the network.");

  Families() {
    // Known series start at 0, so that their first increase is seen.
    for (const char* reason : {"GOODBYE", "LOST", "SECRET_ROTATED", "TARGET_DELETED", "SUPERSEDED", "OVERLOADED",
                               "DRAINING", "PROTOCOL_ERROR"}) {
      sessions_ended.Add({{"reason", reason}});
    }
    for (const char* reason : {"BAD_SECRET", "SECRET_ROTATED", "UNKNOWN_TARGET", "TOO_OLD", "OVERLOADED"}) {
      sessions_refused.Add({{"reason", reason}});
    }
    for (const char* reason : {"OVERSIZED", "MALFORMED", "OUT_OF_ORDER"}) frames_refused.Add({{"reason", reason}});
    for (const char* reason : {"BUSY", "OUT_OF_ORDER", "NOT_SUPPORTED"}) batches_refused.Add({{"reason", reason}});
    for (const char* result : {"ok", "used", "expired", "unknown", "limited", "failed"}) {
      connect_redeemed.Add({{"result", result}});
    }
    for (const char* reason : {"age", "size", "volume"}) log_pruned.Add({{"reason", reason}});
    for (const char* reason : {"age", "size", "volume", "waiting", "deleted"}) {
      metric_values_pruned.Add({{"reason", reason}});
    }
    for (const char* end : {"all", "page", "bytes", "time", "error"}) log_scans.Add({{"end", end}});
    for (const char* protocol : {"grpc", "connect"}) api_seconds.Add({{"protocol", protocol}}, kFast);
  }
};

HubMetrics::HubMetrics() : families_(std::make_unique<Families>()) {}
HubMetrics::~HubMetrics() = default;

void HubMetrics::SessionOpened() { families_->sessions_opened.Increment(); }

void HubMetrics::SessionEnded(std::string_view reason) {
  families_->sessions_ended.Add({{"reason", std::string(reason)}}).Increment();
}

void HubMetrics::SessionRefused(std::string_view reason) {
  families_->sessions_refused.Add({{"reason", std::string(reason)}}).Increment();
}

void HubMetrics::Heartbeat() { families_->heartbeats.Increment(); }

void HubMetrics::HeartbeatApplied(absl::Duration took) {
  families_->heartbeat_apply.Observe(absl::ToDoubleSeconds(took));
}

void HubMetrics::FrameRefused(std::string_view reason) {
  families_->frames_refused.Add({{"reason", std::string(reason)}}).Increment();
}

void HubMetrics::RecordsApplied(std::int64_t count) {
  families_->records_applied.Increment(static_cast<double>(count));
}

void HubMetrics::BatchRefused(std::string_view reason) {
  families_->batches_refused.Add({{"reason", std::string(reason)}}).Increment();
}

void HubMetrics::StoreCommitted(absl::Duration took, std::size_t items) {
  families_->store_commit.Observe(absl::ToDoubleSeconds(took));
  families_->store_items.Increment(static_cast<double>(items));
}

void HubMetrics::StoreFailed() { families_->store_failures.Increment(); }

void HubMetrics::LogsCommitted(absl::Duration took) { families_->log_commit.Observe(absl::ToDoubleSeconds(took)); }

void HubMetrics::LogsStored(std::int64_t bytes) { families_->log_raw.Increment(static_cast<double>(bytes)); }

void HubMetrics::LogsMerged(std::int64_t bytes) { families_->log_merged.Increment(static_cast<double>(bytes)); }

void HubMetrics::LogsPruned(std::string_view reason, std::int64_t lines) {
  families_->log_pruned.Add({{"reason", std::string(reason)}}).Increment(static_cast<double>(lines));
}

void HubMetrics::LogChunkDamaged() { families_->log_damaged.Increment(); }

void HubMetrics::ApiCall(std::string_view protocol, std::string_view method, absl::StatusCode code,
                         absl::Duration took) {
  const std::string name(protocol);
  families_->api_requests.Add({{"protocol", name}, {"method", std::string(method)}, {"code", CodeLabel(code)}})
      .Increment();
  families_->api_seconds.Add({{"protocol", name}}, kFast).Observe(absl::ToDoubleSeconds(took));
}

void HubMetrics::ApiMethod(std::string_view protocol, std::string_view method) {
  families_->api_requests.Add({{"protocol", std::string(protocol)}, {"method", std::string(method)}, {"code", "ok"}});
}

void HubMetrics::SamplesStored(std::int64_t samples) {
  families_->samples_stored.Increment(static_cast<double>(samples));
}

void HubMetrics::MetricValuesPruned(std::string_view reason, std::int64_t values) {
  families_->metric_values_pruned.Add({{"reason", std::string(reason)}}).Increment(static_cast<double>(values));
}

void HubMetrics::LogScanned(std::string_view end, absl::Duration took, std::int64_t bytes) {
  families_->log_scans.Add({{"end", std::string(end)}}).Increment();
  families_->log_scan.Observe(absl::ToDoubleSeconds(took));
  families_->log_scanned_bytes.Increment(static_cast<double>(bytes));
}

void HubMetrics::LogTails(std::size_t open) { families_->log_tails.Set(static_cast<double>(open)); }

void HubMetrics::ConnectRedeemed(std::string_view result) {
  families_->connect_redeemed.Add({{"result", std::string(result)}}).Increment();
}

void HubMetrics::Scrape(absl::Duration took) { families_->scrape.Observe(absl::ToDoubleSeconds(took)); }

std::vector<prometheus::MetricFamily> HubMetrics::Collect() const { return families_->registry.Collect(); }

}  // namespace muster::hub
