#include "agent/metrics/metrics_collector.h"

#include <algorithm>
#include <utility>

#include "agent/metrics/host_sample.h"
#include "common/time_format.h"

namespace muster::agent {

MetricsCollector::MetricsCollector(Parts parts)
    : host_root_(std::move(parts.host_root)),
      clock_(parts.clock),
      records_(parts.records),
      reports_(parts.reports),
      files_(std::move(parts.files)),
      http_(std::move(parts.engine)),
      probe_(std::move(parts.stat)),
      engine_(http_.get(), {}),
      thread_(&MetricsCollector::Run, this) {}

MetricsCollector::~MetricsCollector() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  probe_.Cancel();
  http_->Cancel();
  thread_.join();
}

void MetricsCollector::SetEnabled(bool enabled) {
  MutexLock lock(&mutex_);
  if (enabled == enabled_) return;
  enabled_ = enabled;
  ++switches_;
  wake_.NotifyOne();
}

void MetricsCollector::Publish(std::vector<LogContainer> containers) {
  MutexLock lock(&mutex_);
  runtime_.containers = std::move(containers);
}

void MetricsCollector::PublishCensus(const std::optional<ContainerCensus>& census) {
  MutexLock lock(&mutex_);
  runtime_.census = census;
  runtime_.is_known = true;
}

void MetricsCollector::Run() {
  while (WaitUntilDue()) Sample();
}

bool MetricsCollector::WaitUntilDue() {
  while (true) {
    bool is_off = false;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return false;
      const Instant now = clock_->Monotonic();
      if (switches_ != switches_seen_) {
        switches_seen_ = switches_;
        schedule_.Restart(enabled_, now);
        last_.reset();
        uses_ = ContainerUses();
        is_off = !enabled_;
      } else if (now >= schedule_.due()) {
        return true;
      } else {
        wake_.WaitFor(&mutex_, std::min(schedule_.due() - now, kSampleInterval));
      }
    }
    if (is_off) reports_->PublishHost(std::nullopt, clock_->Monotonic());
  }
}

bool MetricsCollector::StillWanted() {
  MutexLock lock(&mutex_);
  return !stopping_ && switches_ == switches_seen_;
}

void MetricsCollector::Sample() {
  Runtime runtime;
  {
    MutexLock lock(&mutex_);
    runtime = runtime_;
  }
  const Moment now = clock_->Read();
  schedule_.Sampled(now.monotonic);
  v1::HostReport report = Read(runtime, now);
  if (!StillWanted()) return;
  v1::Record record;
  *record.mutable_observed_at() = ToProto(now.wall);
  *record.mutable_host_sample() = report.sample();
  records_->Append(std::move(record));
  reports_->PublishHost(std::move(report), now.monotonic);
}

v1::HostReport MetricsCollector::Read(const Runtime& runtime, Moment now) {
  HostReading reading = ReadHost(*files_, &probe_, host_root_, now);
  v1::HostReport report = MakeHostReport(last_.has_value() ? &*last_ : nullptr, reading);
  last_ = std::move(reading);
  v1::HostSample* const sample = report.mutable_sample();
  if (runtime.census.has_value()) {
    FillCensus(*runtime.census, sample);
    uses_.Update(runtime.containers, clock_, [this](const std::string& id) { return engine_.Stats(id); });
    uses_.Fill(clock_->Monotonic(), sample->memory_total_bytes(), &report);
  } else if (runtime.is_known) {
    sample->add_missing("containers");
  }
  KeepWithinLimits(&report);
  return report;
}

}  // namespace muster::agent
