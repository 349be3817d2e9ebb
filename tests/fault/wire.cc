// muster-fault-wire: a network cable that misbehaves on command. It joins a TUN device in this network namespace with
// one in another and carries IP packets between them, with seeded delay, jitter, loss, duplication, reordering,
// corruption, a rate, and either direction cut. For tests; the kernel's netem does the same where it is compiled in.
//
//   muster-fault-wire SEED NEAR_DEVICE FAR_NAMESPACE FAR_DEVICE
//
// Reads settings from stdin, a line of name=value each ("delay=0.05 loss=0.1"); prints "ready" when the devices stand
// and counts at the end, which comes with the end of stdin. Durations are in seconds, shares from 0 to 1, the rate in
// bytes/s.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <queue>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace muster::fault {
namespace {

using Seconds = std::chrono::duration<double>;
using TimePoint = std::chrono::steady_clock::time_point;

constexpr std::size_t kMaxPacketBytes = 65536;
// Packets on their way in one direction; a router's queue is as long.
constexpr std::size_t kMaxQueue = 1000;
// IPv4 and TCP headers: what is behind them is covered by the TCP checksum alone.
constexpr std::size_t kHeaderBytes = 40;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int OpenTun(const std::string& name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) Fail("open /dev/net/tun");
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name.c_str());
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(fd, TUNSETIFF, &request) != 0) Fail("make a TUN device");
  return fd;
}

int OpenTunIn(const std::string& network_namespace, const std::string& name) {
  const int other = open(network_namespace.c_str(), O_RDONLY | O_CLOEXEC);
  const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (other < 0 || own < 0 || setns(other, CLONE_NEWNET) != 0) Fail("enter the far network namespace");
  const int fd = OpenTun(name);
  if (setns(own, CLONE_NEWNET) != 0) Fail("return from the far network namespace");
  close(other);
  close(own);
  return fd;
}

struct Packet {
  TimePoint due;
  std::uint64_t number;
  std::vector<char> bytes;
};
struct Later {
  bool operator()(const Packet& a, const Packet& b) const {
    return a.due != b.due ? a.due > b.due : a.number > b.number;
  }
};

// One direction.
class Lane {
 public:
  Lane(int from, int to) : from_(from), to_(to) {}

  int from() const { return from_; }

  void Read(const std::map<std::string, double>& settings, bool open, std::mt19937_64& random) {
    std::array<char, kMaxPacketBytes> buffer;
    while (true) {
      const ssize_t size = read(from_, buffer.data(), buffer.size());
      if (size <= 0) return;
      std::vector<char> bytes(buffer.begin(), buffer.begin() + size);
      const auto happens = [&](const char* what) { return std::bernoulli_distribution(settings.at(what))(random); };
      if (!open || happens("loss") || queue_.size() >= kMaxQueue) {
        ++lost_;
        continue;
      }
      if (happens("corrupt") && bytes.size() > kHeaderBytes) {
        bytes[std::uniform_int_distribution<std::size_t>(kHeaderBytes, bytes.size() - 1)(random)] ^= 0x55;
        ++corrupted_;
      }
      const int copies = happens("duplicate") ? 2 : 1;
      duplicated_ += copies - 1;
      for (int i = 0; i < copies; ++i) {
        // A packet that overtakes waits for nobody.
        const bool overtakes = happens("reorder");
        overtaking_ += overtakes;
        const double jitter = std::uniform_real_distribution<double>(-1, 1)(random) * settings.at("jitter");
        const double delay = overtakes ? 0.0 : std::max(0.0, settings.at("delay") + jitter);
        queue_.push({Departure(bytes.size(), settings.at("rate")) + Cast(delay), ++number_, bytes});
      }
    }
  }

  void Write(TimePoint now) {
    while (!queue_.empty() && queue_.top().due <= now) {
      const std::vector<char>& bytes = queue_.top().bytes;
      if (write(to_, bytes.data(), bytes.size()) > 0) ++carried_;
      queue_.pop();
    }
  }

  TimePoint NextDue() const { return queue_.empty() ? TimePoint::max() : queue_.top().due; }

