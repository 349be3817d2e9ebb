// Listen addresses as flags write them: ":7443" (all interfaces), "127.0.0.1:8080", "[::1]:8080".
#ifndef MUSTER_COMMON_ADDRESS_H_
#define MUSTER_COMMON_ADDRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster {

struct HostPort {
  std::string host;  // without brackets; empty: all interfaces
  std::uint16_t port = 0;

  // "host:port", IPv6 hosts in brackets.
  std::string ToString() const;
};

absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

}  // namespace muster

#endif  // MUSTER_COMMON_ADDRESS_H_
