// Runs functions when their time has come: Connect-Timeout-Ms. One thread, started with the first deadline.
// Thread-safe.
#ifndef MUSTER_HUB_API_CONNECT_RPC_DEADLINES_H_
#define MUSTER_HUB_API_CONNECT_RPC_DEADLINES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "common/clock.h"
#include "common/mutex.h"

namespace muster::hub {

class ConnectRpcDeadlines {
 public:
  explicit ConnectRpcDeadlines(const Clock* clock) : clock_(clock) {}
  // What has not come yet is dropped.
  ~ConnectRpcDeadlines();
  ConnectRpcDeadlines(const ConnectRpcDeadlines&) = delete;
  ConnectRpcDeadlines& operator=(const ConnectRpcDeadlines&) = delete;

  // `function` must be short. Returns what Cancel takes; never 0.
  std::uint64_t At(Instant time, std::function<void()> function);
  // Harmless for one that has run, is running, or was never there.
  void Cancel(Instant time, std::uint64_t id);

 private:
  void Run();

  const Clock* const clock_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_CONNECT_RPC_DEADLINES_H_
