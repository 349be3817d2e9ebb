#include "agent/host/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

// The service manager's end of the socket.
class Manager {
 public:
  explicit Manager(const std::string& path) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  ~Manager() { close(fd_); }

  // Empty when nothing came.
  std::string Next() {
    char buffer[512];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
  }

 private:
  const int fd_;
};

TEST(ServiceNotifier, TellsReadyStatusAndStopping) {
  const TempDir dir;
  Manager manager(dir.path() + "/notify");
  ServiceNotifier notifier(dir.path() + "/notify", absl::ZeroDuration());
  notifier.Ready();
  EXPECT_EQ(manager.Next(), "READY=1");
  notifier.Status("connected\nREADY=0");
  EXPECT_EQ(manager.Next(), "STATUS=connected\\nREADY=0") << "a text cannot forge a message";
  notifier.Stopping();
  EXPECT_EQ(manager.Next(), "STOPPING=1");
  notifier.Alive(Instant());
  EXPECT_EQ(manager.Next(), "") << "no watchdog was asked for";
}

TEST(ServiceNotifier, FeedsTheWatchdogTwicePerPeriod) {
  const TempDir dir;
  Manager manager(dir.path() + "/notify");
  ServiceNotifier notifier(dir.path() + "/notify", absl::Seconds(30));
  FakeClock clock;
  int fed = 0;
  for (int second = 0; second < 60; ++second) {
    notifier.Alive(clock.Monotonic());
    if (manager.Next() == "WATCHDOG=1") ++fed;
    clock.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(fed, 4);
}

TEST(ServiceNotifier, KnowsAbstractSockets) {
  const std::string name = "@muster-notify-test-" + std::to_string(getpid());
  Manager manager(name);
  ServiceNotifier(name, absl::ZeroDuration()).Ready();
  EXPECT_EQ(manager.Next(), "READY=1");
}

TEST(ServiceNotifier, WithoutAManagerNothingHappens) {
  ServiceNotifier("", absl::Seconds(1)).Ready();
  ServiceNotifier("/nonexistent/socket", absl::Seconds(1)).Ready();
  ServiceNotifier(std::string(500, 'x'), absl::Seconds(1)).Ready();
}

}  // namespace
}  // namespace muster::agent
