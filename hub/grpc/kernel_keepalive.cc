#include "hub/grpc/kernel_keepalive.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"

namespace muster::hub {
namespace {

constexpr int kIdleSeconds = 120;
constexpr int kProbeSeconds = 10;
constexpr int kProbes = 2;
constexpr int kUnacknowledgedMs = 20'000;

bool ListensAt(int socket, std::uint16_t port) {
  int is_listening = 0;
  socklen_t size = sizeof(is_listening);
  if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0) return false;
  sockaddr_storage address{};
  size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port) == port;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port) == port;
  return false;
}

bool Set(int socket, int level, int option, int value) {
  return setsockopt(socket, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

absl::Status KeepConnectionsAlive(std::uint16_t port) {
  int found = 0;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failed)) {
    int socket = -1;
    if (!absl::SimpleAtoi(entry.path().filename().native(), &socket) || !ListensAt(socket, port)) continue;
    ++found;
    if (!Set(socket, SOL_SOCKET, SO_KEEPALIVE, 1) || !Set(socket, IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds) ||
        !Set(socket, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds) || !Set(socket, IPPROTO_TCP, TCP_KEEPCNT, kProbes) ||
        !Set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMs)) {
      return absl::ErrnoToStatus(errno, "cannot set TCP keepalive");
    }
  }
  if (failed) return absl::UnavailableError("cannot read /proc/self/fd: " + failed.message());
  if (found == 0) return absl::NotFoundError("no socket of this process listens at port " + std::to_string(port));
  return absl::OkStatus();
}

}  // namespace muster::hub
