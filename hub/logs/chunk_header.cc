#include "hub/logs/chunk_header.h"

#include <fmt/format.h>

#include "common/status.h"
#include "hub/logs/chunk.h"
#include "hub/logs/chunk_bytes.h"

namespace muster::hub {
namespace {

constexpr std::string_view kMagic = "MLC1";
constexpr std::uint8_t kVersion = 1;
// Before the checksum; it is over them and the columns.
constexpr std::size_t kCheckedBytes = 48;

// What can be said without the columns.
absl::Status CheckHeader(const ChunkHeader& header, std::int64_t source) {
  if (header.source != source) return ChunkDamaged(fmt::format("it is of source {}, not {}", header.source, source));
  if (header.runs < 1 || header.lines < header.runs || header.lines > kMaxChunkLines) {
    return ChunkDamaged(fmt::format("{} lines in {} runs", header.lines, header.runs));
  }
  if (header.text_bytes < header.lines || header.text_bytes > kMaxChunkTextBytes) {
    return ChunkDamaged(fmt::format("{} bytes of text in {} lines", header.text_bytes, header.lines));
  }
  if ((header.flags & kTextCompressed) == 0 && header.text_stored_bytes != header.text_bytes) {
    return ChunkDamaged(fmt::format("{} bytes of text are stored as {}", header.text_bytes, header.text_stored_bytes));
  }
  if (header.column_bytes > kMaxChunkColumnBytes) {
    return ChunkDamaged(fmt::format("{} bytes of columns", header.column_bytes));
  }
  return absl::OkStatus();
}

}  // namespace

std::string MakeHead(const ChunkHeader& header, std::string_view columns) {
  std::string head(kMagic);
  AppendLittleEndian(kVersion, &head);
  AppendLittleEndian(header.flags, &head);
  AppendLittleEndian(header.runs, &head);
  AppendLittleEndian(static_cast<std::uint64_t>(header.source), &head);
  AppendLittleEndian(header.lines, &head);
  AppendLittleEndian(header.text_bytes, &head);
  AppendLittleEndian(header.text_stored_bytes, &head);
  AppendLittleEndian(header.text_crc, &head);
  AppendLittleEndian(static_cast<std::uint64_t>(header.base_time_us), &head);
  AppendLittleEndian(header.column_bytes, &head);
  AppendLittleEndian(static_cast<std::uint32_t>(columns.size()), &head);
  AppendLittleEndian(Crc32(columns, Crc32(head)), &head);
  head += columns;
  return head;
}

absl::StatusOr<ChunkHeader> ParseHead(std::string_view head, std::int64_t source) {
  if (head.size() < kChunkHeaderBytes) return ChunkDamaged(fmt::format("its head has only {} bytes", head.size()));
  ByteReader bytes(head);
  if (bytes.Take(kMagic.size()) != kMagic) return ChunkDamaged("its head does not begin with MLC1");
  const auto version = bytes.LittleEndian<std::uint8_t>();
  if (version > kVersion) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "TOO_NEW",
                     fmt::format("the chunk has version {}, this hub knows {}", version, kVersion));
  }
  if (version != kVersion) return ChunkDamaged("its version is 0");
  ChunkHeader header;
  header.flags = bytes.LittleEndian<std::uint8_t>();
  if ((header.flags & ~(kColumnsCompressed | kTextCompressed)) != 0) return ChunkDamaged("an unknown bit is set");
  header.runs = bytes.LittleEndian<std::uint16_t>();
  header.source = static_cast<std::int64_t>(bytes.LittleEndian<std::uint64_t>());
  header.lines = bytes.LittleEndian<std::uint32_t>();
  header.text_bytes = bytes.LittleEndian<std::uint32_t>();
  header.text_stored_bytes = bytes.LittleEndian<std::uint32_t>();
  header.text_crc = bytes.LittleEndian<std::uint32_t>();
  header.base_time_us = static_cast<std::int64_t>(bytes.LittleEndian<std::uint64_t>());
  header.column_bytes = bytes.LittleEndian<std::uint32_t>();
  const auto stored_column_bytes = bytes.LittleEndian<std::uint32_t>();
  const auto crc = bytes.LittleEndian<std::uint32_t>();
  const std::string_view columns = bytes.rest();
  if (crc != Crc32(columns, Crc32(head.substr(0, kCheckedBytes)))) {
    return ChunkDamaged("the checksum of its head is wrong");
  }
  RETURN_IF_ERROR(CheckHeader(header, source));
  if (columns.size() != stored_column_bytes) {
    return ChunkDamaged(fmt::format("{} bytes of columns are there, not {}", columns.size(), stored_column_bytes));
  }
  if ((header.flags & kColumnsCompressed) == 0 && columns.size() != header.column_bytes) {
    return ChunkDamaged(fmt::format("{} bytes of columns are stored as {}", header.column_bytes, columns.size()));
  }
  return header;
}

}  // namespace muster::hub
