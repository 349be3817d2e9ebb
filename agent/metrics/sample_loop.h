// The thread that samples while a target's toggle is on, writes each sample into the journal and hands the present to
// the session (docs/host-metrics.md, "Collection"). What a sample is made of is its owner's; nobody waits for it.
#ifndef MUSTER_AGENT_METRICS_SAMPLE_LOOP_H_
#define MUSTER_AGENT_METRICS_SAMPLE_LOOP_H_

#include <cstdint>
#include <functional>
#include <thread>

#include "agent/metrics/sample_schedule.h"
#include "agent/records.h"
#include "agent/reports.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

class SampleLoop {
 public:
  struct Parts {
    // Outlive the loop. The clock counts from the machine's boot: Clock::SinceBoot().
    const Clock* clock;
    RecordSink* records;
    HostReportSink* reports;
    // Both are called on the loop's thread. Somebody switched: what was known before is forgotten.
    std::function<void()> forget;
    // May block; whoever destroys the loop makes it return.
    std::function<v1::HostReport(Moment now)> read;
  };
  // Starts; nothing is sampled before SetEnabled(true).
  explicit SampleLoop(Parts parts);
  // Joins the thread.
  ~SampleLoop();

  // The target's toggle. Thread-safe; returns at once. Nothing that was sampled before is told from then on.
  void SetEnabled(bool enabled);
  // Nothing is told any more; final. Called before `read` is made to fail, so that no such sample is told.
  void Stop();

 private:
  void Run();
  // False when the thread is to end.
  bool WaitUntilDue();
  // False after Stop, or when somebody switched since `switches_seen_`.
  bool StillWanted();
  void Sample();

  const Parts parts_;

  // The thread's own.
  SampleSchedule schedule_;
  std::uint64_t switches_seen_ = 0;

  Mutex mutex_;
  CondVar wake_;
  bool enabled_ ABSL_GUARDED_BY(mutex_) = false;
  // Counts changes of enabled_.
  std::uint64_t switches_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_SAMPLE_LOOP_H_
