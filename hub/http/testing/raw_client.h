// A blocking TCP client for tests that need to send broken or slow HTTP. One thread.
#ifndef MUSTER_HUB_HTTP_TESTING_RAW_CLIENT_H_
#define MUSTER_HUB_HTTP_TESTING_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace muster::hub {

class RawClient {
 public:
  // Gives up reading after 10 s, so that a broken server fails the test instead of hanging it.
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Close();
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Until the server closes.
  std::string ReadAll() {
    while (ReadSome()) {
    }
    return std::exchange(input_, {});
  }

  // Up to and with `end`; what has come when the connection ends first.
  std::string ReadUntil(std::string_view end) {
    std::size_t at = 0;
    while ((at = input_.find(end)) == std::string::npos) {
      if (!ReadSome()) return std::exchange(input_, {});
    }
    return Take(at + end.size());
  }

  std::string Read(std::size_t bytes) {
    while (input_.size() < bytes && ReadSome()) {
    }
    return Take(std::min(bytes, input_.size()));
  }

  // One response with Content-Length: head and body.
  std::string ReadResponse() {
    std::string head = ReadUntil("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    return head + Read(static_cast<std::size_t>(std::strtoll(head.c_str() + at + 16, nullptr, 10)));
  }

 private:
  bool ReadSome() {
    char buffer[4096];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  std::string Take(std::size_t bytes) {
    std::string taken = input_.substr(0, bytes);
    input_.erase(0, bytes);
    return taken;
  }

  int fd_;
  std::string input_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_TESTING_RAW_CLIENT_H_
