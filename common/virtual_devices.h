// Which devices of a host are left out of its rates and of what is published, because what they carry is counted with
// another one, or never leaves or reaches the host (docs/host-metrics.md). Agent and hub go by the same rule. Pure
// functions.
#ifndef MUSTER_COMMON_VIRTUAL_DEVICES_H_
#define MUSTER_COMMON_VIRTUAL_DEVICES_H_

#include <string_view>

namespace muster {

// Loopback, bridges, tunnels and the host's ends of containers.
bool IsVirtualNetworkDevice(std::string_view device);
// Those that stand on other block devices, or on memory.
bool IsVirtualBlockDevice(std::string_view device);

}  // namespace muster

#endif  // MUSTER_COMMON_VIRTUAL_DEVICES_H_
