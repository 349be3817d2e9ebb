// One open stream of log lines. It works in steps on the scans' pool, one at a time: a step reads some lines from the
// store and writes them, then waits until they have gone out, or until there is more. So a client that does not read
// holds no thread and no lines. Thread-safe. docs/logs.md, "Live tail" and "Export".
#ifndef MUSTER_HUB_API_LINE_STREAM_H_
#define MUSTER_HUB_API_LINE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/api/caller.h"
#include "hub/api/connect_rpc.h"
#include "hub/api/log_messages.h"
#include "hub/http/worker_pool.h"
#include "hub/logs/log_scanner.h"

namespace muster::hub {

// Called from any thread. Empty ones are not called.
struct LogCallObserver {
  // A page or a volume was read. `end`: "all", "page", "bytes", "time", "error".
  std::function<void(std::string_view end, absl::Duration took, std::int64_t bytes)> scanned = nullptr;
  // So many live tails are open.
  std::function<void(std::size_t open)> tails = nullptr;
};

// What every question about logs uses; all of it outlives them.
struct LogMeans {
  LogReader* reader = nullptr;
  WorkerPool* scans = nullptr;
  const Clock* clock = nullptr;
  LogCallObserver observer = {};

  // The reader's ReadPage, observed.
  absl::StatusOr<LogPage> ReadPage(const LogSelection& selection, const LogPageRequest& request) const;
  absl::StatusOr<LogVolume> ReadVolume(const LogSelection& selection, int parts) const;
};

class LineStream : public std::enable_shared_from_this<LineStream> {
 public:
  // Without lines a message comes at least so often.
  static constexpr absl::Duration kKeepAlive = absl::Seconds(15);
  // Nothing that was written went out for so long: it ends, because streams are few.
  static constexpr absl::Duration kPatience = absl::Minutes(5);
  // Of text in one message: the limit of a stream's unsent bytes (1 MiB) holds three, also in JSON.
  static constexpr std::size_t kMessageBytes = 256 * 1024;
  // A step is short, so that streams and questions take turns on the pool.
  static constexpr ScanLimits kStepLimits = {.max_bytes = 64 * 1024 * 1024, .max_time = absl::Milliseconds(250)};

  virtual ~LineStream() = default;
  LineStream(const LineStream&) = delete;
  LineStream& operator=(const LineStream&) = delete;

  // Once, before the handler of the call returns.
  void Start();
  // There may be more lines; also now and then, so that nothing hangs on a hint.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends with `status`, unless it has ended.
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  bool ended() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The client has taken nothing for longer than kPatience.
  bool stuck() const ABSL_LOCKS_EXCLUDED(mutex_);

  const Caller& caller() const { return caller_; }

 protected:
  LineStream(const LogMeans* means, std::shared_ptr<const LogQuestion> question, Caller caller,
             std::shared_ptr<StreamSink> sink)
      : means_(*means), question_(std::move(question)), caller_(std::move(caller)), sink_(std::move(sink)) {}

  // What to do behind a step.
  enum class Next {
    kStep,      // another step, behind those of others
    kWritable,  // the same, when what was written has gone out
    kMore,      // wait for Wake
    kEnd,       // all was said
  };
  // Never two at a time. An error ends the stream.
  virtual absl::StatusOr<Next> Step() = 0;

  // Of steps only. False: not taken; to be written again when the stream is writable.
  bool Write(const google::protobuf::Message& message);
  bool IsKeepAliveDue() const { return means_.clock->Monotonic() - last_write_ >= kKeepAlive; }

  const LogMeans& means() const { return means_; }
  const LogSelection& selection() const { return question_->selection; }
  std::uint64_t selection_hash() const { return question_->hash; }

 private:
  enum class State {
    kIdle,     // waits for Wake
    kActive,   // a step runs, or waits for a thread
    kBlocked,  // waits for the client
    kEnded,
  };

  void Submit();
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // True: another step at once.
  bool Settle(Next next) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unblock() ABSL_LOCKS_EXCLUDED(mutex_);

  const LogMeans& means_;
  const std::shared_ptr<const LogQuestion> question_;
  const Caller caller_;
  const std::shared_ptr<StreamSink> sink_;
  // Of steps. The first one is due.
  Instant last_write_ = Instant::FromDuration(-absl::InfiniteDuration());

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  // Woken while active.
  bool again_ ABSL_GUARDED_BY(mutex_) = false;
  Instant blocked_since_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LINE_STREAM_H_
