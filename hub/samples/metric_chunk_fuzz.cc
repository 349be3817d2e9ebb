// Chunks of metrics.db from a damaged disk. Input: a byte that chooses the kind, then the message as it is under zstd:
// the frame is made right before it is read, since whoever damages a frame mostly breaks only that. What is accepted
// is written and read again as the same. An odd first byte also gives the rest to the reader as a frame.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hub/samples/metric_chunk.h"

namespace {

using namespace muster::hub;  // NOLINT: one file

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadRawAgain(std::string_view frame, ZstdCodec* codec) {
  const auto read = DecodeRaw(frame, codec);
  if (!read.ok()) return;
  const auto again = DecodeRaw(EncodeRaw(*read, codec), codec);
  Require(again.ok() && again->times_us == read->times_us && again->series.size() == read->series.size());
  for (std::size_t i = 0; i < read->series.size(); ++i) {
    Require(again->series[i].key == read->series[i].key && again->series[i].values == read->series[i].values);
  }
}

void ReadRollupsAgain(std::string_view frame, ZstdCodec* codec) {
  const auto read = DecodeRollups(frame, codec);
  if (!read.ok()) return;
  const auto again = DecodeRollups(EncodeRollups(*read, codec), codec);
  Require(again.ok() && again->series() == read->series());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ZstdCodec codec;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string frame;
  codec.Compress(rest, &frame);
  const bool is_raw = (data[0] & 2) == 0;
  if (is_raw) ReadRawAgain(frame, &codec);
  if (!is_raw) ReadRollupsAgain(frame, &codec);
  if ((data[0] & 1) != 0) {
    ReadRawAgain(rest, &codec);
    ReadRollupsAgain(rest, &codec);
  }
  return 0;
}
