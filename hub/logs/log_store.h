// logs.db: the lines of all targets, in a file and with a writer of its own, so that a flood of them delays no status
// (docs/adr/0006-log-store.md). Owned by main. Thread-safe.
#ifndef MUSTER_HUB_LOGS_LOG_STORE_H_
#define MUSTER_HUB_LOGS_LOG_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/logs/log_merge.h"
#include "hub/logs/log_writes.h"
#include "hub/logs/tail_index.h"
#include "hub/logs/zstd_codec.h"
#include "hub/store/store.h"

namespace muster::hub {

class LogStore {
 public:
  // Between two transactions, unless so much text waits: a sync for each batch would be most of the work.
  static constexpr absl::Duration kCommitDistance = absl::Milliseconds(50);
  static constexpr std::size_t kCommitBytes = 1024 * 1024;

  // A damaged file is set aside as PATH.damaged (one is kept) and a new one made: agents send again what they hold. A
  // file of a newer hub is refused, FAILED_PRECONDITION "DATABASE_TOO_NEW".
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& path, Writer::Observer observer);
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& path) { return Open(path, {}); }

  // Stores a batch (ApplyLogBatch). `may_store` is asked on the writer thread right before: its error refuses the
  // batch. `done` runs there, too, after the commit or with the reason why nothing was stored; it must not block.
  using Done = absl::AnyInvocable<void(const absl::Status& stored, const BatchOutcome& outcome)>;
  void Apply(BatchOrigin origin, agent::v1::RecordBatch batch, absl::AnyInvocable<absl::Status()> may_store, Done done);

  // The last applied sequence numbers of the lane of logs among those that Hello lists.
  absl::StatusOr<std::vector<agent::v1::LanePosition>> Positions(std::string_view target_id,
                                                                 const std::vector<agent::v1::LanePosition>& listed);

  // Puts a merge in its place (StoreMerge) and waits until it is stored. ABORTED when what it was made of is gone.
  absl::Status Replace(const Merge& merge);

  Store& store() { return *store_; }
  const TailIndex& tail() const { return tail_; }

 private:
  explicit LogStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  TailIndex tail_;
  ZstdCodec codec_;  // the writer thread's
  // Last: its writer uses what is above until it has stopped.
  std::unique_ptr<Store> store_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_STORE_H_
