// Zstd frames as the chunk format has them (docs/formats/log-chunk.md, "Text"; RFC 8878). libzstd is called here and
// nowhere else. Used by ChunkWriter and ChunkReader.
#ifndef MUSTER_HUB_LOGS_ZSTD_CODEC_H_
#define MUSTER_HUB_LOGS_ZSTD_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace muster::hub {

inline constexpr std::uint64_t kMaxZstdWindowBytes = 1024 * 1024;

struct ZstdFrame {
  // Points into what was given.
  std::string_view stored;
  // As the frame declares it.
  std::uint64_t raw_bytes = 0;
};

// The frame that `bytes` begin with; nothing is decompressed. DATA_LOSS "CHUNK_DAMAGED" when it is none that a chunk
// may hold: another or an older format, no content size, a dictionary, a greater window.
absl::StatusOr<ZstdFrame> FirstFrame(std::string_view bytes);

// libzstd's working memory (0.6 MB to compress, 0.1 MB to decompress), kept because making it costs 40 us, for a short
// record more than all else. One for each thread that reads or writes chunks; not thread-safe.
class ZstdCodec {
 public:
  // Appends `raw` as one frame, level 1.
  void Compress(std::string_view raw, std::string* out);
  // Frames behind one another, exactly as many bytes as `raw` takes. DATA_LOSS "CHUNK_DAMAGED"; what `raw` holds then
  // is undefined.
  absl::Status Decompress(std::string_view frames, std::span<char> raw);

 private:
  struct FreeContext {
    void operator()(ZSTD_CCtx_s* context) const;
    void operator()(ZSTD_DCtx_s* context) const;
  };

  std::unique_ptr<ZSTD_CCtx_s, FreeContext> compressor_;
  std::unique_ptr<ZSTD_DCtx_s, FreeContext> decompressor_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_ZSTD_CODEC_H_
