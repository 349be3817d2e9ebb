#include "agent/host/facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "agent/present.h"
#include "common/files.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxFactFileBytes = 64 * 1024;

std::string ReadOrEmpty(const std::string& path) {
  auto content = ReadFile(path, kMaxFactFileBytes);
  return content.ok() ? *std::move(content) : std::string();
}

std::string CleanFact(std::string_view raw) { return CleanUtf8(Trim(raw), kMaxNameBytes); }

// Calls `visit` with each line until it returns true.
template <typename Visit>
void ForEachLine(std::string_view content, Visit visit) {
  while (!content.empty()) {
    const auto end = content.find('\n');
    if (visit(content.substr(0, end))) return;
    if (end == std::string_view::npos) return;
    content.remove_prefix(end + 1);
  }
}

std::string Unquote(std::string_view value) {
  if (value.size() < 2 || (value.front() != '"' && value.front() != '\'') || value.back() != value.front()) {
    return std::string(value);
  }
  const bool escapes = value.front() == '"';
  value = value.substr(1, value.size() - 2);
  std::string plain;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (escapes && value[i] == '\\' && i + 1 < value.size()) ++i;
    plain += value[i];
  }
  return plain;
}

std::string PrettyName(const std::string& root) {
  std::string name = OsReleaseValue(ReadOrEmpty(root + "/etc/os-release"), "PRETTY_NAME");
  if (name.empty()) name = OsReleaseValue(ReadOrEmpty(root + "/usr/lib/os-release"), "PRETTY_NAME");
  return name;
}

}  // namespace

HostFacts ReadHostFacts(const std::string& root) {
  HostFacts facts;
  types::v1::MachineFacts& machine = facts.machine;
  machine.set_os(CleanFact(PrettyName(root)));
  utsname names{};
  if (uname(&names) == 0) {
    machine.set_hostname(CleanFact(names.nodename));
    machine.set_kernel(CleanFact(names.release));
    machine.set_architecture(CleanFact(names.machine));
  }
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  machine.set_cpu_cores(static_cast<std::int32_t>(std::clamp(cores, 0L, 1L << 20)));
  machine.set_memory_bytes(MemTotalBytes(ReadOrEmpty(root + "/proc/meminfo")));
  facts.boot_id = CleanFact(ReadOrEmpty(root + "/proc/sys/kernel/random/boot_id"));
  facts.machine_id = CleanFact(ReadOrEmpty(root + "/etc/machine-id"));
  return facts;
}

std::string OsReleaseValue(std::string_view content, std::string_view key) {
  std::string found;
  ForEachLine(content, [&](std::string_view line) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=') return false;
    found = Unquote(Trim(line.substr(key.size() + 1)));
    return true;
  });
  return found;
}

std::int64_t MemTotalBytes(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemTotal:";
  std::int64_t bytes = 0;
  ForEachLine(meminfo, [&](std::string_view line) {
    if (!line.starts_with(kKey)) return false;
    const std::string value = Trim(line.substr(kKey.size()));
    std::int64_t kib = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), kib);
    const bool sane = error == std::errc() && kib > 0 && kib <= std::numeric_limits<std::int64_t>::max() / 1024;
    if (sane && std::string_view(end).starts_with(" kB")) bytes = kib * 1024;
    return true;
  });
  return bytes;
}

}  // namespace muster::agent
