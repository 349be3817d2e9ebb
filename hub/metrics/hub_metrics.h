// What the hub counts about itself, on a prometheus::Registry of its own. Every method is thread-safe and cheap: one or
// two atomic adds. Names, labels and meaning are in docs/metrics.md; known series start at 0.
#ifndef MUSTER_HUB_METRICS_HUB_METRICS_H_
#define MUSTER_HUB_METRICS_HUB_METRICS_H_

#include <prometheus/metric_family.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace muster::hub {

class HubMetrics {
 public:
  HubMetrics();
  ~HubMetrics();
  HubMetrics(const HubMetrics&) = delete;
  HubMetrics& operator=(const HubMetrics&) = delete;

  // ---- sessions of agents
  void SessionOpened();
  // `reason`: what the hub or the agent gave as the end, such as "SECRET_ROTATED", "GOODBYE", "LOST".
  void SessionEnded(std::string_view reason);
  // A Hello that was not accepted: "BAD_SECRET", "UNKNOWN_TARGET", ...
  void SessionRefused(std::string_view reason);
  void Heartbeat();
  // From the arrival of a heartbeat to its being applied to the live fleet.
  void HeartbeatApplied(absl::Duration took);
  // A frame that broke the contract: "OVERSIZED", "MALFORMED", "OUT_OF_ORDER", ...
  void FrameRefused(std::string_view reason);

  // ---- journals of agents
  void RecordsApplied(std::int64_t count);
  // "BUSY", "OUT_OF_ORDER", "NOT_SUPPORTED".
  void BatchRefused(std::string_view reason);

  // ---- store
  void StoreCommitted(absl::Duration took, std::size_t items);
  void StoreFailed();

  // ---- store of log lines
  void LogsCommitted(absl::Duration took);
  // Text.
  void LogsStored(std::int64_t bytes);
  void LogsMerged(std::int64_t bytes);
  // "age", "size", "volume".
  void LogsPruned(std::string_view reason, std::int64_t lines);
  void LogChunkDamaged();

  // ---- history of host metrics
  void SamplesStored(std::int64_t samples);
  // "age", "size", "volume", "waiting", "deleted".
  void MetricValuesPruned(std::string_view reason, std::int64_t values);

  // ---- API, over "grpc" or "connect"
  void ApiCall(std::string_view protocol, std::string_view method, absl::StatusCode code, absl::Duration took);
  // Makes the method's series at 0.
  void ApiMethod(std::string_view protocol, std::string_view method);

  // ---- logs
  // A page or a volume of log lines was read. `end`: "all", "page", "bytes", "time", "error".
  void LogScanned(std::string_view end, absl::Duration took, std::int64_t bytes);
  // So many live tails are open.
  void LogTails(std::size_t open);

  // ---- connect command: "ok", "used", "expired", "unknown", "limited", "failed"
  void ConnectRedeemed(std::string_view result);
  void Scrape(absl::Duration took);

  std::vector<prometheus::MetricFamily> Collect() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_HUB_METRICS_H_
