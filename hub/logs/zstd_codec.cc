#include "hub/logs/zstd_codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cstdlib>

#include "hub/logs/chunk.h"

namespace muster::hub {
namespace {

constexpr int kLevel = 1;
constexpr std::string_view kFrameMagic = "\x28\xB5\x2F\xFD";

// RFC 8878, 3.1.1.1.2: told by a byte of its own unless the frame is a single segment; then it is the content.
std::uint64_t WindowBytes(std::string_view frame, std::uint64_t content_bytes) {
  constexpr std::uint8_t kSingleSegment = 0x20;
  if ((static_cast<std::uint8_t>(frame[4]) & kSingleSegment) != 0) return content_bytes;
  const auto descriptor = static_cast<std::uint8_t>(frame[5]);
  const std::uint64_t base = std::uint64_t{1} << (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7U);
}

}  // namespace

absl::StatusOr<ZstdFrame> FirstFrame(std::string_view bytes) {
  // libzstd also reads skippable frames and the formats before 1.0.
  if (!bytes.starts_with(kFrameMagic)) return ChunkDamaged("what should be compressed is no zstd frame");
  const std::size_t stored = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
  if (ZSTD_isError(stored) != 0) {
    return ChunkDamaged(fmt::format("a zstd frame is broken: {}", ZSTD_getErrorName(stored)));
  }
  const ZstdFrame frame = {.stored = bytes.substr(0, stored),
                           .raw_bytes = ZSTD_getFrameContentSize(bytes.data(), stored)};
  if (frame.raw_bytes == ZSTD_CONTENTSIZE_UNKNOWN || frame.raw_bytes == ZSTD_CONTENTSIZE_ERROR) {
    return ChunkDamaged("a zstd frame does not say its content's size");
  }
  if (ZSTD_getDictID_fromFrame(bytes.data(), stored) != 0) return ChunkDamaged("a zstd frame asks for a dictionary");
  if (WindowBytes(frame.stored, frame.raw_bytes) > kMaxZstdWindowBytes) {
    return ChunkDamaged("a zstd frame's window is above 1 MiB");
  }
  return frame;
}

void ZstdCodec::Compress(std::string_view raw, std::string* out) {
  if (compressor_ == nullptr) compressor_.reset(ZSTD_createCCtx());
  const std::size_t before = out->size();
  out->resize(before + ZSTD_compressBound(raw.size()));
  const std::size_t stored =
      ZSTD_compressCCtx(compressor_.get(), out->data() + before, out->size() - before, raw.data(), raw.size(), kLevel);
  // There is room for the worst, so this is memory that could not be had; new would not return either.
  if (ZSTD_isError(stored) != 0) std::abort();
  out->resize(before + stored);
}

absl::Status ZstdCodec::Decompress(std::string_view frames, std::span<char> raw) {
  if (decompressor_ == nullptr) decompressor_.reset(ZSTD_createDCtx());
  const std::size_t bytes =
      ZSTD_decompressDCtx(decompressor_.get(), raw.data(), raw.size(), frames.data(), frames.size());
  if (ZSTD_isError(bytes) != 0) {
    return ChunkDamaged(fmt::format("a zstd frame cannot be decompressed: {}", ZSTD_getErrorName(bytes)));
  }
  if (bytes != raw.size()) return ChunkDamaged(fmt::format("{} bytes were compressed, not {}", bytes, raw.size()));
  return absl::OkStatus();
}

void ZstdCodec::FreeContext::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }
void ZstdCodec::FreeContext::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

}  // namespace muster::hub
