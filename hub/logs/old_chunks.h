// Which chunks are to be forgotten, and the operation that forgets them (docs/logs.md, "Retention"). LogRetention does
// both in turn.
#ifndef MUSTER_HUB_LOGS_OLD_CHUNKS_H_
#define MUSTER_HUB_LOGS_OLD_CHUNKS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// In one operation: 2 ms.
inline constexpr std::size_t kMaxForgottenChunks = 32;

// Of an index row.
struct ChunkKey {
  std::int64_t source = 0;
  std::int64_t last_us = 0;
  std::int64_t first_line = 0;
  bool operator==(const ChunkKey&) const = default;
};

struct OldChunk {
  ChunkKey key;
  std::int64_t lines = 0;
  // Of text.
  std::int64_t bytes = 0;
  // Else its pages are left alone: deleting them would stop the writer.
  bool is_readable = true;
  // It arrived too long ago; else there is too much.
  bool is_aged = false;
};

struct ForgetRule {
  absl::Time now;
  // What arrived then or before goes.
  absl::Time cutoff;
  // Stored bytes that have to go, whenever they arrived.
  std::int64_t excess_bytes = 0;
};

// The first chunks by line number that the rule is about, at most kMaxForgottenChunks. A chunk whose arrival is in the
// future (the hub's clock was set back) goes with the next one that is not: it came before that.
absl::StatusOr<std::vector<OldChunk>> FindOldChunks(sqlite::Database& database, const ForgetRule& rule);

// Takes them out; their lines and end are added to their sources' sums. Within an operation of the log writer.
absl::Status DeleteChunks(sqlite::Database& database, const std::vector<OldChunk>& chunks);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_OLD_CHUNKS_H_
