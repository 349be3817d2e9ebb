// The hub's history of host metrics as one thing: the store, and the thread of low priority that moves samples into it
// and forgets (docs/host-metrics.md, "History"). Owned by main. Thread-safe but for Turn.
#ifndef MUSTER_HUB_SAMPLES_SAMPLES_H_
#define MUSTER_HUB_SAMPLES_SAMPLES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/logs/volume.h"
#include "hub/samples/metric_retention.h"
#include "hub/samples/sample_counts.h"
#include "hub/samples/sample_mover.h"
#include "hub/samples/sample_store.h"

namespace muster::hub {

class Samples {
 public:
  static constexpr absl::Duration kTurn = absl::Seconds(1);
  // A look at the waiting samples of 10,000 targets takes some 0.3 s.
  static constexpr absl::Duration kPass = absl::Minutes(1);
  static constexpr absl::Duration kTrim = absl::Seconds(10);
  static constexpr absl::Duration kSweep = absl::Hours(1);
  // Of the thread.
  static constexpr int kNice = 10;

  struct Options {
    // Holds metrics.db.
    std::string data_dir;
    // Of hub.db; outlives it.
    Store* hub = nullptr;
    MetricRetention::Options retention = {};
    const Clock* clock = nullptr;
    // Of data_dir.
    VolumeProbe volume;
    SampleObserver observer = {};
  };

  static absl::StatusOr<std::unique_ptr<Samples>> Open(Options options);
  ~Samples() { Stop(); }

  SampleStore* store() { return store_.get(); }

  // Begins the thread.
  void Start();
  // Ends it within one transaction, then the writer. Nobody asks afterwards; the writer of hub.db still runs.
  // Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // What the thread does every kTurn; for tests that do not start it.
  void Turn() ABSL_LOCKS_EXCLUDED(mutex_);

  SampleGauges gauges() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A kind of work, for the hub's log: what fails again for the same reason is not told again.
  struct Task {
    const char* failed;
    absl::Status last = absl::OkStatus();
  };

  Samples(Options options, std::unique_ptr<SampleStore> store);
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsStopping() const ABSL_LOCKS_EXCLUDED(mutex_);
  void Trim(const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);
  void Sweep(const Moment& now);
  void Move(const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);
  static void Note(const absl::Status& status, Task* task);

  const Options options_;
  const std::unique_ptr<SampleStore> store_;
  SampleMover mover_;
  MetricRetention retention_;

  // Of the thread.
  Backoff backoff_;
  Instant next_trim_;
  Instant next_sweep_;
  Instant next_move_;
  Task forgetting_{.failed = "old host metrics cannot be forgotten"};
  Task sweeping_{.failed = "host metrics of deleted targets cannot be forgotten"};
  Task moving_{.failed = "samples of hosts cannot be moved to metrics.db; they wait in hub.db"};

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t bytes_in_use_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t limit_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLES_H_
