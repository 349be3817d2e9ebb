#include "hub/http/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <string>

namespace muster::hub {
namespace {

std::string Unpack(const std::string& packed) {
  std::string plain(64 << 20, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  plain.resize(stream.total_out);
  inflateEnd(&stream);
  return plain;
}

std::string Lines(int count) {
  std::string text;
  std::uint32_t state = 7;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    text += "distr_thing{id=\"" + std::to_string(i) + "\"} " + std::to_string(state) + "\n";
  }
  return text;
}

TEST(GzipStream, InPiecesOrAsAWholeTheTextComesBack) {
  const std::string text = Lines(200'000);
  EXPECT_EQ(Unpack(*Gzip(text)), text);
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{256 * 1024}, text.size()}) {
    const auto stream = GzipStream::Make();
    for (std::size_t at = 0; at < text.size(); at += piece) {
      stream->Write(std::string_view(text).substr(at, std::min(piece, text.size() - at)));
    }
    EXPECT_TRUE(Unpack(stream->Finish()) == text) << piece;
  }
}

TEST(GzipStream, NothingIsAnEmptyFile) {
  const auto stream = GzipStream::Make();
  stream->Write("");
  EXPECT_EQ(Unpack(stream->Finish()), "");
}

}  // namespace
}  // namespace muster::hub
