// Forgets old history, little by little (docs/history.md, "Retention"). Used by the hub's ticker.
#ifndef MUSTER_HUB_STORE_RETENTION_H_
#define MUSTER_HUB_STORE_RETENTION_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "hub/store/writer.h"

namespace muster::hub {

// One pass over the tables. A step is one operation of the writer; not thread-safe.
class HistoryTrim {
 public:
  // Rows that one step deletes: about 10 ms, so that nobody waits.
  static constexpr int kMaxRows = 1000;
  // Targets or deployments that one step looks at: about 5 ms where there is nothing to delete.
  static constexpr int kMaxLooks = 500;

  // Facts that ended at `cutoff` or before go.
  explicit HistoryTrim(absl::Time cutoff) : cutoff_(cutoff) {}

  // True: there is more to do. Rows that a failed transaction brings back wait for the next pass.
  absl::StatusOr<bool> Step(sqlite::Database& database);
  std::int64_t deleted() const { return deleted_; }

 private:
  enum class Phase { kRuns, kTargets, kDeployments, kDone };

  absl::Status TrimRuns(sqlite::Database& database);
  absl::Status TrimTarget(sqlite::Database& database);
  absl::Status TrimDeployment(sqlite::Database& database);
  // `sql` deletes what ended at ?2 or before of ?1, at most ?3 rows.
  absl::Status Delete(sqlite::Database& database, sqlite::Sql sql);
  // Goes to the id behind `id_`, or stays there when it is unfinished; false: that was the last one.
  absl::StatusOr<bool> Next(sqlite::Database& database, sqlite::Sql sql);

  const absl::Time cutoff_;
  Phase phase_ = Phase::kRuns;
  std::string id_;
  int rows_left_ = 0;
  // The last step ended before it had done with `id_`.
  bool unfinished_ = false;
  std::int64_t deleted_ = 0;
};

// Runs passes through the writer, one at a time. Thread-safe.
class Retention {
 public:
  // Must outlive what it has submitted: stop the writer before destroying it.
  Retention(Writer* writer, absl::Duration keep) : writer_(writer), keep_(keep) {}

  // Begins a pass; returns at once. Nothing happens while one is running.
  void Start(absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Submit(const std::shared_ptr<HistoryTrim>& trim);
  void OnStep(const std::shared_ptr<HistoryTrim>& trim, bool more, const absl::Status& status);

  Writer* const writer_;
  const absl::Duration keep_;
  Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_RETENTION_H_
