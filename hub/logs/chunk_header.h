// The first 52 bytes of a chunk's head, before its columns (docs/formats/log-chunk.md, "Head"). Values; any thread.
#ifndef MUSTER_HUB_LOGS_CHUNK_HEADER_H_
#define MUSTER_HUB_LOGS_CHUNK_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster::hub {

inline constexpr std::size_t kChunkHeaderBytes = 52;
// Bits of ChunkHeader::flags.
inline constexpr std::uint8_t kColumnsCompressed = 1;
inline constexpr std::uint8_t kTextCompressed = 2;

// What lies between version and checksum, in this order; the columns' size as stored follows.
struct ChunkHeader {
  std::uint8_t flags = 0;
  std::uint16_t runs = 0;
  std::int64_t source = 0;
  std::uint32_t lines = 0;
  std::uint32_t text_bytes = 0;
  std::uint32_t text_stored_bytes = 0;
  std::uint32_t text_crc = 0;
  std::int64_t base_time_us = 0;
  std::uint32_t column_bytes = 0;
};

// The whole head; `columns` as stored.
std::string MakeHead(const ChunkHeader& header, std::string_view columns);

// Steps 1 and 2 of "Reading": after them sizes and counts are within their limits. Errors as ChunkReader's.
absl::StatusOr<ChunkHeader> ParseHead(std::string_view head, std::int64_t source);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_CHUNK_HEADER_H_
