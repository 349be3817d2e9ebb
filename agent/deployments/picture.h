// The bounds of one picture of deployments, and how it is cut to them. Used by the books of agent/docker and
// agent/kubernetes.
#ifndef MUSTER_AGENT_DEPLOYMENTS_PICTURE_H_
#define MUSTER_AGENT_DEPLOYMENTS_PICTURE_H_

#include <array>
#include <cstddef>
#include <string>

#include "agent/present.h"

namespace muster::agent {

// Remembered although nothing is left of them, some 1 KiB each; fewer where they would crowd out living ones.
inline constexpr std::size_t kMaxGoneDeployments = 200;
inline constexpr int kMaxResourcesPerDeployment = 200;
// Below the 1 MiB of a frame, with room for the rest of a heartbeat.
inline constexpr std::size_t kMaxPictureBytes = 900 * 1024;
// Resources a deployment may have; when a picture is too large, they go first, in these steps.
inline constexpr std::array<int, 4> kResourceSteps = {kMaxResourcesPerDeployment, 50, 10, 0};
// Of tag and length around a deployment or a resource in the frame.
inline constexpr std::size_t kFieldOverheadBytes = 8;

// How many gone deployments may be remembered beside so many living ones.
std::size_t GoneDeploymentsBeside(std::size_t living);

// Leaves out resources, then whole deployments from the end, until `present.deployments` has at most kMaxPictureBytes.
void KeepWithinPictureSize(Present& present);

// One text for "has anything changed": deployments hold no maps, so their bytes are stable.
std::string Fingerprint(const Present& present);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_PICTURE_H_
