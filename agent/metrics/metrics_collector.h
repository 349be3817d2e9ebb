// Samples the host while its target's toggle is on, writes each sample into the journal and hands the present to the
// session (docs/host-metrics.md, "Collection"). Owns one thread, and nobody waits for it: a filesystem or an engine
// that does not answer delays samples only.
#ifndef MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_
#define MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/docker/engine_client.h"
#include "agent/logs/log_sources.h"
#include "agent/metrics/container_uses.h"
#include "agent/metrics/filesystem_probe.h"
#include "agent/metrics/host_files.h"
#include "agent/metrics/host_reading.h"
#include "agent/metrics/metrics_source.h"
#include "agent/metrics/sample_loop.h"
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

  void SetEnabled(bool enabled) override { loop_.SetEnabled(enabled); }
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

  v1::HostReport Read(Moment now);

  const std::string host_root_;
  const Clock* const clock_;
  const std::unique_ptr<HostFiles> files_;
  const std::unique_ptr<HttpClient> http_;
  FilesystemProbe probe_;

  // The loop's thread's own.
  EngineClient engine_;
  std::optional<HostReading> last_;
  ContainerUses uses_;

  Mutex mutex_;
  Runtime runtime_ ABSL_GUARDED_BY(mutex_);

  // Last: it reads all of the above.
  SampleLoop loop_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_METRICS_COLLECTOR_H_