  void Print(const char* name) const {
    std::printf("%s: carried %ld, lost %ld, duplicated %ld, overtaking %ld, corrupted %ld\n", name, carried_, lost_,
                duplicated_, overtaking_, corrupted_);
  }

 private:
  static TimePoint::duration Cast(double seconds) {
    return std::chrono::duration_cast<TimePoint::duration>(Seconds(seconds));
  }

  // When the last byte is on the line.
  TimePoint Departure(std::size_t bytes, double rate) {
    const TimePoint now = std::chrono::steady_clock::now();
    if (rate <= 0) return now;
    line_free_ = std::max(line_free_, now) + Cast(static_cast<double>(bytes) / rate);
    return line_free_;
  }

  const int from_;
  const int to_;
  std::priority_queue<Packet, std::vector<Packet>, Later> queue_;
  TimePoint line_free_{};
  std::uint64_t number_ = 0;
  long carried_ = 0;
  long lost_ = 0;
  long duplicated_ = 0;
  long overtaking_ = 0;
  long corrupted_ = 0;
};

class Wire {
 public:
  Wire(std::uint64_t seed, int near, int far) : random_(seed), to_far_(near, far), to_near_(far, near) {}

  void Run() {
    while (true) {
      std::array<pollfd, 3> polled{
          pollfd{STDIN_FILENO, POLLIN, 0}, {to_far_.from(), POLLIN, 0}, {to_near_.from(), POLLIN, 0}};
      const int ready = ::poll(polled.data(), polled.size(), MillisecondsToNextDue());
      if (ready < 0 && errno != EINTR) Fail("poll");
      if (ready > 0 && polled[0].revents != 0 && !ReadSettings()) break;
      to_far_.Read(settings_, settings_.at("to_far") != 0, random_);
      to_near_.Read(settings_, settings_.at("to_near") != 0, random_);
      const TimePoint now = std::chrono::steady_clock::now();
      to_far_.Write(now);
      to_near_.Write(now);
    }
    to_far_.Print("to far");
    to_near_.Print("to near");
  }

 private:
  int MillisecondsToNextDue() const {
    const TimePoint due = std::min(to_far_.NextDue(), to_near_.NextDue());
    if (due == TimePoint::max()) return -1;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(wait, 0));
  }

  // False at the end of stdin.
  bool ReadSettings() {
    std::array<char, 4096> buffer;
    const ssize_t size = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) return false;
    unread_.append(buffer.data(), static_cast<std::size_t>(size));
    for (auto end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n')) {
      std::istringstream line(unread_.substr(0, end));
      for (std::string word; line >> word;) Set(word);
      unread_.erase(0, end + 1);
      std::puts("set");
      std::fflush(stdout);
    }
    return true;
  }

  void Set(const std::string& word) {
    const auto equals = word.find('=');
    const auto setting = settings_.find(word.substr(0, equals));
    if (equals == std::string::npos || setting == settings_.end()) {
      std::fprintf(stderr, "no such setting: %s\n", word.c_str());
      std::exit(2);
    }
    setting->second = std::strtod(word.c_str() + equals + 1, nullptr);
  }

  std::mt19937_64 random_;
  std::map<std::string, double> settings_{{"delay", 0},     {"jitter", 0},  {"loss", 0},
                                          {"duplicate", 0}, {"reorder", 0}, {"corrupt", 0},
                                          {"rate", 0},      {"to_far", 1},  {"to_near", 1}};
  std::string unread_;
  Lane to_far_;
  Lane to_near_;
};

}  // namespace
}  // namespace muster::fault

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: muster-fault-wire SEED NEAR_DEVICE FAR_NAMESPACE FAR_DEVICE\n");
    return 2;
  }
  const int near = muster::fault::OpenTun(argv[2]);
  const int far = muster::fault::OpenTunIn(argv[3], argv[4]);
  muster::fault::Wire wire(std::strtoull(argv[1], nullptr, 10), near, far);
  std::puts("ready");
  std::fflush(stdout);
  wire.Run();
  return 0;
}
