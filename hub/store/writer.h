// The one thread that writes the hub's database. Callers hand it operations; it runs those that have gathered in one
// transaction (group commit), each in a savepoint of its own, and answers after the commit. Used by everything in the
// hub that must be durable.
//
// When a commit fails its outcome is unknown: the writer stops, refuses everything from then on, and says so in
// Fault(); readers go on. A full disk is different, SQLite rolls back cleanly: that transaction's operations are
// refused with DISK_FULL and the next one is tried.
#ifndef MUSTER_HUB_STORE_WRITER_H_
#define MUSTER_HUB_STORE_WRITER_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/sqlite/database.h"

namespace muster::hub {

class Writer {
 public:
  // Runs on the writer thread inside a transaction. A returned error rolls back this operation alone.
  using Operation = absl::AnyInvocable<absl::Status(sqlite::Database&)>;
  // Runs on the writer thread after the commit, or with the reason why nothing was stored. Must not block.
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // Operations in one transaction: a longer one makes the first caller wait without saving much (measured: 285k rows/s
  // at 1,000 a transaction, 115k at 100).
  static constexpr std::size_t kMaxBatch = 1000;
  // Waiting operations: some 50 MB at 500 bytes each. Beyond, Submit refuses with WRITER_BUSY.
  static constexpr std::size_t kMaxQueue = 100'000;

  // A transaction that has run for this long is committed, whatever waits: batches of agents' journals hold hundreds of
  // records each, and sessions and operators wait behind them.
  static constexpr absl::Duration kMaxTransaction = absl::Milliseconds(100);

  // When transactions begin: a sync for each would be most of the work.
  struct Pacing {
    // After the one before, at the earliest, as long as all that waits has a weight. What comes meanwhile shares a
    // transaction. An operation without weight has somebody who waits for it: it begins one at once.
    absl::Duration distance;
    // So much weight does not wait either.
    std::size_t enough_weight = 0;
  };

  // The WAL is moved into the database between transactions, never inside somebody's commit; so seldom because pages
  // that many transactions touch are then moved once. At 20 MB/s the WAL grows to 40 MB.
  static constexpr absl::Duration kCheckpointDistance = absl::Seconds(2);

  // Told on the writer thread after each transaction; either may be empty. When `failed` is called, Fault() says why.
  struct Observer {
    std::function<void(absl::Duration took, std::size_t operations)> committed;
    std::function<void()> failed;
    // What is stored, for the hub's log.
    const char* subject = "history";
  };

  Writer(std::unique_ptr<sqlite::Database> database, Observer observer, Pacing pacing);
  Writer(std::unique_ptr<sqlite::Database> database, Observer observer)
      : Writer(std::move(database), std::move(observer), Pacing()) {}
  // Finishes what is queued.
  ~Writer();

  // Thread-safe. `done` is called exactly once, possibly before Submit returns when the queue is full or stopped.
  void Submit(Operation operation, Done done, std::size_t weight = 0) ABSL_LOCKS_EXCLUDED(mutex_);

  // Submit and wait. Not from the writer thread. `committed` runs on the writer thread when the operation is stored,
  // before Run returns: what several callers bring into memory by it comes there in the order of the commits.
  absl::Status Run(Operation operation, absl::AnyInvocable<void()> committed = nullptr, std::size_t weight = 0)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new operations, finishes the queued ones, joins. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // OK, or why nothing can be stored now.
  absl::Status Fault() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t queued() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Item {
    Operation operation;
    Done done;
    std::size_t weight = 0;
    absl::Status result;
  };

  // Takes both only when it answers OK.
  absl::Status TryQueue(Operation& operation, Done& done, std::size_t weight) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Until a transaction is to begin, or the writer to stop; with `until` at the latest then.
  void WaitForWork(std::optional<Instant> until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Empty when `until` came first.
  std::vector<Item> NextBatch(std::optional<Instant> until) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsOver() const ABSL_LOCKS_EXCLUDED(mutex_);
  void Checkpoint();
  // Commits the first of these, all of them if there is time, and answers those. Returns what is left.
  std::span<Item> CommitSome(std::span<Item> items);
  // Sets `done` to the number of items that have run.
  absl::Status RunInTransaction(std::span<Item> items, std::size_t& done);
  bool FailedForGood(absl::Status& why) const ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteOutcome(const absl::Status& committed, std::size_t operations, absl::Duration took)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<sqlite::Database> database_;  // used by the writer thread only
  const Observer observer_;
  const Pacing pacing_;

  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  std::size_t weight_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of what waits, without weight.
  std::size_t hasty_ ABSL_GUARDED_BY(mutex_) = 0;
  // When the next transaction may begin.
  Instant next_begin_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  bool failed_for_good_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_WRITER_H_
