#include "hub/logs/old_chunks.h"

#include <set>

#include "common/status.h"

namespace muster::hub {
namespace {

// Reads all of it: SQLite walks the same pages to free them.
bool IsReadable(sqlite::Database& database, std::int64_t first_line) {
  auto s = database.Prepare("SELECT head, text FROM log_chunk_data WHERE first_line=?");
  return s.ok() && s->Bind(1, first_line).Step().ok();
}

}  // namespace

absl::StatusOr<std::vector<OldChunk>> FindOldChunks(sqlite::Database& database, const ForgetRule& rule) {
  std::vector<OldChunk> found;
  {
    ASSIGN_OR_RETURN(sqlite::Statement s,
                     database.Prepare("SELECT c.source, c.last_us, c.first_line, c.lines, c.raw_bytes, c.stored_bytes,"
                                      " c.arrived_us FROM log_chunk_data d JOIN log_chunks c ON c.source=d.source"
                                      " AND c.last_us=d.last_us AND c.first_line=d.first_line ORDER BY d.first_line"));
    std::int64_t excess = rule.excess_bytes;
    // Those that came from the future stand behind it until one that did not decides.
    std::size_t decided = 0;
    while (decided < kMaxForgottenChunks) {
      ASSIGN_OR_RETURN(const bool row, s.Step());
      if (!row) break;
      const absl::Time arrived = s.Time(6);
      const bool is_excess = excess > 0;
      if (!is_excess && arrived > rule.cutoff && arrived <= rule.now) break;
      if (found.size() < kMaxForgottenChunks) {
        found.push_back({.key = {.source = s.Int64(0), .last_us = s.Int64(1), .first_line = s.Int64(2)},
                         .lines = s.Int64(3),
                         .bytes = s.Int64(4),
                         .is_readable = true,
                         .is_aged = !is_excess});
      }
      if (is_excess || arrived <= rule.cutoff) decided = found.size();
      excess -= s.Int64(5);
    }
    found.resize(decided);
  }
  for (OldChunk& chunk : found) chunk.is_readable = IsReadable(database, chunk.key.first_line);
  return found;
}

absl::Status DeleteChunks(sqlite::Database& database, const std::vector<OldChunk>& chunks) {
  std::set<std::int64_t> sources;
  for (const OldChunk& chunk : chunks) {
    const ChunkKey& key = chunk.key;
    if (chunk.is_readable) {
      RETURN_IF_ERROR(RunBound(database, "DELETE FROM log_chunk_data WHERE first_line=?",
                               [&](sqlite::Statement& s) { s.Bind(1, key.first_line); }));
    }
    RETURN_IF_ERROR(
        RunBound(database, "DELETE FROM log_chunks WHERE source=? AND last_us=? AND first_line=?",
                 [&](sqlite::Statement& s) { s.Bind(1, key.source).Bind(2, key.last_us).Bind(3, key.first_line); }));
    if (database.Changes() != 1) return absl::AbortedError("chunks that were to be forgotten are gone");
    RETURN_IF_ERROR(RunBound(database,
                             "UPDATE log_sources SET lines=lines-?2, bytes=bytes-?3, pruned_lines=pruned_lines+?2,"
                             " pruned_to_us=max(coalesce(pruned_to_us, ?4), ?4) WHERE id=?1",
                             [&](sqlite::Statement& s) {
                               s.Bind(1, key.source).Bind(2, chunk.lines).Bind(3, chunk.bytes).Bind(4, key.last_us);
                             }));
    sources.insert(key.source);
  }
  for (const std::int64_t source : sources) {
    RETURN_IF_ERROR(RunBound(
        database, "UPDATE log_sources SET first_us=(SELECT min(first_us) FROM log_chunks WHERE source=?1) WHERE id=?1",
        [&](sqlite::Statement& s) { s.Bind(1, source); }));
  }
  return absl::OkStatus();
}

}  // namespace muster::hub
