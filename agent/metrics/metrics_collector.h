// Samples the host while its target's toggle is on, writes each sample into the journal and hands the present to the
// session (docs/host-metrics.md, "Collection"). Owns one thread, and nobody waits for it: a filesystem or an engine
// that does not answer delays samples only.
#ifndef MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_
#define MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/docker/engine_client.h"
#include "agent/logs/log_sources.h"
#include "agent/metrics/container_uses.h"
#include "agent/metrics/filesystem_probe.h"
#include "agent/metrics/host_files.h"
#include "agent/metrics/host_reading.h"
#include "agent/metrics/metrics_source.h"
#include "agent/metrics/sample_schedule.h"
#include "agent/records.h"
#include "agent/reports.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

class MetricsCollector : public MetricsSource {
 public:
  struct Parts {
    // Where the host's "/" is: "" is this machine, else without a slash at the end.
    std::string host_root;
    std::unique_ptr<HostFiles> files;  // of that root
    FilesystemProbe::Stat stat = StatFilesystem;
    std::unique_ptr<HttpClient> engine;
    // Outlive the collector. The clock counts from the machine's boot: Clock::SinceBoot().
    const Clock* clock;
    RecordSink* records;
    HostReportSink* reports;
  };
  // Starts; nothing is sampled before SetEnabled(true).
  explicit MetricsCollector(Parts parts);
  // Stops within milliseconds, whatever hangs.
  ~MetricsCollector() override;

  void SetEnabled(bool enabled) override;
  void Publish(std::vector<LogContainer> containers) override;
  void PublishCensus(const std::optional<ContainerCensus>& census) override;

 private:
  // What others told.
  struct Runtime {
    std::vector<LogContainer> containers;
    std::optional<ContainerCensus> census;
    // There is one, seen or not.
    bool is_known = false;
  };

  void Run();
  // Waits until a sample is due; false when the thread is to end.
  bool WaitUntilDue();
  // False while the thread is to end or somebody switched since `switches_seen_`.
  bool StillWanted();
  void Sample();
  v1::HostReport Read(const Runtime& runtime, Moment now);

  const std::string host_root_;
  const Clock* const clock_;
  RecordSink* const records_;
  HostReportSink* const reports_;
  const std::unique_ptr<HostFiles> files_;
  const std::unique_ptr<HttpClient> http_;
  FilesystemProbe probe_;

  // The thread's own.
  EngineClient engine_;
  SampleSchedule schedule_;
  std::optional<HostReading> last_;
  ContainerUses uses_;
  std::uint64_t switches_seen_ = 0;

  Mutex mutex_;
  CondVar wake_;
  bool enabled_ ABSL_GUARDED_BY(mutex_) = false;
  // Counts changes of enabled_.
  std::uint64_t switches_ ABSL_GUARDED_BY(mutex_) = 0;
  Runtime runtime_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_
