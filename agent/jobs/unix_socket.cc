#include "agent/jobs/unix_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace muster::agent {
namespace {

constexpr int kBacklog = 128;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  RETURN_IF_ERROR(CheckSocketPath(path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::Status InUse(const std::string& path, std::string_view why) {
  return MakeError(absl::StatusCode::kAlreadyExists, "SOCKET_IN_USE",
                   fmt::format("{} {}; give --push-socket another path, or off", path, why));
}

absl::Status RemoveStale(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0)
    return errno == ENOENT ? absl::OkStatus() : ErrnoError(errno, "look at " + path);
  if (!S_ISSOCK(found.st_mode)) return InUse(path, "is there and is no socket");
  if (ConnectUnix(path).ok()) return InUse(path, "is the socket of another program, which answers");
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove the stale socket " + path);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSocketPath(const std::string& path) {
  constexpr std::size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
  if (!path.empty() && path.size() <= kMost) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_PUSH_SOCKET",
      fmt::format(
          "the socket's path \"{}\" has {} bytes, and the system takes from 1 to {}: give a shorter --push-socket",
          path, path.size(), kMost));
}

absl::StatusOr<Descriptor> ConnectUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return ErrnoError(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  return ErrnoError(errno, "connect to " + path);
}

absl::StatusOr<Descriptor> ListenUnix(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  RETURN_IF_ERROR(RemoveStale(path));
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return ErrnoError(errno, "socket");
  // Between bind and chmod it is as the umask has it, which is narrower.
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, "bind " + path);
  }
  if (chmod(path.c_str(), mode) != 0) return ErrnoError(errno, "chmod " + path);
  if (listen(fd.get(), kBacklog) != 0) return ErrnoError(errno, "listen on " + path);
  return fd;
}

}  // namespace muster::agent
