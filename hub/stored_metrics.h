// `muster-hub metrics`: the metrics listener as a process of its own, over the files of a hub that runs or not. Only
// reads: it opens hub.db read-only anew for each page, takes no lock of the data folder, never checkpoints. What it
// shows is what the hub has written; where the hub has not said for 15 s that it runs, everything is as of then
// (docs/metrics.md, "Separate process").
#ifndef MUSTER_HUB_STORED_METRICS_H_
#define MUSTER_HUB_STORED_METRICS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/address.h"
#include "common/clock.h"
#include "hub/config.h"
#include "hub/fleet/fleet.h"
#include "hub/jobs/job_registry.h"
#include "hub/metrics/hub_families.h"
#include "hub/store/records.h"

namespace muster::hub {

// A hub says every 5 s that it runs; three of them may be lost.
inline constexpr absl::Duration kHubUpWithin = absl::Seconds(15);

// What hub.db says at one moment.
struct StoredHub {
  std::unique_ptr<Fleet> fleet;
  std::unique_ptr<JobRegistry> jobs;
  HubGauges gauges;
  std::vector<StoredToken> tokens;
};

// FAILED_PRECONDITION "DATABASE_TOO_NEW", "DATABASE_TOO_OLD", "NO_DATABASE" where this build cannot read it.
absl::StatusOr<StoredHub> ReadStoredHub(const std::string& data_dir, const JobRegistry::Options& jobs,
                                        const Moment& now);

// A listener that runs until it is destroyed.
class StoredMetrics {
 public:
  virtual ~StoredMetrics() = default;
  virtual HostPort address() const = 0;
  // Fails when the files cannot be read now; later on a page of a hub that cannot be read says that it is not up.
  static absl::StatusOr<std::unique_ptr<StoredMetrics>> Start(StoredMetricsConfig config, const Clock* clock);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORED_METRICS_H_
