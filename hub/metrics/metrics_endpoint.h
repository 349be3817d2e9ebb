// /metrics, /metrics/target and /sd/targets (docs/metrics.md): asks for a token when one is configured, then answers
// from memory. Runs on the threads of a server of its own and of a ScrapeDesk, so a scrape may block on the fleet's
// locks for a moment, never on a store. Thread-safe.
#ifndef MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_
#define MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/address.h"
#include "common/clock.h"
#include "common/secret.h"
#include "hub/fleet/fleet.h"
#include "hub/http/http.h"
#include "hub/http/router.h"
#include "hub/http/server.h"
#include "hub/metrics/exposition.h"
#include "hub/metrics/hub_metrics.h"
#include "hub/metrics/scrape_desk.h"

namespace muster::hub {

// From METRICS_ENABLED, METRICS_ADDR and METRICS_BEARER_TOKEN.
struct MetricsConfig {
  bool enabled = false;
  HostPort address{.host = "", .port = 3000};
  // Absent: anybody who reaches the address may read.
  std::optional<SecretHash> token;
};

// `getenv`: the value of a variable, nullopt when unset. Errors name the variable and what it may be.
absl::StatusOr<MetricsConfig> ReadMetricsConfig(
    const std::function<std::optional<std::string>(const std::string& name)>& getenv);

// What the pages are made of. Every function is called on any thread; in a hub none waits for a store.
struct MetricsSources {
  std::string organization;
  // There is no hub in this process.
  bool is_from_files = false;
  // Called before the others for a page, on the same thread.
  std::function<void()> begin = [] {};
  std::function<ExposedFleet()> fleet;
  std::function<void(ExposedFleet*)> add_logs;
  std::function<HubGauges()> hub;
  // Changes with everything whose series must be gone at the next scrape.
  std::function<std::int64_t()> version;
  std::function<std::vector<Fleet::TargetName>()> targets;
  std::function<absl::StatusOr<Fleet::NamedHost>(std::string_view id_or_name)> host;
  // Families of other parts.
  std::vector<PagePart> parts = {};
  // True for a hub token that may read metrics. Asked only when METRICS_BEARER_TOKEN is set and did not match.
  std::function<bool(std::string_view token)> hub_token_allows;
};

class MetricsEndpoint {
 public:
  // `counters`: null where there is no hub in this process.
  MetricsEndpoint(MetricsConfig config, MetricsSources sources, HubMetrics* counters, const Clock* clock);

  // Registers the pages on the metrics listener's router. `this` must outlive it.
  void AddTo(HttpRouter* router);
  // Every second.
  void Tick() { desk_.Tick(); }

 private:
  using Handler = void (MetricsEndpoint::*)(const HttpRequest&, std::unique_ptr<HttpResponder>);
  void Add(HttpRouter* router, const char* path, Handler handler);
  bool Allowed(std::string_view token) const;
  void HandlePage(const HttpRequest& request, std::unique_ptr<HttpResponder> responder);
  void HandleTarget(const HttpRequest& request, std::unique_ptr<HttpResponder> responder);
  void HandleDiscovery(const HttpRequest& request, std::unique_ptr<HttpResponder> responder);
  std::string MakePage(const PageKey& key) const;

  const MetricsConfig config_;
  const MetricsSources sources_;
  HubMetrics* const counters_;
  const Clock* const clock_;
  ScrapeDesk desk_;
};

// For the listener: scrapers are few, and what is not read in time was given up by Prometheus long ago.
HttpServerOptions MetricsListener(const MetricsConfig& config);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_
