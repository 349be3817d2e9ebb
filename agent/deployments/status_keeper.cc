#include "agent/deployments/status_keeper.h"

#include <utility>

#include "common/time_format.h"

namespace muster::agent {

void StatusKeeper::Set(types::v1::DeploymentStatus status, std::string message, absl::Time since, bool by_window,
                       absl::Time now, v1::DeploymentState& state) {
  const bool is_first = state.status() == types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  if (state.status() != status) {
    const bool is_unknown = since == absl::InfinitePast() || since > now;
    // A window that ended ends now. A time before the last change cannot be that of this one.
    const bool is_of_another_change = !is_first && (by_window_ || since < status_time_);
    status_time_ = is_unknown || is_of_another_change ? now : since;
    *state.mutable_status_time() = ToProto(status_time_);
  }
  by_window_ = by_window && status == types::v1::DEPLOYMENT_STATUS_ERROR;
  state.set_status(status);
  state.set_message(std::move(message));
}

}  // namespace muster::agent
