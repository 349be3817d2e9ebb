#include "agent/host/own_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "common/files.h"

namespace muster::agent {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// The second number of /proc/self/statm: resident pages.
std::int64_t ResidentPages() {
  const auto statm = ReadFile("/proc/self/statm", 4096);
  if (!statm.ok()) return 0;
  const auto space = statm->find(' ');
  if (space == std::string::npos) return 0;
  std::int64_t pages = 0;
  std::from_chars(statm->data() + space + 1, statm->data() + statm->size(), pages);
  return pages;
}

}  // namespace

OwnUse ReadOwnUse() {
  OwnUse use;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) use.cpu_seconds_total = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  use.resident_bytes = ResidentPages() * sysconf(_SC_PAGESIZE);
  return use;
}

}  // namespace muster::agent
