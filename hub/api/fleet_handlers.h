// muster.fleet.v1.FleetService, once for both doors: plain functions from caller and request to response, in a table
// that the Connect and the gRPC front read. Checks the caller's role and customer before anything else.
//
// Thread-safe. Handlers may block on the store, so they run on the WorkerPool.
#ifndef MUSTER_HUB_API_FLEET_HANDLERS_H_
#define MUSTER_HUB_API_FLEET_HANDLERS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "hub/api/connect_rpc.h"
#include "hub/api/history_calls.h"
#include "hub/api/host_metric_calls.h"
#include "hub/api/job_calls.h"
#include "hub/api/log_calls.h"
#include "hub/auth/token_store.h"
#include "hub/fleet/fleet.h"
#include "hub/fleet/target_admin.h"
#include "hub/store/store.h"

namespace muster::hub {

struct FleetHandlersDeps {
  Fleet* fleet = nullptr;
  TargetAdmin* admin = nullptr;
  TokenStore* tokens = nullptr;
  Store* store = nullptr;
  const Clock* clock = nullptr;
  absl::Time started;
  std::string public_url;
  // The line to paste for a connect code.
  std::function<std::string(types::v1::TargetType type, const Secret& code)> connect_command;
  // OK, or why no log lines can be stored now.
  std::function<absl::Status()> log_fault = [] { return absl::OkStatus(); };
  // Null: this hub keeps no logs. With it a pool of kScanThreads and kMaxWaitingScans, to be stopped after Stop and
  // before this goes.
  LogReader* logs = nullptr;
  WorkerPool* scans = nullptr;
  LogCallObserver log_observer = {};
  // Null: this hub keeps no samples of hosts.
  SampleReader* samples = nullptr;
  // The sample of a host that the fleet shows as present.
  std::function<std::optional<StoredSample>(std::string_view target_id)> host_present = HostMetricMeans().present;
  // What jobs pushed, of all targets.
  std::function<std::vector<fleet::v1::Job>()> jobs = [] { return std::vector<fleet::v1::Job>(); };
};

class FleetHandlers {
 public:
  // A page when the request names no size, and the most it may name.
  static constexpr int kDefaultPage = 100;
  static constexpr int kMaxPage = 1000;
  static constexpr std::string_view kServiceName = "muster.fleet.v1.FleetService";

  explicit FleetHandlers(FleetHandlersDeps deps);

  const std::vector<UnaryMethod>& unary() const { return unary_; }
  const std::vector<StreamMethod>& streams() const { return streams_; }

  // Once a second, from one thread: watchers get the fleet when it changed. Those who want the same share the work.
  // Live tails and exports are looked after.
  void Tick() ABSL_LOCKS_EXCLUDED(mutex_);
  // Log lines were stored: live tails look. From the log writer's thread; does not block.
  void LogsStored() { logs_.Stored(); }
  // Ends all streams: the hub is stopping.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What a watcher was told last; anything else is news.
  struct Told {
    std::int64_t version = 0;
    bool storing = true;
    bool storing_logs = true;
    bool grace = false;
    bool operator==(const Told&) const = default;
  };
  struct Watch {
    std::shared_ptr<StreamSink> sink;
    Caller caller;
    int target_limit = 0;
    Told told;  // of the thread that ticks, once in the list
  };

  void AddReads();
  void AddHistory();
  void AddHostMetricsAndJobs();
  void AddTargetWrites();
  void AddDeploymentWrites();
  void AddTokensAndAudit();
  void StartWatch(const Caller& caller, const fleet::v1::WatchFleetRequest& request,
                  const std::shared_ptr<StreamSink>& sink) ABSL_LOCKS_EXCLUDED(mutex_);
  Told Look() const;
  fleet::v1::FleetStatus Status(const Caller& caller, int target_limit) const;
  // Adds a method that callers of `role` or above may use.
  template <typename Request, typename Response>
  void Add(std::string name, fleet::v1::Role role,
           std::function<absl::StatusOr<Response>(const Caller&, const Request&)> handle);

  const FleetHandlersDeps deps_;
  const HistoryCalls history_;
  LogCalls logs_;
  const HostMetricCalls host_metrics_;
  const JobCalls jobs_;
  std::vector<UnaryMethod> unary_;
  std::vector<StreamMethod> streams_;

  Mutex mutex_;
  std::vector<std::shared_ptr<Watch>> watches_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_FLEET_HANDLERS_H_
