#include "hub/logs/log_merge.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/logs/kinds.h"
#include "common/status.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/chunk_writer.h"

namespace muster::hub {
namespace {

constexpr std::size_t kLevels = 7;

void CountLevels(std::string_view kinds, std::vector<std::uint32_t>* levels) {
  levels->resize(kLevels);
  for (const char byte : kinds) {
    const std::optional<LineKind> kind = KindOf(byte);
    if (kind && !kind->is_marker) ++(*levels)[static_cast<std::size_t>(kind->level)];
  }
}

std::string LevelBytes(const std::vector<std::uint32_t>& levels) {
  std::string bytes;
  for (std::size_t level = 0; level < kLevels; ++level) {
    const std::uint32_t count = level < levels.size() ? levels[level] : 0;
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(count >> shift & 0xFF));
  }
  return bytes;
}

// The index row of a part: of a row of the tail, or of a chunk.
struct Part {
  std::int64_t first_line = 0;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t arrived_us = 0;
};

void Widen(const Part& part, Merge* merge) {
  const bool is_first = merge->first_line == 0;
  if (is_first) merge->first_line = part.first_line;
  merge->first_us = is_first ? part.first_us : std::min(merge->first_us, part.first_us);
  merge->last_us = is_first ? part.last_us : std::max(merge->last_us, part.last_us);
  merge->arrived_us = std::max(merge->arrived_us, part.arrived_us);
}

// Puts parts of one source behind one another.
class Joiner {
 public:
  Joiner(std::int64_t source, ZstdCodec* codec) : reader_(codec), writer_(source, codec) { merge_.source = source; }

  // False: it does not fit, or is damaged; nothing was taken.
  bool Take(const Part& part, const Chunk& chunk) {
    const absl::Status joined = Join(chunk);
    if (!joined.ok()) {
      is_damage_ = ReasonOf(joined) != "CHUNK_FULL";
      return false;
    }
    Widen(part, &merge_);
    merge_.last_line = EndOf(reader_.lines().runs.back()) - 1;
    CountLevels(reader_.lines().kinds, &merge_.levels);
    return true;
  }
  // Why the last one was not taken.
  bool is_damage() const { return is_damage_; }
  std::int64_t bytes() const { return static_cast<std::int64_t>(writer_.text_bytes()); }

  Merge Finish() {
    merge_.lines = static_cast<std::int64_t>(writer_.lines());
    merge_.bytes = bytes();
    merge_.chunk = writer_.Finish();
    return std::move(merge_);
  }

 private:
  absl::Status Join(const Chunk& chunk) {
    RETURN_IF_ERROR(reader_.ReadHead(chunk.head, merge_.source));
    return writer_.Join(reader_, chunk.text);
  }

  Merge merge_;
  ChunkReader reader_;
  ChunkWriter writer_;
  bool is_damage_ = false;
};

// A tail row that cannot be read: what the index knows of it goes on being known.
Merge DamagedRow(const TailRow& row, Chunk chunk) {
  Merge merge;
  merge.source = row.source;
  merge.chunk = std::move(chunk);
  Widen({.first_line = row.first_line, .first_us = row.first_us, .last_us = row.last_us, .arrived_us = row.arrived_us},
        &merge);
  merge.last_line = row.first_line + row.lines - 1;
  merge.lines = row.lines;
  merge.bytes = row.bytes;
  merge.is_damaged = true;
  merge.tail_rows = {row.first_line};
  return merge;
}

// The statement selects head and text by first_line.
absl::StatusOr<Chunk> ReadChunk(sqlite::Database& database, sqlite::Sql sql, std::int64_t first_line) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool found, s.Bind(1, first_line).Step());
  if (!found) return absl::AbortedError("lines that were to be merged are gone");
  return Chunk{.head = s.Text(0), .text = s.Text(1)};
}

absl::Status DeleteOne(sqlite::Database& database, sqlite::Sql sql, std::int64_t first_line) {
  RETURN_IF_ERROR(RunBound(database, sql, [&](sqlite::Statement& s) { s.Bind(1, first_line); }));
  return database.Changes() == 1 ? absl::OkStatus() : absl::AbortedError("lines that were merged are gone");
}

