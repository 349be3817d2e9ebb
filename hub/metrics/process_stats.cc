#include "hub/metrics/process_stats.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"

namespace muster::hub {
namespace {

// Fields of /proc/PID/stat behind the command, by proc(5)'s numbers less 3.
constexpr std::size_t kUserTicks = 14 - 3;
constexpr std::size_t kSystemTicks = 15 - 3;
constexpr std::size_t kThreads = 20 - 3;
constexpr std::size_t kStartTicks = 22 - 3;
constexpr std::size_t kVirtualBytes = 23 - 3;
constexpr std::size_t kResidentPages = 24 - 3;
constexpr std::size_t kFieldsNeeded = kResidentPages + 1;

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(" \t\n"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::int64_t Number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The line that begins with `name`, without it; empty when there is none.
std::string_view Line(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.substr(0, name.size()) == name) return line.substr(name.size());
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return {};
}

// Files of /proc have no size, so ReadFile's check does not fit.
absl::StatusOr<std::string> ReadProc(const char* path) {
  constexpr std::size_t kMaxBytes = 1 << 20;  // /proc/stat has a line for each interrupt of a large machine
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), &std::fclose);
  if (file == nullptr) return ErrnoError(errno, fmt::format("open {}", path));
  std::string text(kMaxBytes, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

std::int64_t CountOpenFds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc/self/fd"), &closedir);
  if (dir == nullptr) return 0;
  std::int64_t count = -3;  // ".", ".." and the one that reads
  while (readdir(dir.get()) != nullptr) ++count;
  return count;
}

}  // namespace

absl::StatusOr<ProcessStats> ParseProcessStats(const ProcTexts& texts) {
  // The command stands in parentheses and may itself hold spaces and parentheses.
  const std::size_t close = texts.stat.rfind(')');
  if (close == std::string_view::npos) return absl::InternalError("/proc/self/stat has no command");
  const std::vector<std::string_view> fields = Words(texts.stat.substr(close + 1));
  if (fields.size() < kFieldsNeeded) return absl::InternalError("/proc/self/stat is too short");
  const auto seconds = [&](std::int64_t ticks) {
    return static_cast<double>(ticks) / static_cast<double>(texts.ticks_per_second);
  };
  ProcessStats stats;
  stats.cpu_seconds = seconds(Number(fields[kUserTicks]) + Number(fields[kSystemTicks]));
  stats.threads = Number(fields[kThreads]);
  stats.virtual_bytes = Number(fields[kVirtualBytes]);
  stats.resident_bytes = Number(fields[kResidentPages]) * texts.page_bytes;
  const std::vector<std::string_view> boot = Words(Line(texts.system_stat, "btime "));
  if (!boot.empty()) {
    stats.start_time_seconds = static_cast<double>(Number(boot[0])) + seconds(Number(fields[kStartTicks]));
  }
  const std::vector<std::string_view> limit = Words(Line(texts.limits, "Max open files"));
  if (!limit.empty()) {
    stats.max_fds = limit[0] == "unlimited" ? std::numeric_limits<std::int64_t>::max() : Number(limit[0]);
  }
  return stats;
}

absl::StatusOr<ProcessStats> ReadProcessStats() {
  ASSIGN_OR_RETURN(const std::string stat, ReadProc("/proc/self/stat"));
  ASSIGN_OR_RETURN(const std::string system_stat, ReadProc("/proc/stat"));
  ASSIGN_OR_RETURN(const std::string limits, ReadProc("/proc/self/limits"));
  ASSIGN_OR_RETURN(ProcessStats stats, ParseProcessStats({.stat = stat,
                                                          .system_stat = system_stat,
                                                          .limits = limits,
                                                          .ticks_per_second = sysconf(_SC_CLK_TCK),
                                                          .page_bytes = sysconf(_SC_PAGESIZE)}));
  stats.open_fds = CountOpenFds();
  return stats;
}

}  // namespace muster::hub
