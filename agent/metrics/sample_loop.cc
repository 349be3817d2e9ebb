#include "agent/metrics/sample_loop.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/time_format.h"

namespace muster::agent {

SampleLoop::SampleLoop(Parts parts) : parts_(std::move(parts)), thread_(&SampleLoop::Run, this) {}

SampleLoop::~SampleLoop() {
  Stop();
  thread_.join();
}

void SampleLoop::SetEnabled(bool enabled) {
  MutexLock lock(&mutex_);
  if (enabled == enabled_) return;
  enabled_ = enabled;
  ++switches_;
  wake_.NotifyOne();
}

void SampleLoop::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  wake_.NotifyOne();
}

void SampleLoop::Run() {
  while (WaitUntilDue()) Sample();
}

bool SampleLoop::WaitUntilDue() {
  while (true) {
    bool is_switched = false;
    bool is_off = false;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return false;
      const Instant now = parts_.clock->Monotonic();
      if (switches_ != switches_seen_) {
        switches_seen_ = switches_;
        schedule_.Restart(enabled_, now);
        is_switched = true;
        is_off = !enabled_;
      } else if (now >= schedule_.due()) {
        return true;
      } else {
        wake_.WaitFor(&mutex_, std::min(schedule_.due() - now, kSampleInterval));
      }
    }
    if (is_switched) parts_.forget();
    if (is_off) parts_.reports->PublishHost(std::nullopt, parts_.clock->Monotonic());
  }
}

bool SampleLoop::StillWanted() {
  MutexLock lock(&mutex_);
  return !stopping_ && switches_ == switches_seen_;
}

void SampleLoop::Sample() {
  const Moment now = parts_.clock->Read();
  schedule_.Sampled(now.monotonic);
  v1::HostReport report = parts_.read(now);
  if (!StillWanted()) return;
  v1::Record record;
  *record.mutable_observed_at() = ToProto(now.wall);
  *record.mutable_host_sample() = report.sample();
  parts_.records->Append(std::move(record));
  parts_.reports->PublishHost(std::move(report), now.monotonic);
}

}  // namespace muster::agent
