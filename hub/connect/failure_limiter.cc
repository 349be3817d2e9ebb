#include "hub/connect/failure_limiter.h"

namespace muster::hub {

bool FailureLimiter::Allows(const std::string& address, Instant now) {
  MutexLock lock(&mutex_);
  const auto found = windows_.find(address);
  if (found == windows_.end()) return true;
  if (now - found->second.start >= kWindow) {
    windows_.erase(found);
    return true;
  }
  return found->second.failures < kMaxFailures;
}

void FailureLimiter::Failed(const std::string& address, Instant now) {
  MutexLock lock(&mutex_);
  const auto found = windows_.find(address);
  if (found != windows_.end() && now - found->second.start < kWindow) {
    ++found->second.failures;
    return;
  }
  if (windows_.size() >= kMaxAddresses) {
    std::erase_if(windows_, [&](const auto& entry) { return now - entry.second.start >= kWindow; });
    if (windows_.size() >= kMaxAddresses) return;
  }
  windows_[address] = {.start = now, .failures = 1};
}

}  // namespace muster::hub
