// Connections of hosts that went without a word, found by the kernel.
#ifndef MUSTER_HUB_GRPC_KERNEL_KEEPALIVE_H_
#define MUSTER_HUB_GRPC_KERNEL_KEEPALIVE_H_

#include <cstdint>

#include "absl/status/status.h"

namespace muster::hub {

// Has the kernel ask the peers of all connections to `port` after 2 minutes without a word, and close those that do not
// answer within 20 s, nor acknowledge within 20 s what was sent. gRPC's own pings are no substitute: they set a timer
// anew for each frame that comes. What a connection inherits from the socket that listens, tcp(7) does not say;
// kernel_keepalive_test does. gRPC does not give that socket out, so it is looked for among those of the process.
absl::Status KeepConnectionsAlive(std::uint16_t port);

}  // namespace muster::hub

#endif  // MUSTER_HUB_GRPC_KERNEL_KEEPALIVE_H_
