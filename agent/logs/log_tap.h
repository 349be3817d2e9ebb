// The agent's own log, from whoever logs to the collector's thread: it only queues, because the journal, which the
// collector writes to, logs too (docs/logs.md, "The agent's own log"). agent.cc hands it to log::SetTap. Thread-safe.
#ifndef MUSTER_AGENT_LOGS_LOG_TAP_H_
#define MUSTER_AGENT_LOGS_LOG_TAP_H_

#include <cstddef>
#include <functional>
#include <string_view>

#include "agent/logs/log_sources.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mutex.h"

namespace muster::agent {

// Of text, and what stands around it in memory. A second of an agent that logs all it can; beyond, lines are counted.
inline constexpr std::size_t kMaxOwnLogBytes = 256 * 1024;

class LogTap : public log::Tap, public OwnLogSource {
 public:
  // The clock outlives this.
  explicit LogTap(const Clock* clock) : clock_(clock) {}

  // Called when there is something to take: once, then not before the next Take. On the thread that logs, with a lock
  // held, so it may neither log nor call this; null takes it off, and no call of it runs any more when this returns.
  void SetWake(std::function<void()> wake);

  void OnLine(log::Level level, std::string_view text) override;
  OwnLog Take() override;

 private:
  void WakeOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock* const clock_;

  Mutex mutex_;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  OwnLog waiting_ ABSL_GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LOG_TAP_H_
