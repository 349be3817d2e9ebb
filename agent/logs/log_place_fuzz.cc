// Feeds bytes as the `open` of a position: nothing may crash, and what is accepted is written as it was read.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/logs/log_place.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster;         // NOLINT: one file
  using namespace muster::agent;  // NOLINT
  if (size < 3) return 0;
  LogPosition position{.container = "abc",
                       .stream = data[0] % 2 == 0 ? LogStream::kStdout : LogStream::kStderr,
                       .time_ns = data[1],
                       .count = data[2],
                       .open = std::string(reinterpret_cast<const char*>(data + 3), size - 3),
                       .boot_id = {}};
  const absl::StatusOr<LogPlace> place = DecodePlace(position);
  if (place.ok() && EncodePlace("abc", *place) != position) std::abort();
  return 0;
}
