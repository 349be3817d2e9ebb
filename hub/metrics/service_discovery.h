// Prometheus' HTTP service discovery over the fleet (docs/metrics.md, "Service discovery"): a scrape target for each
// machine, all of them at this listener. Pure. https://prometheus.io/docs/prometheus/latest/http_sd/
#ifndef MUSTER_HUB_METRICS_SERVICE_DISCOVERY_H_
#define MUSTER_HUB_METRICS_SERVICE_DISCOVERY_H_

#include <string>
#include <string_view>
#include <vector>

#include "hub/fleet/fleet.h"

namespace muster::hub {

inline constexpr char kTargetMetricsPath[] = "/metrics/target";

// `address`: HOST:PORT of this listener, as the client reaches it. Targets whose metrics are switched off are left out.
std::string WriteServiceDiscovery(std::string_view address, std::string_view organization,
                                  const std::vector<Fleet::TargetName>& targets);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_SERVICE_DISCOVERY_H_
