// logs.db: the lines of all targets, in a file and with a writer of its own, so that a flood of them delays no status
// (docs/adr/0006-log-store.md). Owned by Logs. Thread-safe.
#ifndef MUSTER_HUB_LOGS_LOG_STORE_H_
#define MUSTER_HUB_LOGS_LOG_STORE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "hub/logs/log_counts.h"
#include "hub/logs/log_merge.h"
#include "hub/logs/log_writes.h"
#include "hub/logs/old_chunks.h"
#include "hub/logs/tail_index.h"
#include "hub/logs/zstd_codec.h"
#include "hub/store/store.h"

namespace muster::hub {

class LogStore {
 public:
  // Between two transactions, unless so much text waits: a sync for each batch would be most of the work.
  static constexpr absl::Duration kCommitDistance = absl::Milliseconds(100);
  static constexpr std::size_t kCommitBytes = 1024 * 1024;

  struct Options {
    LogObserver observer;
    Writer::Pacing pacing = {.distance = kCommitDistance, .enough_weight = kCommitBytes};
  };

  // A damaged file, and one in which the run before met damage (PATH.bad says so), is set aside as PATH.damaged (one is
  // kept) and a new one made: agents send again what they hold. A file of a newer hub is refused, FAILED_PRECONDITION
  // "DATABASE_TOO_NEW".
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& path, const Options& options);
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& path) { return Open(path, Options()); }

  // Stores a batch (ApplyLogBatch). `may_store` is asked on the writer thread right before: its error refuses the
  // batch. `done` runs there, too, after the commit or with the reason why nothing was stored; it must not block.
  using Done = absl::AnyInvocable<void(const absl::Status& stored, const BatchOutcome& outcome)>;
  void Apply(BatchOrigin origin, agent::v1::RecordBatch batch, absl::AnyInvocable<absl::Status()> may_store, Done done);

  // The last applied sequence numbers of the lane of logs among those that Hello lists.
  absl::StatusOr<std::vector<agent::v1::LanePosition>> Positions(std::string_view target_id,
                                                                 const std::vector<agent::v1::LanePosition>& listed);

  // Puts a merge in its place (StoreMerge) and waits until it is stored. ABORTED when what it was made of is gone.
  absl::Status Replace(const Merge& merge);
  // Takes chunks out (DeleteChunks) and waits until they are gone.
  absl::Status Forget(const std::vector<OldChunk>& chunks);
  // For whoever reads a chunk that is not what was written: it is marked, so that nobody reads it again, and counted
  // once. Returns at once.
  void NoteDamaged(const ChunkKey& chunk);

  // `stored` is called on the writer thread after each commit with lines; it must not block, nor call this. Null ends
  // it: afterwards it runs no more.
  void SetListener(std::function<void()> stored) ABSL_LOCKS_EXCLUDED(listener_mutex_);

  // OK, or why no lines can be stored now, and what to do.
  absl::Status Fault() const;

  Store& store() { return *store_; }
  const TailIndex& tail() const { return tail_; }
  const std::string& path() const { return path_; }
  const LogObserver& observer() const { return observer_; }
  std::int64_t chunks() const { return chunks_; }
  // Without a copy. `visit` must be short and not call this: the writer waits.
  void VisitCounts(absl::FunctionRef<void(const LogCountsByTarget&)> visit) const ABSL_LOCKS_EXCLUDED(counts_mutex_);

 private:
  LogStore(std::string path, LogObserver observer) : path_(std::move(path)), observer_(std::move(observer)) {}
  static absl::StatusOr<std::unique_ptr<LogStore>> TryOpen(const std::string& path, const Options& options);
  absl::Status Load();
  void OnStored(const std::string& target_id, const LogBatchOutcome& outcome);

  const std::string path_;
  const LogObserver observer_;
  TailIndex tail_;
  std::atomic<std::int64_t> chunks_{0};
  ZstdCodec codec_;  // the writer thread's
  Mutex listener_mutex_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listener_mutex_);
  mutable Mutex counts_mutex_;
  LogCountsByTarget counts_ ABSL_GUARDED_BY(counts_mutex_);
  // Last: its writer uses what is above until it has stopped.
  std::unique_ptr<Store> store_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_STORE_H_
