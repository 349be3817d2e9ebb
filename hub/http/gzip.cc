#include "hub/http/gzip.h"

#include <zlib.h>

#include <limits>

namespace muster::hub {
namespace {

constexpr int kLevel = 1;
constexpr int kGzipWindow = 15 + 16;  // 16: gzip's header and trailer instead of zlib's
constexpr int kMemoryLevel = 8;       // zlib's default

}  // namespace

std::optional<std::string> Gzip(std::string_view plain) {
  if (plain.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;
  return packed;
}

}  // namespace muster::hub