struct SmallChunk {
  Part part;
  std::int64_t bytes = 0;
  bool is_damaged = false;
};

absl::StatusOr<std::vector<SmallChunk>> NewestChunks(sqlite::Database& database, std::int64_t source) {
  ASSIGN_OR_RETURN(
      sqlite::Statement s,
      database.Prepare("SELECT first_line, first_us, last_us, arrived_us, raw_bytes, damaged FROM log_chunks"
                       " WHERE source=? ORDER BY last_us DESC, first_line DESC LIMIT ?"));
  s.Bind(1, source).Bind(2, static_cast<std::int64_t>(kSmallChunks));
  std::vector<SmallChunk> chunks;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) break;
    SmallChunk& chunk = chunks.emplace_back();
    chunk.part = {.first_line = s.Int64(0), .first_us = s.Int64(1), .last_us = s.Int64(2), .arrived_us = s.Int64(3)};
    chunk.bytes = s.Int64(4);
    chunk.is_damaged = s.Bool(5);
  }
  std::sort(chunks.begin(), chunks.end(),
            [](const SmallChunk& a, const SmallChunk& b) { return a.part.first_line < b.part.first_line; });
  return chunks;
}

bool MayBecomeOne(const std::vector<SmallChunk>& chunks) {
  if (chunks.size() < kSmallChunks) return false;
  std::int64_t earliest = chunks.front().part.arrived_us;
  std::int64_t latest = earliest;
  for (const SmallChunk& chunk : chunks) {
    if (chunk.is_damaged || chunk.bytes >= kSmallChunkBytes) return false;
    earliest = std::min(earliest, chunk.part.arrived_us);
    latest = std::max(latest, chunk.part.arrived_us);
  }
  return absl::Microseconds(latest - earliest) <= kMaxJoinedSpan;
}

}  // namespace

std::vector<PlannedMerge> PlanMerges(std::vector<SourceTail> tails, absl::Time now) {
  std::sort(tails.begin(), tails.end(), [](const SourceTail& a, const SourceTail& b) {
    return std::pair(-a.bytes, a.source) < std::pair(-b.bytes, b.source);
  });
  std::size_t rows = 0;
  std::int64_t bytes = 0;
  for (const SourceTail& tail : tails) {
    rows += tail.rows;
    bytes += tail.bytes;
  }
  std::vector<PlannedMerge> planned;
  for (const SourceTail& tail : tails) {
    const bool is_too_much = rows > kMaxTailRows || bytes > kMaxTailBytes;
    const bool is_old = now - absl::FromUnixMicros(tail.arrived_us) >= kMaxTailAge;
    if (!is_too_much && !is_old && tail.bytes < kMeantChunkBytes) continue;
    planned.push_back({.source = tail.source, .takes_all = is_too_much || is_old});
    rows -= tail.rows;
    bytes -= tail.bytes;
  }
  return planned;
}

std::span<const TailRow> RowsOfNextChunk(std::span<const TailRow> rows, bool takes_all) {
  std::int64_t bytes = 0;
  std::int64_t lines = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool fits = bytes + rows[i].bytes <= static_cast<std::int64_t>(kMaxChunkTextBytes) &&
                      lines + rows[i].lines <= static_cast<std::int64_t>(kMaxChunkLines);
    if (i > 0 && !fits) return rows.first(i);
    bytes += rows[i].bytes;
    lines += rows[i].lines;
    if (bytes >= kMeantChunkBytes) return rows.first(i + 1);
  }
  return takes_all ? rows : std::span<const TailRow>();
}

absl::StatusOr<Merge> MergeTail(sqlite::Database& database, std::span<const TailRow> rows, ZstdCodec* codec) {
  Joiner joiner(rows.front().source, codec);
  std::vector<std::int64_t> taken;
  for (const TailRow& row : rows) {
    ASSIGN_OR_RETURN(Chunk chunk,
                     ReadChunk(database, "SELECT head, text FROM log_tail WHERE first_line=?", row.first_line));
    const Part part{
        .first_line = row.first_line, .first_us = row.first_us, .last_us = row.last_us, .arrived_us = row.arrived_us};
    if (joiner.Take(part, chunk)) {
      taken.push_back(row.first_line);
      continue;
    }
    if (!taken.empty()) break;
    if (joiner.is_damage()) return DamagedRow(row, std::move(chunk));
    return absl::InternalError("a row of the tail does not fit into a chunk");
  }
  Merge merge = joiner.Finish();
  merge.tail_rows = std::move(taken);
  return merge;
}

