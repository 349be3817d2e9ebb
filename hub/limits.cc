#include "hub/limits.h"

#include <sys/resource.h>

#include <algorithm>

namespace muster::hub {
namespace {

constexpr rlim_t kReservedDescriptors = 800;

}  // namespace

std::size_t MaxSessions() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t usable = std::min<rlim_t>(limit.rlim_cur, 1'000'000);
  return usable > 2 * kReservedDescriptors ? usable - kReservedDescriptors : usable / 2;
}

}  // namespace muster::hub
