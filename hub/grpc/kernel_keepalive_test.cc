#include "hub/grpc/kernel_keepalive.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "hub/grpc/grpc_server.h"

namespace muster::hub {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  int Option(int level, int option) const {
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_EQ(getsockopt(fd_, level, option, &value, &size), 0);
    return value;
  }

 private:
  int fd_;
};

std::uint16_t PortOf(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  EXPECT_EQ(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Socket Listen() {
  Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = Loopback(0);
  EXPECT_EQ(bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(socket.fd(), 1), 0);
  return socket;
}

Socket Connect(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = Loopback(port);
  EXPECT_EQ(connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return socket;
}

TEST(KernelKeepalive, ConnectionsInheritItFromTheListeningSocket) {
  const Socket listening = Listen();
  ASSERT_TRUE(KeepConnectionsAlive(PortOf(listening.fd())).ok());
  const Socket client = Connect(PortOf(listening.fd()));
  const Socket accepted(accept(listening.fd(), nullptr, nullptr));
  EXPECT_EQ(accepted.Option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(accepted.Option(IPPROTO_TCP, TCP_KEEPIDLE), 120);
  EXPECT_EQ(accepted.Option(IPPROTO_TCP, TCP_KEEPINTVL), 10);
  EXPECT_EQ(accepted.Option(IPPROTO_TCP, TCP_KEEPCNT), 2);
  EXPECT_EQ(accepted.Option(IPPROTO_TCP, TCP_USER_TIMEOUT), 20'000);
  // Others are left alone.
  EXPECT_EQ(client.Option(SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(KernelKeepalive, APortThatNobodyListensAtIsAnError) {
  const Socket listening = Listen();
  const std::uint16_t port = PortOf(listening.fd());
  const Socket client = Connect(port);
  EXPECT_EQ(KeepConnectionsAlive(PortOf(client.fd())).code(), absl::StatusCode::kNotFound);
}

TEST(KernelKeepalive, ConnectionsOfTheGrpcPortHaveIt) {
  const auto server = GrpcServer::Start({.host = "127.0.0.1", .port = 0}, {}, {});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::uint16_t port = (*server)->address().port;
  const Socket client = Connect(port);
  char byte = 0;
  ASSERT_EQ(recv(client.fd(), &byte, 1, 0), 1) << "the server's SETTINGS, so it has taken the connection";
  int taken = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    if (fd == client.fd() || getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (ntohs(peer.sin_port) != PortOf(client.fd())) continue;
    ++taken;
    int idle = 0;
    size = sizeof(idle);
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size), 0);
    EXPECT_EQ(idle, 120);
    int unacknowledged = 0;
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, &size), 0);
    EXPECT_EQ(unacknowledged, 20'000);
  }
  EXPECT_EQ(taken, 1);
}

}  // namespace
}  // namespace muster::hub
