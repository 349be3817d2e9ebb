// The calls about logs: QueryLogs, GetLogVolume, ListLogResources, and the streams TailLogs and ExportLogs. Checks who
// asks for what, then has it answered on the scans' own threads, so that who searches does not slow down other calls.
// Thread-safe. docs/logs.md, "Questions".
#ifndef MUSTER_HUB_API_LOG_CALLS_H_
#define MUSTER_HUB_API_LOG_CALLS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "hub/api/connect_rpc.h"
#include "hub/api/history_calls.h"
#include "hub/api/line_stream.h"
#include "hub/auth/token_store.h"

namespace muster::hub {

// Threads of the pool that answers questions about logs, and how many questions wait for one.
inline constexpr int kScanThreads = 2;
inline constexpr std::size_t kMaxWaitingScans = 32;

class LogCalls {
 public:
  static constexpr std::size_t kMaxTails = 64;
  static constexpr std::size_t kMaxExports = 4;

  // Without `means.reader` every call is UNAVAILABLE "LOGS_UNAVAILABLE".
  LogCalls(LogMeans means, const HistoryCalls* history, const TokenStore* tokens)
      : means_(std::move(means)), history_(history), tokens_(tokens) {}

  // Refer to this object.
  std::vector<UnaryMethod> Unaries();
  std::vector<StreamMethod> Streams();

  // Lines were stored. From the log writer's thread; does not block.
  void Stored() ABSL_LOCKS_EXCLUDED(mutex_);
  // Once a second, from one thread: ends streams whose token is revoked or whose client does not read, and has the
  // others look for lines.
  void Tick() ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends all streams with `status`, and answers what waits and what comes with it.
  void Stop(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Open = std::vector<std::shared_ptr<LineStream>>;

  void Query(const Caller& caller, const fleet::v1::QueryLogsRequest& request,
             const std::function<void(absl::StatusOr<fleet::v1::QueryLogsResponse>)>& done);
  void GetVolume(const Caller& caller, const fleet::v1::GetLogVolumeRequest& request,
                 const std::function<void(absl::StatusOr<fleet::v1::GetLogVolumeResponse>)>& done);
  void ListResources(const Caller& caller, const fleet::v1::ListLogResourcesRequest& request,
                     const std::function<void(absl::StatusOr<fleet::v1::ListLogResourcesResponse>)>& done);
  absl::Status Tail(const Caller& caller, const fleet::v1::TailLogsRequest& request,
                    const std::shared_ptr<StreamSink>& sink);
  absl::Status Export(const Caller& caller, const fleet::v1::ExportLogsRequest& request,
                      const std::shared_ptr<StreamSink>& sink);

  absl::Status MayAsk(const Caller& caller) const;
  // Of a message with a subject: a deployment, or the target whose agent's log is meant.
  template <typename Request>
  absl::StatusOr<HistorySubject> FindSubject(const Caller& caller, const Request& request) const;
  absl::StatusOr<std::shared_ptr<const LogQuestion>> ReadAllowed(const Caller& caller,
                                                                 const fleet::v1::LogSelection& selection) const;
  // Runs `ask` on a thread for scans and hands on what it gives; RESOURCE_EXHAUSTED "API_BUSY" when too many wait.
  template <typename Response>
  void Ask(std::function<absl::StatusOr<Response>()> ask, const std::function<void(absl::StatusOr<Response>)>& done);
  // Keeps it in `open`, of which there may be `max`.
  absl::Status StartStream(Open* open, std::size_t max, const std::shared_ptr<LineStream>& stream)
      ABSL_LOCKS_EXCLUDED(mutex_);
  Open All() ABSL_LOCKS_EXCLUDED(mutex_);
  void LetGoOfEnded() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Stopped() ABSL_LOCKS_EXCLUDED(mutex_);

  const LogMeans means_;
  const HistoryCalls* const history_;
  const TokenStore* const tokens_;

  Mutex mutex_;
  Open tails_ ABSL_GUARDED_BY(mutex_);
  Open exports_ ABSL_GUARDED_BY(mutex_);
  absl::Status stopped_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LOG_CALLS_H_
