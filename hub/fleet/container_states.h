// The runtime's words for the state of a container, and counts by them. Any other word counts as "other", so that no
// host can make up label values.
#ifndef MUSTER_HUB_FLEET_CONTAINER_STATES_H_
#define MUSTER_HUB_FLEET_CONTAINER_STATES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::hub {

// In order of the alphabet, but for the last.
inline constexpr std::array<std::string_view, 8> kContainerStates = {"created",  "dead",       "exited",  "paused",
                                                                     "removing", "restarting", "running", "other"};
inline constexpr std::size_t kRunningContainers = 6;

// By position in kContainerStates.
using ContainerCounts = std::array<std::int64_t, kContainerStates.size()>;

constexpr std::size_t ContainerStateOf(std::string_view word) {
  for (std::size_t i = 0; i + 1 < kContainerStates.size(); ++i) {
    if (kContainerStates[i] == word) return i;
  }
  return kContainerStates.size() - 1;
}
static_assert(ContainerStateOf("running") == kRunningContainers);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_CONTAINER_STATES_H_
