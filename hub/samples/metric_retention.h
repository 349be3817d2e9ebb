// Forgets old host metrics (docs/host-metrics.md, "History"): by age, by the size of what is kept, where the volume has
// little room, and with their target. Reads on the store's connections. Called by the thread of Samples; not
// thread-safe.
#ifndef MUSTER_HUB_SAMPLES_METRIC_RETENTION_H_
#define MUSTER_HUB_SAMPLES_METRIC_RETENTION_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/logs/volume.h"
#include "hub/samples/sample_store.h"

namespace muster::hub {

class MetricRetention {
 public:
  // What metrics may come to on a volume with little room.
  static constexpr std::int64_t kMinBytes = 64 * 1024 * 1024;
  // The file may have so much more than the bound: a hard stop, should all else fail.
  static constexpr std::int64_t kHardStopBytes = 64 * 1024 * 1024;
  // Deleted in one transaction, of Trim in one call: 12,800 chunks are more than 10,000 hosts make in a quarter of an
  // hour.
  static constexpr std::int64_t kMaxChunks = 200;
  static constexpr int kMaxOperations = 64;

  struct Options {
    absl::Duration keep_raw;
    absl::Duration keep;
    // Of pages in use.
    std::int64_t max_bytes = 0;
    // Data of a target goes so long after it was deleted.
    absl::Duration keep_deleted;
  };

  // `store` outlives the retention.
  MetricRetention(SampleStore* store, Options options) : store_(store), options_(options) {}

  // Chunks go while they are too old or too much, raw ones first; what kMaxOperations leave waits for the next call.
  // `go_on` is asked after each transaction.
  absl::Status Trim(absl::Time now, const VolumeSpace& volume, absl::FunctionRef<bool()> go_on);
  // What is left of deleted targets.
  absl::Status Sweep(absl::Time now, absl::FunctionRef<bool()> go_on);

  // As of the last Trim.
  std::int64_t bytes_in_use() const { return in_use_; }
  std::int64_t limit_bytes() const { return limit_bytes_; }

 private:
  struct Forgotten {
    std::int64_t chunks = 0;
    std::int64_t values = 0;
  };

  // Which chunks go, as two statements.
  struct ChunkChoice {
    // Is given a bound and how many at most; answers id, count of values, time.
    sqlite::Sql find;
    // Is given an id.
    sqlite::Sql remove;
    // Of targets that stay: up to the last chunk's time queries must do without raw samples.
    bool is_raw_history = false;
  };

  absl::Status ReadSizes();
  absl::Status SetLimits(const VolumeSpace& volume);
  // At most `most` of the chunks that were chosen, in one transaction.
  absl::StatusOr<Forgotten> Forget(const ChunkChoice& choice, std::int64_t bound, std::int64_t most);
  void Tell(std::string_view reason, const Forgotten& forgotten);
  absl::Status ForgetTarget(const std::string& target_id, absl::FunctionRef<bool()> go_on);

  SampleStore* const store_;
  const Options options_;
  std::int64_t page_bytes_ = 4096;
  std::int64_t in_use_ = 0;
  std::int64_t file_ = 0;
  std::int64_t limit_bytes_ = 0;
  // The writer's limit as it was set last.
  std::int64_t max_pages_ = 0;
  bool is_volume_low_ = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_METRIC_RETENTION_H_
