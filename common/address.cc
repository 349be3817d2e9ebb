#include "common/address.h"

#include <fmt/format.h>

#include <charconv>

#include "common/status.h"

namespace muster {
namespace {

absl::Status BadAddress(std::string_view text) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_ADDRESS",
                   fmt::format("\"{}\" is not an address; write HOST:PORT, :PORT or [IPV6]:PORT", text));
}

}  // namespace

std::string HostPort::ToString() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadAddress(text);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') != host.ends_with(']')) return BadAddress(text);
  if (host.starts_with('[')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return BadAddress(text);
  }
  HostPort result{.host = std::string(host)};
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size()) return BadAddress(text);
  return result;
}

}  // namespace muster
