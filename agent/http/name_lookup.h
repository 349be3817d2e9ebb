// A host's addresses, from /etc/hosts and DNS, without blocking: with c-ares, because glibc's own resolver wants shared
// libraries at run time that a static program has not, and cannot be stopped. Internal to Wire.
#ifndef MUSTER_AGENT_HTTP_NAME_LOOKUP_H_
#define MUSTER_AGENT_HTTP_NAME_LOOKUP_H_

#include <ares.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::agent {

// One look-up; owned by shared_ptr, used by the thread that runs the loop. Has no deadline: whoever waits cancels.
class NameLookup : public std::enable_shared_from_this<NameLookup> {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  using Done = std::function<void(absl::StatusOr<Endpoints>)>;

  // `servers`: for tests, "HOST:PORT" in place of those of /etc/resolv.conf.
  explicit NameLookup(boost::asio::io_context& loop, std::string servers = "")
      : loop_(loop), timer_(loop), servers_(std::move(servers)) {}
  // What Asio could throw is about sockets that are not open.
  ~NameLookup();  // NOLINT(bugprone-exception-escape)

  // Calls `done` once from the loop, with one address at least, unless Cancel comes before. kUnavailable
  // (NAME_NOT_RESOLVED): no such name, or DNS does not answer.
  void Start(const std::string& host, std::uint16_t port, Done done);
  void Cancel();

 private:
  struct Watched {
    explicit Watched(boost::asio::io_context& loop, int fd) : descriptor(loop, fd) {}
    boost::asio::posix::stream_descriptor descriptor;
    bool wants_read = false;
    bool wants_write = false;
    bool waits_read = false;
    bool waits_write = false;
  };

  static void OnSocket(void* self, ares_socket_t fd, int readable, int writable);
  static void OnResult(void* self, int status, int timeouts, ares_addrinfo* result);
  void Arm(const std::shared_ptr<Watched>& watched, int fd);
  void Process(int read_fd, int write_fd);

  boost::asio::io_context& loop_;
  boost::asio::steady_timer timer_;
  const std::string servers_;
  ares_channel channel_ = nullptr;
  // c-ares' sockets; c-ares closes them.
  std::map<int, std::shared_ptr<Watched>> watched_;
  std::string host_;
  std::uint16_t port_ = 0;
  Done done_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_NAME_LOOKUP_H_
