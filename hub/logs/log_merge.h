// Rows of the tail become chunks, and small chunks one (docs/logs.md, "The store"): what is to be done, the new chunk,
// and the operation that puts it in the place of what it was made of. LogMerger does these in turn.
#ifndef MUSTER_HUB_LOGS_LOG_MERGE_H_
#define MUSTER_HUB_LOGS_LOG_MERGE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/logs/chunk.h"
#include "hub/logs/tail_index.h"
#include "hub/logs/zstd_codec.h"

namespace muster::hub {

// Of text in a chunk; its last row may go beyond.
inline constexpr std::int64_t kMeantChunkBytes = 512 * 1024;
// A row waits so long for company.
inline constexpr absl::Duration kMaxTailAge = absl::Minutes(10);
// Beyond, the fullest sources are merged early.
inline constexpr std::size_t kMaxTailRows = 1'000'000;
inline constexpr std::int64_t kMaxTailBytes = 256 * 1024 * 1024;
// So many neighbours below this size become one, if their lines arrived within a day.
inline constexpr std::size_t kSmallChunks = 8;
inline constexpr std::int64_t kSmallChunkBytes = 256 * 1024;
inline constexpr absl::Duration kMaxJoinedSpan = absl::Hours(24);

struct PlannedMerge {
  std::int64_t source = 0;
  // All of its tail; else only what makes whole chunks.
  bool takes_all = false;
  bool operator==(const PlannedMerge&) const = default;
};

// The sources whose tail is to be merged now. `tails` in any order.
std::vector<PlannedMerge> PlanMerges(std::vector<SourceTail> tails, absl::Time now,
                                     std::int64_t max_tail_bytes = kMaxTailBytes);

// The rows that go into the next chunk of a source, from its first on: until it has the text that is meant, or no more
// would fit. Empty: what is left makes no whole chunk, and that is asked for.
std::span<const TailRow> RowsOfNextChunk(std::span<const TailRow> rows, bool takes_all);

// A chunk and the rows that it takes the place of.
struct Merge {
  std::int64_t source = 0;
  Chunk chunk;
  // Its index row.
  std::int64_t first_line = 0;
  std::int64_t last_line = 0;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t arrived_us = 0;
  std::int64_t lines = 0;
  std::int64_t bytes = 0;
  // Lines by level.
  std::vector<std::uint32_t> levels;
  // Stored bytes that are not what was written: taken over as they are, so that the gap they leave is known.
  bool is_damaged = false;
  // First lines of what goes.
  std::vector<std::int64_t> tail_rows;
  // Their pages cannot be read, so they cannot be deleted either: they stay in the table, and are none of the tail's.
  bool leaves_rows = false;
  std::vector<std::int64_t> chunks;
};

// Reads these rows of one source and makes a chunk of them; fewer when they do not all fit or one of them is damaged,
// which then comes alone. `rows` is not empty. DATA_LOSS "DISK_IO": the first of them could not be read this time.
absl::StatusOr<Merge> MergeTail(sqlite::Database& database, std::span<const TailRow> rows, ZstdCodec* codec);

// A row whose pages cannot be read: what the index knows of it goes on being known, as a chunk without content.
Merge MergeUnreadable(const TailRow& row);

// The newest small chunks of a source as one; with nothing to do no chunks are named.
absl::StatusOr<Merge> MergeSmallChunks(sqlite::Database& database, std::int64_t source, ZstdCodec* codec);

// Puts the chunk in and takes out what it was made of. Within an operation of the log writer.
absl::Status StoreMerge(sqlite::Database& database, const Merge& merge);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_MERGE_H_
