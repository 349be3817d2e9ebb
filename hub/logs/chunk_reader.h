// Reads chunks (docs/formats/log-chunk.md, "Reading"): the head alone, which tells times and kinds, and the text when
// it is wanted. Used by queries, the merger and at start. One reader takes many chunks, one after another, and keeps
// its memory: at most 2 MiB of columns and 2.2 MB of what they say, whatever the bytes are. Not thread-safe.
//
// Errors: DATA_LOSS "CHUNK_DAMAGED" names what is wrong; FAILED_PRECONDITION "TOO_NEW" for a version that a newer hub
// wrote. Nothing of such a chunk is told.
#ifndef MUSTER_HUB_LOGS_CHUNK_READER_H_
#define MUSTER_HUB_LOGS_CHUNK_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/logs/chunk.h"
#include "hub/logs/chunk_header.h"
#include "hub/logs/zstd_codec.h"

namespace muster::hub {

class ByteReader;

class ChunkReader {
 public:
  // `codec` outlives the reader.
  explicit ChunkReader(ZstdCodec* codec) : codec_(codec) {}

  // `source` is that of the row. What follows is about this head, until the next.
  absl::Status ReadHead(std::string_view head, std::int64_t source);

  // Empty without a head.
  const ChunkLines& lines() const { return lines_; }
  // Decompressed, with newlines.
  std::size_t text_bytes() const { return header_.text_bytes; }
  bool text_is_compressed() const { return (header_.flags & kTextCompressed) != 0; }

  // The text of all lines, each with its \n: `stored` itself, or a part of `buffer`, which grows to at most 1 MiB and
  // is meant to be used again.
  absl::StatusOr<std::string_view> ReadText(std::string_view stored, std::string* buffer) const;
  // The frames of the text, pointing into `stored`; none when it is not compressed. As much of ReadText as can be done
  // without decompressing: size, checksum, what the frames declare.
  absl::StatusOr<std::vector<ZstdFrame>> TextFrames(std::string_view stored) const;

 private:
  absl::Status Read(std::string_view head, std::int64_t source);
  absl::StatusOr<std::string_view> Columns(std::string_view stored);
  absl::Status ReadRuns(ByteReader* columns);
  absl::Status ReadTimes(ByteReader* columns);
  void Forget();

  ZstdCodec* const codec_;
  ChunkHeader header_;
  ChunkLines lines_;
  // Decompressed.
  std::string columns_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_CHUNK_READER_H_
