#include "hub/history/availability.h"

#include <algorithm>

namespace muster::hub {

namespace types = ::muster::types::v1;

void Availability::Add(const TargetPeriod& period) {
  const absl::Duration length = Within(period.from, period.to);
  if (period.state == types::TARGET_STATE_CONNECTED) available_ += length;
  if (period.state == types::TARGET_STATE_STALE) unavailable_ += length;
}

void Availability::Add(const DeploymentPeriod& period) {
  const absl::Duration length = Within(period.from, period.to);
  switch (period.status) {
    case types::DEPLOYMENT_STATUS_RUNNING:
    case types::DEPLOYMENT_STATUS_HEALTHY:
      available_ += length;
      break;
    case types::DEPLOYMENT_STATUS_ERROR:
    case types::DEPLOYMENT_STATUS_PROGRESSING:
      unavailable_ += length;
      break;
    default:
      break;
  }
}

std::optional<double> Availability::Ratio() const {
  const absl::Duration known = available_ + unavailable_;
  if (known <= absl::ZeroDuration()) return std::nullopt;
  return absl::FDivDuration(available_, known);
}

absl::Duration Availability::Within(absl::Time from, absl::Time to) const {
  return std::max(absl::ZeroDuration(), std::min(to, window_.to) - std::max(from, window_.from));
}

}  // namespace muster::hub
