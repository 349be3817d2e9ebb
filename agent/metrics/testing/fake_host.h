// A host whose files are what the test says, and whose filesystems answer at once; for tests only.
#ifndef MUSTER_AGENT_METRICS_TESTING_FAKE_HOST_H_
#define MUSTER_AGENT_METRICS_TESTING_FAKE_HOST_H_

#include <map>
#include <string>
#include <vector>

#include "agent/metrics/host_files.h"

namespace muster::agent {

class FakeHostFiles : public HostFiles {
 public:
  absl::StatusOr<std::string> Read(const std::string& path, std::size_t max_bytes) const override {
    const auto it = files.find(path);
    if (it == files.end()) return absl::NotFoundError(path);
    if (it->second.size() > max_bytes) return absl::ResourceExhaustedError(path);
    return it->second;
  }
  std::vector<std::string> List(const std::string& path) const override {
    const auto it = folders.find(path);
    return it == folders.end() ? std::vector<std::string>() : it->second;
  }

  std::map<std::string, std::string> files;
  std::map<std::string, std::vector<std::string>> folders;
};

// With everything that is read.
inline FakeHostFiles WholeHost() {
  FakeHostFiles host;
  host.files = {
      {"/proc/stat",
       "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 50 0 50 350 50 0 0 0\ncpu1 50 0 50 350 50 0 0 0\nintr 7 1\nctxt 8\n"
       "btime 1795907848\nprocesses 9\nprocs_running 2\nprocs_blocked 1\n"},
      {"/proc/meminfo",
       "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 10 kB\nCached: 200 kB\nShmem: 20 kB\n"
       "SReclaimable: 30 kB\nSwapTotal: 50 kB\nSwapFree: 40 kB\nHugePages_Total: 3\n"},
      {"/proc/loadavg", "0.5 1.5 2.5 1/2 3\n"},
      {"/proc/uptime", "3600.5 1\n"},
      {"/proc/1/net/dev",
       "eth0: 1000 1 2 3 0 0 0 0 2000 4 5 6 0 0 0 0\nlo: 7 7 0 0 0 0 0 0 7 7 0 0 0 0 0 0\n"
       "veth1: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"},
      {"/proc/diskstats",
       "8 0 sda 1 0 10 1000 2 0 20 2000 3 4000 5000\n8 1 sda1 1 0 10 1000 2 0 20 2000 3 4000 5000\n"
       "253 0 dm-0 1 0 10 1000 2 0 20 2000 3 4000 5000\n7 0 loop0 1 0 10 1000 2 0 20 2000 3 4000 5000\n"},
      {"/proc/1/mountinfo",
       "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv rw - xfs /dev/sda2 rw\n3 1 0:5 / /run rw - tmpfs tmpfs "
       "rw\n"},
  };
  host.folders = {{"/sys/block", {"dm-0", "loop0", "sda"}}};
  return host;
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_TESTING_FAKE_HOST_H_
