#include "hub/metrics/service_discovery.h"

#include <nlohmann/json.hpp>

#include "common/text.h"

namespace muster::hub {

std::string WriteServiceDiscovery(std::string_view address, std::string_view organization,
                                  const std::vector<Fleet::TargetName>& targets) {
  constexpr std::size_t kMaxAddressBytes = 300;  // a DNS name has 253
  nlohmann::json groups = nlohmann::json::array();
  for (const Fleet::TargetName& target : targets) {
    if (!target.metrics_enabled) continue;
    groups.push_back({{"targets", {CleanUtf8(address, kMaxAddressBytes)}},
                      {"labels",
                       {{"__metrics_path__", kTargetMetricsPath},
                        {"__param_id", target.id},
                        {"instance", target.name},
                        {"organization", std::string(organization)},
                        {"customerorganization", target.customer},
                        {"deploymenttarget", target.name},
                        {"deploymenttargetid", target.id}}}});
  }
  return groups.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace muster::hub
