#include "agent/metrics/metrics_collector.h"

#include <utility>

#include "agent/metrics/host_sample.h"

namespace muster::agent {

MetricsCollector::MetricsCollector(Parts parts)
    : host_root_(std::move(parts.host_root)),
      clock_(parts.clock),
      files_(std::move(parts.files)),
      http_(std::move(parts.engine)),
      probe_(std::move(parts.stat)),
      engine_(http_.get(), {}),
      loop_({.clock = parts.clock,
             .records = parts.records,
             .reports = parts.reports,
             .forget =
                 [this] {
                   last_.reset();
                   uses_ = ContainerUses();
                 },
             .read = [this](Moment now) { return Read(now); }}) {}

MetricsCollector::~MetricsCollector() {
  loop_.Stop();
  probe_.Cancel();
  http_->Cancel();
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

v1::HostReport MetricsCollector::Read(Moment now) {
  Runtime runtime;
  {
    MutexLock lock(&mutex_);
    runtime = runtime_;
  }
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
