// Where the lines of each source lie in the tail (docs/logs.md, "The store"): the table has no index, because keeping
// one would cost a page for each row. Filled at the start, then told of every commit. Thread-safe.
#ifndef MUSTER_HUB_LOGS_TAIL_INDEX_H_
#define MUSTER_HUB_LOGS_TAIL_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/mutex.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// A row of log_tail without its content. Times are microseconds since 1970 by the hub's clock.
struct TailRow {
  std::int64_t first_line = 0;
  std::int64_t source = 0;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t arrived_us = 0;
  std::int32_t lines = 0;
  // Of text.
  std::int32_t bytes = 0;
  bool operator==(const TailRow&) const = default;
};

// All rows of a source.
struct SourceTail {
  std::int64_t source = 0;
  std::size_t rows = 0;
  std::int64_t bytes = 0;
  // Of its first row.
  std::int64_t arrived_us = 0;
  bool operator==(const SourceTail&) const = default;
};

class TailIndex {
 public:
  struct Totals {
    std::size_t rows = 0;
    std::int64_t bytes = 0;
    bool operator==(const Totals&) const = default;
  };

  // Reads the table. Before anything else.
  absl::Status Load(sqlite::Database& database) ABSL_LOCKS_EXCLUDED(mutex_);
  // Rows that were committed, in the order of the commits: those of a source rise.
  void Add(const std::vector<TailRow>& rows) ABSL_LOCKS_EXCLUDED(mutex_);
  // The rows of a source before this line number became chunks, or were given up.
  void RemoveBefore(std::int64_t source, std::int64_t line) ABSL_LOCKS_EXCLUDED(mutex_);

  // In the order of their numbers.
  std::vector<TailRow> RowsOf(std::int64_t source) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Of every source that has rows, in any order.
  std::vector<SourceTail> Sources() const ABSL_LOCKS_EXCLUDED(mutex_);
  Totals totals() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The number behind the last line that it was told of, also when that has become part of a chunk.
  std::int64_t next_line() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void AddOne(const TailRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  absl::flat_hash_map<std::int64_t, std::vector<TailRow>> rows_ ABSL_GUARDED_BY(mutex_);  // by source
  Totals totals_ ABSL_GUARDED_BY(mutex_);
  std::int64_t next_line_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TAIL_INDEX_H_
