#include "hub/http/gzip.h"

#include <zlib.h>

#include <array>
#include <limits>
#include <utility>

namespace muster::hub {
namespace {

constexpr int kLevel = 1;
constexpr int kGzipWindow = 15 + 16;  // 16: gzip's header and trailer instead of zlib's
constexpr int kMemoryLevel = 8;       // zlib's default

bool Begin(z_stream* stream) {
  return deflateInit2(stream, kLevel, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
}

constexpr std::size_t kOutBytes = 16 * 1024;

}  // namespace

std::optional<std::string> Gzip(std::string_view plain) {
  if (plain.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  if (!Begin(&stream)) return std::nullopt;
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

struct GzipStream::State {
  ~State() { deflateEnd(&stream); }
  z_stream stream{};
  std::array<Bytef, kOutBytes> out{};
};

GzipStream::GzipStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
GzipStream::~GzipStream() = default;

std::unique_ptr<GzipStream> GzipStream::Make() {
  auto state = std::make_unique<State>();
  if (!Begin(&state->stream)) return nullptr;
  return std::unique_ptr<GzipStream>(new GzipStream(std::move(state)));
}

void GzipStream::Run(std::string_view plain, bool is_last) {
  z_stream& stream = state_->stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  do {
    stream.next_out = state_->out.data();
    stream.avail_out = static_cast<uInt>(state_->out.size());
    deflate(&stream, is_last ? Z_FINISH : Z_NO_FLUSH);
    packed_.append(reinterpret_cast<const char*>(state_->out.data()), state_->out.size() - stream.avail_out);
  } while (stream.avail_out == 0);
}

void GzipStream::Write(std::string_view plain) {
  if (!plain.empty()) Run(plain, false);
}

std::string GzipStream::Finish() {
  Run({}, true);
  return std::move(packed_);
}

}  // namespace muster::hub
