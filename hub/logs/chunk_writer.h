// Makes chunks (docs/formats/log-chunk.md) of records as they came, or of chunks that are merged, in the order of their
// line numbers. Used by the log writer for rows of the tail, and by the merger. Not thread-safe.
//
// Errors leave the writer as it was. RESOURCE_EXHAUSTED "CHUNK_FULL": the lines do not fit beside those that it has;
// they belong into a further chunk, where a record's or a chunk's always fit. INVALID_ARGUMENT "BAD_LINES": no chunk
// may hold them.
#ifndef MUSTER_HUB_LOGS_CHUNK_WRITER_H_
#define MUSTER_HUB_LOGS_CHUNK_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "hub/logs/chunk.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/zstd_codec.h"

namespace muster::hub {

// Frames of so much text are joined as they are stored: to compress them again would gain 1 % of the text at most
// (docs/logs.md, "Chunks") and take 2.9 ms a MB.
inline constexpr std::size_t kKeptFrameBytes = 48 * 1024;
// What is shorter is not compressed.
inline constexpr std::size_t kMinCompressedBytes = 1024;

class ChunkWriter {
 public:
  // `codec` outlives the writer.
  ChunkWriter(std::int64_t source, ZstdCodec* codec) : source_(source), codec_(codec) {}

  // At least one line. Whether the text is UTF-8 is not looked at.
  absl::Status Add(const LineBlock& block);
  // All lines of the chunk whose head `chunk` read last. DATA_LOSS "CHUNK_DAMAGED" as from ChunkReader, except that
  // lines in frames that are kept are not counted: their checksum was right.
  absl::Status Join(const ChunkReader& chunk, std::string_view stored_text);

  std::size_t lines() const { return kinds_.size(); }
  // Decompressed.
  std::size_t text_bytes() const { return text_bytes_; }

  // Needs at least one line; nothing may be called afterwards.
  Chunk Finish();

 private:
  // Of lines that are to be added.
  absl::Status CheckRoom(std::span<const LineRun> runs, std::size_t lines, std::size_t text_bytes) const;
  // Whether it reads as one with the last run.
  bool IsContinued(const LineRun& run) const;
  void AppendColumns(std::span<const LineRun> runs, std::string_view kinds, std::span<const std::int64_t> times_us);
  // The text that is not compressed yet becomes a frame.
  void CloseFrame();
  // `raw` becomes its frame, where that is smaller; false: it stays.
  bool Compress(std::string* raw);

  const std::int64_t source_;
  ZstdCodec* const codec_;

  std::vector<LineRun> runs_;
  std::string kinds_;
  std::int64_t base_time_us_ = 0;
  std::int64_t last_time_us_ = 0;
  // As stored.
  std::string time_steps_;
  // The text: frames, and behind them what is not compressed yet.
  std::string frames_;
  std::string open_text_;
  std::size_t text_bytes_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_CHUNK_WRITER_H_
