// How much room the disk has on which the log store lies. A function, so that tests can make it up.
#ifndef MUSTER_HUB_LOGS_VOLUME_H_
#define MUSTER_HUB_LOGS_VOLUME_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace muster::hub {

struct VolumeSpace {
  // For us, without what is reserved for root.
  std::int64_t free_bytes = 0;
  std::int64_t total_bytes = 0;
};

// Below, and below a twentieth of the volume, logs grow no more: history needs what is left.
inline constexpr std::int64_t kEnoughFreeBytes = std::int64_t{1} << 30;

inline bool IsLow(const VolumeSpace& space) {
  return space.free_bytes < kEnoughFreeBytes || space.free_bytes < space.total_bytes / 20;
}

using VolumeProbe = std::function<absl::StatusOr<VolumeSpace>()>;

// By statvfs.
VolumeProbe VolumeOf(const std::string& folder);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_VOLUME_H_
