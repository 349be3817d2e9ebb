#include "agent/deployments/picture.h"

#include <algorithm>
#include <vector>

namespace muster::agent {
namespace {

std::size_t SizeOf(const v1::DeploymentState& state) { return state.ByteSizeLong() + kFieldOverheadBytes; }

std::size_t SizeOf(const std::vector<v1::DeploymentState>& deployments) {
  std::size_t size = 0;
  for (const v1::DeploymentState& state : deployments) size += SizeOf(state);
  return size;
}

void CutResources(int limit, v1::DeploymentState& state) {
  if (state.resources_size() > limit) state.mutable_resources()->DeleteSubrange(limit, state.resources_size() - limit);
}

}  // namespace

std::size_t GoneDeploymentsBeside(std::size_t living) {
  return std::min(kMaxGoneDeployments, kMaxDeploymentsPerTarget - std::min(kMaxDeploymentsPerTarget, living));
}

void KeepWithinPictureSize(Present& present) {
  std::size_t size = SizeOf(present.deployments);
  for (const int limit : kResourceSteps) {
    if (size <= kMaxPictureBytes) return;
    for (v1::DeploymentState& state : present.deployments) CutResources(limit, state);
    size = SizeOf(present.deployments);
  }
  while (size > kMaxPictureBytes) {
    size -= SizeOf(present.deployments.back());
    present.deployments.pop_back();
    ++present.omitted;
  }
}

std::string Fingerprint(const Present& present) {
  std::string bytes = std::to_string(present.omitted);
  for (const v1::DeploymentState& state : present.deployments) {
    bytes += '\n';
    state.AppendToString(&bytes);
  }
  return bytes;
}

}  // namespace muster::agent
