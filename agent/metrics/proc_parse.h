// What /proc says about a host -> plain values. Pure functions that take any bytes: a line or a field that cannot be
// read is left out, numbers beyond 63 bits are brought to that bound, nothing fails and nothing is invented. Texts are
// raw bytes. Fuzzed by proc_parse_fuzz.cc. Meaning of the files: proc(5), https://docs.kernel.org/filesystems/proc.html
#ifndef MUSTER_AGENT_METRICS_PROC_PARSE_H_
#define MUSTER_AGENT_METRICS_PROC_PARSE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace muster::agent {

// The columns of a line `cpu` that stand for themselves; guest and guest_nice behind them are in user and nice.
enum CpuColumn { kUser, kNice, kSystem, kIdle, kIowait, kIrq, kSoftirq, kSteal, kCpuColumns };

// In hundredths of a second (USER_HZ). Columns that the kernel lacks are 0.
struct CpuTicks {
  std::array<std::int64_t, kCpuColumns> columns{};
  std::size_t count = 0;
};

// /proc/stat
struct ProcStat {
  // Of all processors together; absent without a line `cpu`.
  std::optional<CpuTicks> all;
  // By number; one that is unplugged is missing.
  std::map<int, CpuTicks> cpus;
  std::int64_t context_switches = 0;
  std::int64_t interrupts = 0;
  std::int64_t forks = 0;
  std::int64_t processes_running = 0;
  std::int64_t processes_blocked = 0;
  std::optional<absl::Time> boot_time;
};
ProcStat ParseStat(std::string_view text);

// /proc/meminfo: bytes by name, of the rows in kB.
std::map<std::string, std::int64_t, std::less<>> ParseMeminfo(std::string_view text);

// /proc/loadavg
struct LoadAverages {
  double load1 = 0;
  double load5 = 0;
  double load15 = 0;
};
std::optional<LoadAverages> ParseLoadavg(std::string_view text);

// /proc/uptime
std::optional<absl::Duration> ParseUptime(std::string_view text);

// /proc/net/dev
struct NetCounters {
  std::string device;
  std::int64_t receive_bytes = 0;
  std::int64_t receive_packets = 0;
  std::int64_t receive_errors = 0;
  std::int64_t receive_dropped = 0;
  std::int64_t transmit_bytes = 0;
  std::int64_t transmit_packets = 0;
  std::int64_t transmit_errors = 0;
  std::int64_t transmit_dropped = 0;
};
std::vector<NetCounters> ParseNetDev(std::string_view text);

// /proc/diskstats
struct DiskCounters {
  std::string device;
  std::int64_t reads_completed = 0;
  std::int64_t sectors_read = 0;
  std::int64_t read_ms = 0;
  std::int64_t writes_completed = 0;
  std::int64_t sectors_written = 0;
  std::int64_t write_ms = 0;
  std::int64_t in_progress = 0;
  std::int64_t io_ms = 0;
  std::int64_t io_weighted_ms = 0;
};
std::vector<DiskCounters> ParseDiskstats(std::string_view text);

// /proc/PID/mountinfo; octal escapes (\040) are decoded.
struct Mount {
  std::string device_number;  // "8:1"
  std::string mount_path;
  std::string filesystem_type;
  std::string source;
};
std::vector<Mount> ParseMountinfo(std::string_view text);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_PROC_PARSE_H_
