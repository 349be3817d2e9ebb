// Bytes of a hub, or of whatever answers in its place.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hub/cli/connect_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::cli;
  if (size < 1) return 0;
  const std::size_t step = 1 + data[0] % 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  EnvelopeParser parser(1 << 16);
  for (std::size_t pos = 0; pos < bytes.size(); pos += step) {
    const absl::Status fed = parser.Feed(bytes.substr(pos, step), [](const Envelope& envelope) {
      return envelope.end_of_stream ? ParseEndOfStream(envelope.payload) : ParseErrorJson(envelope.payload);
    });
    if (!fed.ok()) break;
  }
  ErrorOfReply({.status = 500, .content_type = "application/json", .date = {}}, bytes, "https://hub").IgnoreError();
  return 0;
}