absl::StatusOr<Merge> MergeSmallChunks(sqlite::Database& database, std::int64_t source, ZstdCodec* codec) {
  ASSIGN_OR_RETURN(const std::vector<SmallChunk> chunks, NewestChunks(database, source));
  if (!MayBecomeOne(chunks)) return Merge();
  Joiner joiner(source, codec);
  std::vector<std::int64_t> taken;
  for (const SmallChunk& chunk : chunks) {
    ASSIGN_OR_RETURN(const Chunk stored, ReadChunk(database, "SELECT head, text FROM log_chunk_data WHERE first_line=?",
                                                   chunk.part.first_line));
    if (!joiner.Take(chunk.part, stored)) break;
    taken.push_back(chunk.part.first_line);
    if (joiner.bytes() >= kMeantChunkBytes) break;
  }
  // A damaged one is found again by each query; it is not for the merger to say so.
  if (taken.size() < 2) return Merge();
  Merge merge = joiner.Finish();
  merge.chunks = std::move(taken);
  return merge;
}

absl::Status StoreMerge(sqlite::Database& database, const Merge& merge) {
  for (const std::int64_t row : merge.tail_rows) {
    RETURN_IF_ERROR(DeleteOne(database, "DELETE FROM log_tail WHERE first_line=?", row));
  }
  for (const std::int64_t chunk : merge.chunks) {
    RETURN_IF_ERROR(DeleteOne(database,
                              "DELETE FROM log_chunks WHERE (source, last_us, first_line) IN"
                              " (SELECT source, last_us, first_line FROM log_chunk_data WHERE first_line=?)",
                              chunk));
    RETURN_IF_ERROR(DeleteOne(database, "DELETE FROM log_chunk_data WHERE first_line=?", chunk));
  }
  const std::string levels = LevelBytes(merge.levels);
  const auto stored_bytes = static_cast<std::int64_t>(merge.chunk.head.size() + merge.chunk.text.size());
  RETURN_IF_ERROR(RunBound(database,
                           "INSERT INTO log_chunks(source, last_us, first_line, first_us, last_line, lines, raw_bytes,"
                           " stored_bytes, arrived_us, levels, damaged) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, merge.source).Bind(2, merge.last_us).Bind(3, merge.first_line);
                             s.Bind(4, merge.first_us).Bind(5, merge.last_line).Bind(6, merge.lines);
                             s.Bind(7, merge.bytes).Bind(8, stored_bytes).Bind(9, merge.arrived_us);
                             s.BindBlob(10, levels.data(), levels.size()).Bind(11, merge.is_damaged);
                           }));
  RETURN_IF_ERROR(RunBound(database,
                           "INSERT INTO log_chunk_data(first_line, source, last_us, head, text) VALUES(?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, merge.first_line).Bind(2, merge.source).Bind(3, merge.last_us);
                             s.BindBlob(4, merge.chunk.head.data(), merge.chunk.head.size());
                             s.BindBlob(5, merge.chunk.text.data(), merge.chunk.text.size());
                           }));
  // What was in chunks before is in the sums already.
  if (merge.tail_rows.empty()) return absl::OkStatus();
  return RunBound(database,
                  "UPDATE log_sources SET lines=lines+?2, bytes=bytes+?3, first_us=min(coalesce(first_us, ?4), ?4),"
                  " last_us=max(coalesce(last_us, ?5), ?5), last_line=max(last_line, ?6) WHERE id=?1",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, merge.source).Bind(2, merge.lines).Bind(3, merge.bytes);
                    s.Bind(4, merge.first_us).Bind(5, merge.last_us).Bind(6, merge.last_line);
                  });
}

}  // namespace muster::hub
