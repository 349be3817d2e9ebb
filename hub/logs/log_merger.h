// Makes chunks of the tail, and larger ones of small ones (docs/logs.md, "The store"), reading on a connection of its
// own. Called by the thread of Logs; not thread-safe.
#ifndef MUSTER_HUB_LOGS_LOG_MERGER_H_
#define MUSTER_HUB_LOGS_LOG_MERGER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/logs/log_merge.h"
#include "hub/logs/log_store.h"
#include "hub/logs/zstd_codec.h"

namespace muster::hub {

class LogMerger {
 public:
  // A row that the disk does not give so often, turn after turn, is given up as damaged.
  static constexpr int kReadAttempts = 3;

  // The tail's text is to stay below `max_tail_bytes`. `store` outlives the merger.
  static absl::StatusOr<std::unique_ptr<LogMerger>> Open(LogStore* store, std::int64_t max_tail_bytes = kMaxTailBytes);

  // Merges what is due. `go_on` is asked after each merge. What fails is left for the next turn, the other sources are
  // not; returns the first error.
  absl::Status Turn(absl::Time now, absl::FunctionRef<bool()> go_on);

 private:
  LogMerger(LogStore* store, std::int64_t max_tail_bytes, std::unique_ptr<sqlite::Database> database)
      : store_(store), max_tail_bytes_(max_tail_bytes), database_(std::move(database)) {}

  // False: `go_on` did.
  absl::StatusOr<bool> MergeSource(const PlannedMerge& planned, absl::FunctionRef<bool()> go_on);
  absl::StatusOr<Merge> MakeChunk(std::span<const TailRow> rows);
  absl::Status Put(const Merge& merge);

  LogStore* const store_;
  const std::int64_t max_tail_bytes_;
  const std::unique_ptr<sqlite::Database> database_;
  ZstdCodec codec_;
  // How often the first row of a source could not be read.
  absl::flat_hash_map<std::int64_t, int> failed_reads_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_MERGER_H_
