// GET /metrics: asks for a token when one is configured, collects, writes. Runs on the threads of a server of its own,
// so a scrape may block on the fleet's lock for a moment, never on the store's writer. Thread-safe.
#ifndef MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_
#define MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/address.h"
#include "common/clock.h"
#include "common/secret.h"
#include "hub/fleet/snapshot.h"
#include "hub/http/http.h"
#include "hub/http/router.h"
#include "hub/metrics/exposition.h"
#include "hub/metrics/hub_metrics.h"

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

struct MetricsSources {
  std::function<FleetSnapshot()> fleet;
  std::function<HubGauges()> hub;
  std::function<LogCountsByTarget()> logs;
  // True for a hub token that may read metrics. Asked only when METRICS_BEARER_TOKEN is set and did not match.
  std::function<bool(std::string_view token)> hub_token_allows;
};

class MetricsEndpoint : public HttpHandler {
 public:
  MetricsEndpoint(MetricsConfig config, MetricsSources sources, HubMetrics* counters, const Clock* clock);

  // Registers GET /metrics and a page at "/" on the metrics listener's router.
  void AddTo(HttpRouter* router);

  void Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) override;

 private:
  bool Allowed(std::string_view token) const;

  const MetricsConfig config_;
  const MetricsSources sources_;
  HubMetrics* const counters_;
  const Clock* const clock_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_METRICS_ENDPOINT_H_
