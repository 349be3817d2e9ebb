// A server on a unix socket that the test itself plays, step by step and without a thread: it accepts when told, and
// writes what it is told. For clients that never block.
#ifndef MUSTER_AGENT_HTTP_TESTING_HAND_SERVER_H_
#define MUSTER_AGENT_HTTP_TESTING_HAND_SERVER_H_

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace muster::agent {

class HandServer {
 public:
  // One connection; closed when it goes.
  class Peer {
   public:
    explicit Peer(int fd) : fd_(fd) {}
    Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Peer& operator=(Peer&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
    }
    ~Peer() { Close(); }

    bool is_open() const { return fd_ >= 0; }
    // What the client has sent so far.
    std::string ReadNow() {
      std::string text(65536, '\0');
      const ssize_t size = recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
      text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
      return text;
    }
    // How much of it the socket takes now.
    std::size_t Write(std::string_view bytes) {
      const ssize_t size = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      return size < 0 ? 0 : static_cast<std::size_t>(size);
    }
    // The client closed, and had taken all that was written.
    bool IsClosedByClient() {
      char c = 0;
      return recv(fd_, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }
    void Close() {
      if (fd_ >= 0) close(fd_);
      fd_ = -1;
    }

   private:
    int fd_;
  };

  HandServer(const std::string& path, int backlog) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(fd_, backlog) != 0) {
      std::abort();
    }
  }
  ~HandServer() { StopListening(); }

  // Not open when nobody waits.
  Peer Accept() {
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    const timeval at_once{.tv_sec = 0, .tv_usec = 1};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &at_once, sizeof(at_once));
    return Peer(accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC));
  }
  // The file stays.
  void StopListening() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_TESTING_HAND_SERVER_H_
