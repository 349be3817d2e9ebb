#include "agent/metrics/proc_parse.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace muster::agent {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::int64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();
// No kernel knows so many; a number beyond is no processor.
constexpr std::int64_t kMaxCpuNumber = 65535;
// More columns than any line that is read here has.
constexpr std::size_t kMaxWords = 32;

// Takes the next line off `text`; false at its end.
bool NextLine(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const std::size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return true;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (words.size() < kMaxWords) {
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

// A count: not negative, and all of the word.
std::optional<std::int64_t> Count(std::string_view word) {
  std::uint64_t number = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, number);
  if (stop != end || word.empty() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range || number > static_cast<std::uint64_t>(kMaxNumber)) return kMaxNumber;
  return static_cast<std::int64_t>(number);
}

std::optional<double> Decimal(std::string_view word) {
  double number = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, number);
  if (stop != end || error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

// The counts in `words`, from the first on, until one is none.
std::vector<std::int64_t> Counts(const std::vector<std::string_view>& words, std::size_t first) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = first; i < words.size(); ++i) {
    const std::optional<std::int64_t> count = Count(words[i]);
    if (!count.has_value()) break;
    counts.push_back(*count);
  }
  return counts;
}

std::int64_t FirstCount(const std::vector<std::string_view>& words) {
  return words.size() > 1 ? Count(words[1]).value_or(0) : 0;
}

std::optional<CpuTicks> Ticks(const std::vector<std::string_view>& words) {
  const std::vector<std::int64_t> counts = Counts(words, 1);
  // The oldest kernels tell user, nice, system and idle.
  if (counts.size() <= kIdle) return std::nullopt;
  CpuTicks ticks;
  ticks.count = std::min<std::size_t>(counts.size(), kCpuColumns);
  std::copy_n(counts.begin(), ticks.count, ticks.columns.begin());
  return ticks;
}

void TakeCpu(const std::vector<std::string_view>& words, ProcStat& stat) {
  const std::optional<CpuTicks> ticks = Ticks(words);
  if (!ticks.has_value()) return;
  const std::string_view number = words.front().substr(3);
  if (number.empty()) {
    stat.all = ticks;
  } else if (const auto cpu = Count(number); cpu.has_value() && *cpu <= kMaxCpuNumber) {
    stat.cpus.emplace(static_cast<int>(*cpu), *ticks);
  }
}

std::string DecodeOctal(std::string_view word) {
  const auto digit = [&](std::size_t at) { return word[at] >= '0' && word[at] <= '7' ? word[at] - '0' : -1; };
  std::string plain;
  plain.reserve(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\' && i + 3 < word.size() && digit(i + 1) >= 0 && digit(i + 1) <= 3 && digit(i + 2) >= 0 &&
        digit(i + 3) >= 0) {
      plain += static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3));
      i += 3;
    } else {
      plain += word[i];
    }
  }
  return plain;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
// The fields in front of "-" vary in number.
std::optional<Mount> ParseMount(std::string_view line) {
  constexpr std::string_view kSeparator = " - ";
  const std::size_t separator = line.find(kSeparator);
  if (separator == std::string_view::npos) return std::nullopt;
  const std::vector<std::string_view> left = Words(line.substr(0, separator));
  const std::vector<std::string_view> right = Words(line.substr(separator + kSeparator.size()));
  if (left.size() < 6 || right.size() < 2) return std::nullopt;
  return Mount{.device_number = std::string(left[2]),
               .mount_path = DecodeOctal(left[4]),
               .filesystem_type = DecodeOctal(right[0]),
               .source = DecodeOctal(right[1])};
}

}  // namespace

ProcStat ParseStat(std::string_view text) {
  ProcStat stat;
  for (std::string_view line; NextLine(text, line);) {
    // The line `intr` has thousands of columns; only its first is of use, and Words stops early.
    const std::vector<std::string_view> words = Words(line);
    if (words.empty()) continue;
    const std::string_view key = words.front();
    if (key.starts_with("cpu")) {
      TakeCpu(words, stat);
    } else if (key == "ctxt") {
      stat.context_switches = FirstCount(words);
    } else if (key == "intr") {
      stat.interrupts = FirstCount(words);
    } else if (key == "processes") {
      stat.forks = FirstCount(words);
    } else if (key == "procs_running") {
      stat.processes_running = FirstCount(words);
    } else if (key == "procs_blocked") {
      stat.processes_blocked = FirstCount(words);
    } else if (key == "btime" && FirstCount(words) > 0) {
      stat.boot_time = absl::FromUnixSeconds(FirstCount(words));
    }
  }
  return stat;
}

