// Stands between the observer and the session: stamps the pictures with the times of changes, appends the changes to
// the journal, and hands the pictures on. Thread-safe.
#ifndef MUSTER_AGENT_JOURNAL_RECORDER_H_
#define MUSTER_AGENT_JOURNAL_RECORDER_H_

#include "agent/journal/change_book.h"
#include "agent/present.h"
#include "agent/records.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

class Recorder : public PresentSink {
 public:
  // All outlive the recorder.
  Recorder(const Clock* clock, RecordSink* records, PresentSink* next);

  void Publish(Present present) override;

  // Whether the runtime could be seen all the time since the last call.
  bool TakeObserved();

 private:
  const Clock* const clock_;
  RecordSink* const records_;
  PresentSink* const next_;

  Mutex mutex_;
  ChangeBook book_ ABSL_GUARDED_BY(mutex_);
  bool sees_ ABSL_GUARDED_BY(mutex_) = false;
  bool was_blind_ ABSL_GUARDED_BY(mutex_) = true;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_RECORDER_H_
