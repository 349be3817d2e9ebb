// Log lines of one source as a chunk: the values that go in and come out, and the limits. The bytes are described in
// docs/formats/log-chunk.md, which is the source of every number here. Written by ChunkWriter, read by ChunkReader.
//
// Line numbers are the hub's (docs/logs.md, "A line"). Times are microseconds since 1970 by the hub's clock, as bare
// numbers because a chunk holds thousands of them; `shift` is what was added to the host's time to have the hub's.
#ifndef MUSTER_HUB_LOGS_CHUNK_H_
#define MUSTER_HUB_LOGS_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace muster::hub {

inline constexpr std::size_t kMaxChunkTextBytes = 1024 * 1024;
inline constexpr std::size_t kMaxChunkLines = 65'536;
inline constexpr std::size_t kMaxChunkRuns = 65'535;
inline constexpr std::size_t kMaxChunkColumnBytes = 2 * 1024 * 1024;
// 21 of 48 KiB, which are kept when chunks are merged, and one before, between and behind them: 43.
inline constexpr std::size_t kMaxChunkFrames = 64;
// Without its newline.
inline constexpr std::size_t kMaxLineBytes = 16'384;
inline constexpr std::int64_t kEndOfLineNumbers = std::int64_t{1} << 62;
// The last microsecond of the year 9999.
inline constexpr std::int64_t kMaxLineTimeUs = 253'402'300'799'999'999;
// From the year 1 to the end of 9999. Any time minus any shift stays far within 64 bits.
inline constexpr std::int64_t kMaxShiftUs = 315'537'897'600'000'000;

// As stored: two columns of a row.
struct Chunk {
  std::string head;
  std::string text;
};

// Lines with numbers that follow one another, and the same shift.
struct LineRun {
  std::int64_t first_line = 0;
  std::size_t lines = 0;
  std::int64_t shift_us = 0;
  bool operator==(const LineRun&) const = default;
};
// The number behind the last.
inline std::int64_t EndOf(const LineRun& run) { return run.first_line + static_cast<std::int64_t>(run.lines); }

// Lines of one record, on their way into a chunk; owns nothing.
struct LineBlock {
  std::int64_t first_line = 0;
  std::int64_t shift_us = 0;
  // Of each line a byte (common/logs/kinds.h) and a time.
  std::string_view kinds;
  std::span<const std::int64_t> times_us;
  // Each line ends in \n and holds no other.
  std::string_view text;
};

// All of a chunk but its text. Lines are told by their index in it, from 0.
struct ChunkLines {
  std::int64_t source = 0;
  // Their numbers rise.
  std::vector<LineRun> runs;
  std::string kinds;
  std::vector<std::int64_t> times_us;

  std::size_t size() const { return kinds.size(); }
  bool operator==(const ChunkLines&) const = default;
};

// What keeps `text` from being so many lines, each of at most kMaxLineBytes and a newline; empty: nothing.
std::string FindTextDefect(std::string_view text, std::size_t lines);

// Stored bytes are not what was written.
absl::Status ChunkDamaged(std::string_view what);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_CHUNK_H_