std::map<std::string, std::int64_t, std::less<>> ParseMeminfo(std::string_view text) {
  std::map<std::string, std::int64_t, std::less<>> bytes;
  for (std::string_view line; NextLine(text, line);) {
    const std::vector<std::string_view> words = Words(line);
    if (words.size() != 3 || words[2] != "kB" || words[0].size() < 2 || words[0].back() != ':') continue;
    const std::optional<std::int64_t> kib = Count(words[1]);
    if (!kib.has_value()) continue;
    bytes.emplace(words[0].substr(0, words[0].size() - 1), std::min(*kib, kMaxNumber / 1024) * 1024);
  }
  return bytes;
}

std::optional<LoadAverages> ParseLoadavg(std::string_view text) {
  std::string_view line;
  if (!NextLine(text, line)) return std::nullopt;
  const std::vector<std::string_view> words = Words(line);
  if (words.size() < 3) return std::nullopt;
  const auto load1 = Decimal(words[0]);
  const auto load5 = Decimal(words[1]);
  const auto load15 = Decimal(words[2]);
  if (!load1.has_value() || !load5.has_value() || !load15.has_value()) return std::nullopt;
  return LoadAverages{.load1 = *load1, .load5 = *load5, .load15 = *load15};
}

std::optional<absl::Duration> ParseUptime(std::string_view text) {
  // 10,000 years: what a Duration of the wire can hold.
  constexpr double kMaxSeconds = 315'576'000'000;
  std::string_view line;
  if (!NextLine(text, line)) return std::nullopt;
  const std::vector<std::string_view> words = Words(line);
  const auto seconds = words.empty() ? std::nullopt : Decimal(words[0]);
  if (!seconds.has_value() || *seconds > kMaxSeconds) return std::nullopt;
  return absl::Seconds(*seconds);
}

std::vector<NetCounters> ParseNetDev(std::string_view text) {
  // bytes packets errs drop fifo frame compressed multicast, and the same of what was sent.
  constexpr std::size_t kColumns = 16;
  constexpr std::size_t kSent = 8;
  std::vector<NetCounters> devices;
  for (std::string_view line; NextLine(text, line);) {
    // A name may hold a colon, an alias of old has one: the numbers stand behind the last.
    const std::size_t colon = line.rfind(':');
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (colon == std::string_view::npos || begin >= colon) continue;
    const std::vector<std::int64_t> counts = Counts(Words(line.substr(colon + 1)), 0);
    if (counts.size() < kColumns) continue;
    devices.push_back({.device = std::string(line.substr(begin, colon - begin)),
                       .receive_bytes = counts[0],
                       .receive_packets = counts[1],
                       .receive_errors = counts[2],
                       .receive_dropped = counts[3],
                       .transmit_bytes = counts[kSent],
                       .transmit_packets = counts[kSent + 1],
                       .transmit_errors = counts[kSent + 2],
                       .transmit_dropped = counts[kSent + 3]});
  }
  return devices;
}

std::vector<DiskCounters> ParseDiskstats(std::string_view text) {
  // Behind major, minor and name: 11 since 2.6; newer kernels have more.
  constexpr std::size_t kColumns = 11;
  std::vector<DiskCounters> devices;
  for (std::string_view line; NextLine(text, line);) {
    const std::vector<std::string_view> words = Words(line);
    if (words.size() < 3 + kColumns) continue;
    const std::vector<std::int64_t> counts = Counts(words, 3);
    if (counts.size() < kColumns) continue;
    devices.push_back({.device = std::string(words[2]),
                       .reads_completed = counts[0],
                       .sectors_read = counts[2],
                       .read_ms = counts[3],
                       .writes_completed = counts[4],
                       .sectors_written = counts[6],
                       .write_ms = counts[7],
                       .in_progress = counts[8],
                       .io_ms = counts[9],
                       .io_weighted_ms = counts[10]});
  }
  return devices;
}

std::vector<Mount> ParseMountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  for (std::string_view line; NextLine(text, line);) {
    if (std::optional<Mount> mount = ParseMount(line)) mounts.push_back(*std::move(mount));
  }
  return mounts;
}

}  // namespace muster::agent
