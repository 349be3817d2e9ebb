// The hub's log lines as one thing: the store, and the thread of low priority that merges, forgets and keeps room
// (docs/logs.md, "The store"). Owned by main. Thread-safe but for Turn.
#ifndef MUSTER_HUB_LOGS_LOGS_H_
#define MUSTER_HUB_LOGS_LOGS_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/logs/ballast.h"
#include "hub/logs/log_counts.h"
#include "hub/logs/log_merger.h"
#include "hub/logs/log_retention.h"
#include "hub/logs/log_store.h"
#include "hub/logs/volume.h"

namespace muster::hub {

class Logs {
 public:
  static constexpr absl::Duration kTurn = absl::Seconds(1);
  static constexpr absl::Duration kSweep = absl::Hours(1);
  // Of the thread.
  static constexpr int kNice = 10;

  struct Options {
    // Holds logs.db and logs.ballast.
    std::string data_dir;
    LogRetention::Options retention = {};
    const Clock* clock = nullptr;
    // Of data_dir.
    VolumeProbe volume;
    LogStore::Options store = {};
  };

  static absl::StatusOr<std::unique_ptr<Logs>> Open(Options options);
  ~Logs() { Stop(); }

  LogStore* store() { return store_.get(); }

  // Begins the thread.
  void Start();
  // Ends it within one merge, then the log writer, which finishes what it has. Nobody asks or stores afterwards.
  // Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // What the thread does every kTurn; for tests that do not start it.
  void Turn() ABSL_LOCKS_EXCLUDED(mutex_);

  LogGauges gauges() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A kind of work, for the hub's log: what fails again for the same reason is not told again.
  struct Task {
    const char* failed;
    absl::Status last = absl::OkStatus();
  };

  Logs(Options options, std::unique_ptr<LogStore> store, std::unique_ptr<LogMerger> merger,
       std::unique_ptr<LogRetention> retention);
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsStopping() const ABSL_LOCKS_EXCLUDED(mutex_);
  void KeepRoom() ABSL_LOCKS_EXCLUDED(mutex_);
  // Writes something, so that a fault that is over ends also while no agent tries.
  void ProveRoom();
  void Sweep(const Moment& now);
  void Merge(const Moment& now);
  static void Note(const absl::Status& status, Task* task);

  const Options options_;
  const std::unique_ptr<LogStore> store_;
  const std::unique_ptr<LogMerger> merger_;
  const std::unique_ptr<LogRetention> retention_;

  // Of the thread.
  Ballast ballast_;
  Backoff backoff_;
  Instant next_merge_;
  Instant next_sweep_;
  Task reserving_{.failed = "room for forgetting log lines cannot be reserved"};
  Task forgetting_{.failed = "old log lines cannot be forgotten"};
  Task sweeping_{.failed = "old log gaps and sources cannot be forgotten"};
  Task merging_{.failed = "log lines cannot be merged"};

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t bytes_in_use_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t limit_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOGS_H_
