// Forgets old log lines (docs/logs.md, "Retention"): by the age of their arrival, by the size of what is kept, and
// where the volume has little room. Reads on a connection of its own. Called by the thread of Logs; not thread-safe.
#ifndef MUSTER_HUB_LOGS_LOG_RETENTION_H_
#define MUSTER_HUB_LOGS_LOG_RETENTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/logs/log_store.h"
#include "hub/logs/volume.h"

namespace muster::hub {

class LogRetention {
 public:
  // What logs may come to on a volume with little room, while it has 256 MiB free, or half.
  static constexpr std::int64_t kMinBytes = 64 * 1024 * 1024;
  // The file may have so much more than the bound: a hard stop, should all else fail.
  static constexpr std::int64_t kHardStopBytes = 64 * 1024 * 1024;
  // Of Trim, with kMaxForgottenChunks each; the merger waits meanwhile.
  static constexpr int kMaxOperations = 64;
  // Of Sweep, in one operation: about 10 ms.
  static constexpr int kMaxRows = 1000;

  struct Options {
    absl::Duration keep;
    // Of pages in use.
    std::int64_t max_bytes = 0;
    // Targets that were deleted then or before; empty: none.
    std::function<absl::StatusOr<std::vector<std::string>>(absl::Time)> deleted_targets;
  };

  // `store` outlives the retention.
  static absl::StatusOr<std::unique_ptr<LogRetention>> Open(LogStore* store, Options options);

  // Chunks go, oldest first, while they are too old or too much; what kMaxOperations leave waits for the next call.
  // `go_on` is asked after each operation.
  absl::Status Trim(absl::Time now, const VolumeSpace& volume, absl::FunctionRef<bool()> go_on);
  // What is small and grows slowly: gaps, refused records, positions of deleted targets, sources without lines.
  absl::Status Sweep(absl::Time now);

  // As of the last Trim.
  std::int64_t bytes_in_use() const { return sizes_.in_use; }
  std::int64_t limit_bytes() const { return limit_bytes_; }

 private:
  struct Sizes {
    std::int64_t in_use = 0;
    std::int64_t file = 0;
  };

  LogRetention(LogStore* store, Options options, std::unique_ptr<sqlite::Database> database)
      : store_(store), options_(std::move(options)), database_(std::move(database)) {}

  absl::Status ReadSizes();
  // Sets what the file and the pages in use may have.
  absl::Status SetLimits(const VolumeSpace& volume);
  absl::StatusOr<std::int64_t> ReadNumber(sqlite::Sql sql);
  // `sql` deletes what ended at ?1 or before, at most ?2 rows; until there is no more.
  absl::Status DeleteEnded(sqlite::Sql sql, absl::Time cutoff);
  absl::Status ForgetPositions(absl::Time cutoff);
  absl::Status ForgetSources(absl::Time cutoff);

  LogStore* const store_;
  const Options options_;
  const std::unique_ptr<sqlite::Database> database_;
  std::int64_t page_bytes_ = 4096;
  Sizes sizes_;
  std::int64_t limit_bytes_ = 0;
  // The writer's limit as it was set last.
  std::int64_t max_pages_ = 0;
  bool is_volume_low_ = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_RETENTION_H_
