#include "agent/journal/recorder.h"

#include <utility>
#include <vector>

namespace muster::agent {

Recorder::Recorder(const Clock* clock, RecordSink* records, PresentSink* next)
    : clock_(clock), records_(records), next_(next) {}

void Recorder::Publish(Present present) {
  // Held while handing on: pictures and records must not overtake each other. Neither sink comes back here.
  MutexLock lock(&mutex_);
  sees_ = !present.fault.has_value();
  was_blind_ = was_blind_ || !sees_;
  for (v1::Record& record : book_.Update(clock_->Now(), &present)) records_->Append(std::move(record));
  next_->Publish(std::move(present));
}

bool Recorder::TakeObserved() {
  MutexLock lock(&mutex_);
  const bool observed = sees_ && !was_blind_;
  was_blind_ = !sees_;
  return observed;
}

}  // namespace muster::agent
