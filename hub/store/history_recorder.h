// Takes what happened in the live fleet, in order, and has it written. Keeps what could not be written (a full disk)
// and tries again; what exceeds its bound is dropped, oldest first, and counted. Used by Fleet; thread-safe.
#ifndef MUSTER_HUB_STORE_HISTORY_RECORDER_H_
#define MUSTER_HUB_STORE_HISTORY_RECORDER_H_

#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "common/mutex.h"
#include "hub/store/writer.h"
#include "hub/store/writes.h"

namespace muster::hub {

struct TargetRemoved {
  std::string target_id;
  absl::Time at;
};
struct DeploymentArchived {
  std::string deployment_id;
  absl::Time at;
};
struct SilenceBegan {
  std::string target_id;
  OpenSilence silence;
};
struct SilenceEnded {
  std::string target_id;
  absl::Time at;
};
struct CounterConfirmed {
  std::string target_id;
  std::int64_t counter = 0;
};
using HistoryEvent = std::variant<TargetTransition, DeploymentTransition, SilenceBegan, SilenceEnded, TargetRemoved,
                                  DeploymentArchived, CounterConfirmed>;

// What the live fleet writes to.
class HistorySink {
 public:
  virtual ~HistorySink() = default;
  // Keeps the order of calls. Takes a lock of its own and calls nobody, so it may be called under a caller's lock.
  virtual void Append(std::vector<HistoryEvent> events) = 0;
  // Has appended events written soon. Not under a lock.
  virtual void Flush() = 0;
};

class HistoryRecorder : public HistorySink {
 public:
  // 200,000 events of about 500 bytes: 100 MB at the worst, hours of a fleet's changes while the disk is full.
  static constexpr std::size_t kMaxPending = 200'000;
  // Events in one operation; the writer's batch bounds the transaction.
  static constexpr std::size_t kMaxPerOperation = 1000;

  // Must outlive what it has submitted: Drain, or stop the writer, before destroying it.
  explicit HistoryRecorder(Writer* writer, std::size_t max_pending = kMaxPending)
      : writer_(writer), max_pending_(max_pending) {}

  void Append(std::vector<HistoryEvent> events) override ABSL_LOCKS_EXCLUDED(mutex_);
  // Also called by the hub's tick: retries what a full disk refused.
  void Flush() override ABSL_LOCKS_EXCLUDED(mutex_);
  // Writes all that is pending and waits for it; gives up when the writer takes nothing. For the end of a run; not on
  // the writer thread.
  void Drain() ABSL_LOCKS_EXCLUDED(mutex_);

  std::size_t pending() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::int64_t dropped() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Batch = std::vector<HistoryEvent>;
  void OnWritten(const absl::Status& status, Batch& batch) ABSL_LOCKS_EXCLUDED(mutex_);

  Writer* const writer_;
  const std::size_t max_pending_;
  mutable Mutex mutex_;
  CondVar answered_;
  std::deque<HistoryEvent> pending_ ABSL_GUARDED_BY(mutex_);
  // Events that the writer has now; they come before those in `pending_`.
  std::size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // Halved while a batch holds an event that cannot be stored, until that one is alone.
  std::size_t batch_limit_ ABSL_GUARDED_BY(mutex_) = kMaxPerOperation;
  // The writer's last answer was "not now".
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_HISTORY_RECORDER_H_
