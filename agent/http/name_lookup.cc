#include "agent/http/name_lookup.h"

#include <fmt/format.h>
#include <sys/time.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <cstring>
#include <utility>

#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

absl::Status NotResolved(const std::string& host, int status) {
  const bool is_unknown = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
  return MakeError(absl::StatusCode::kUnavailable, "NAME_NOT_RESOLVED",
                   is_unknown ? fmt::format("look up {}: neither DNS nor /etc/hosts knows this name; check the "
                                            "server's address",
                                            host)
                              : fmt::format("look up {}: {}; check the name servers in /etc/resolv.conf", host,
                                            ares_strerror(status)));
}

NameLookup::Endpoints ToEndpoints(const ares_addrinfo* result, std::uint16_t port) {
  NameLookup::Endpoints endpoints;
  for (const ares_addrinfo_node* node = result->nodes; node != nullptr; node = node->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (node->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), node->ai_addr, node->ai_addrlen);
    endpoint.port(port);
    endpoints.push_back(endpoint);
  }
  return endpoints;
}

}  // namespace

NameLookup::~NameLookup() { Cancel(); }  // NOLINT(bugprone-exception-escape)

void NameLookup::Start(const std::string& host, std::uint16_t port, Done done) {
  host_ = host;
  port_ = port;
  done_ = std::move(done);
  ares_options options{};
  options.sock_state_cb = OnSocket;
  options.sock_state_cb_data = this;
  if (const int status = ares_init_options(&channel_, &options, ARES_OPT_SOCK_STATE_CB); status != ARES_SUCCESS) {
    channel_ = nullptr;
    return OnResult(this, status, 0, nullptr);
  }
  if (!servers_.empty()) ares_set_servers_ports_csv(channel_, servers_.c_str());
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, OnResult, this);
  Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void NameLookup::Cancel() {
  done_ = nullptr;
  timer_.cancel();
  // Its sockets go with it, and OnSocket and OnResult hear of it.
  if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr));
}

void NameLookup::OnSocket(void* self, ares_socket_t fd, int readable, int writable) {
  auto* const lookup = static_cast<NameLookup*>(self);
  if (readable == 0 && writable == 0) {
    const auto it = lookup->watched_.find(fd);
    if (it == lookup->watched_.end()) return;
    it->second->descriptor.release();
    lookup->watched_.erase(it);
    return;
  }
  std::shared_ptr<Watched>& watched = lookup->watched_[fd];
  if (watched == nullptr) watched = std::make_shared<Watched>(lookup->loop_, fd);
  watched->wants_read = readable != 0;
  watched->wants_write = writable != 0;
  lookup->Arm(watched, fd);
}

void NameLookup::OnResult(void* self, int status, int /*timeouts*/, ares_addrinfo* result) {
  auto* const lookup = static_cast<NameLookup*>(self);
  absl::StatusOr<Endpoints> endpoints = Endpoints();
  if (result != nullptr) {
    endpoints = ToEndpoints(result, lookup->port_);
    ares_freeaddrinfo(result);
  }
  if (!lookup->done_) return;
  if (status != ARES_SUCCESS || endpoints->empty()) {
    endpoints = NotResolved(lookup->host_, status == ARES_SUCCESS ? ARES_ENODATA : status);
  }
  // Not from here: c-ares must not be destroyed within its own call.
  asio::post(lookup->loop_, [alive = lookup->shared_from_this(), endpoints = std::move(endpoints)]() mutable {
    if (!alive->done_) return;
    const Done done = std::move(alive->done_);
    alive->Cancel();
    done(std::move(endpoints));
  });
}

void NameLookup::Arm(const std::shared_ptr<Watched>& watched, int fd) {
  if (watched->wants_read && !watched->waits_read) {
    watched->waits_read = true;
    watched->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                   [alive = weak_from_this(), watched, fd](error_code error) {
                                     watched->waits_read = false;
                                     const auto self = alive.lock();
                                     if (!error && self != nullptr) self->Process(fd, ARES_SOCKET_BAD);
                                   });
  }
  if (watched->wants_write && !watched->waits_write) {
    watched->waits_write = true;
    watched->descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                                   [alive = weak_from_this(), watched, fd](error_code error) {
                                     watched->waits_write = false;
                                     const auto self = alive.lock();
                                     if (!error && self != nullptr) self->Process(ARES_SOCKET_BAD, fd);
                                   });
  }
}

void NameLookup::Process(int read_fd, int write_fd) {
  if (channel_ == nullptr) return;
  if (!(read_fd == ARES_SOCKET_BAD && write_fd == ARES_SOCKET_BAD && watched_.empty())) {
    ares_process_fd(channel_, read_fd, write_fd);
  }
  // A copy: arming calls nothing of c-ares, but is not to depend on it.
  const auto watched = watched_;
  for (const auto& [fd, socket] : watched) Arm(socket, fd);
  timeval buffer{};
  const timeval* const next = ares_timeout(channel_, nullptr, &buffer);
  if (next == nullptr) return;
  timer_.expires_after(std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec));
  timer_.async_wait([alive = weak_from_this()](error_code error) {
    const auto self = alive.lock();
    if (!error && self != nullptr) self->Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace muster::agent
