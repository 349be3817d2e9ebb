#include "agent/host/notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/text.h"

namespace muster::agent {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::int64_t ToNumber(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ServiceNotifier::ServiceNotifier(std::string socket_path, absl::Duration watchdog)
    : socket_path_(std::move(socket_path)), alive_every_(watchdog / 2) {}

ServiceNotifier ServiceNotifier::FromEnvironment() {
  const std::string pid = Environment("WATCHDOG_PID");
  const bool for_us = pid.empty() || ToNumber(pid) == getpid();
  const std::int64_t usec = for_us ? ToNumber(Environment("WATCHDOG_USEC")) : 0;
  return ServiceNotifier(Environment("NOTIFY_SOCKET"), absl::Microseconds(usec));
}

void ServiceNotifier::Ready() { Send("READY=1"); }

void ServiceNotifier::Stopping() { Send("STOPPING=1"); }

void ServiceNotifier::Status(std::string_view text) { Send(fmt::format("STATUS={}", EscapeControl(text))); }

void ServiceNotifier::Alive(Instant now) {
  if (alive_every_ <= absl::ZeroDuration()) return;
  if (last_alive_.has_value() && now - *last_alive_ < alive_every_) return;
  last_alive_ = now;
  Send("WATCHDOG=1");
}

void ServiceNotifier::Send(std::string_view message) {
  sockaddr_un address{};
  if (socket_path_.empty() || socket_path_.size() >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path_.data(), socket_path_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  absl::Cleanup close_fd = [fd] { close(fd); };
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_path_.size());
  // A manager that does not listen cannot be helped from here.
  static_cast<void>(
      sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length));
}

}  // namespace muster::agent
