// Feeds bytes as an engine's log stream: nothing may crash, messages stay within their limits, and however the bytes
// are cut the messages are the same. The first byte chooses the format, the second how the bytes are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "agent/logs/docker_frames.h"
#include "common/status.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  std::vector<std::tuple<LogStream, std::int64_t, std::string, bool>> messages;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

// Reads of 1 to `longest` bytes; 0: one read of all.
Outcome Parse(DockerFrames::Format format, std::string_view bytes, std::size_t longest) {
  DockerFrames frames(format);
  Outcome outcome;
  const auto visit = [&](const DockerMessage& message) {
    Require(message.text.size() <= kMaxMessageTextBytes && message.text.find('\n') == std::string_view::npos);
    Require(message.time_ns >= 0);
    outcome.messages.emplace_back(message.stream, message.time_ns, message.text, message.ends_line);
  };
  absl::Status status;
  for (std::size_t at = 0, reads = 0; at < bytes.size() && status.ok(); ++reads) {
    const std::size_t size = longest == 0 ? bytes.size() : 1 + reads * 7 % longest;
    status = frames.Feed(bytes.substr(at, size), visit);
    at += size;
  }
  if (status.ok()) status = frames.Finish(visit);
  outcome.error = status.ok() ? "" : ReasonOf(status);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto format = data[0] % 2 == 0 ? DockerFrames::Format::kMultiplexed : DockerFrames::Format::kTty;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  Require(Parse(format, bytes, 0) == Parse(format, bytes, 1 + data[1]));
  return 0;
}
