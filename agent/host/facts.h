// What the agent tells about the machine it runs on, from /proc, /etc and uname. Nothing here fails: a fact that cannot
// be read stays empty. Reads small files of the kernel; callable from any thread.
#ifndef MUSTER_AGENT_HOST_FACTS_H_
#define MUSTER_AGENT_HOST_FACTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "muster/types/v1/types.pb.h"

namespace muster::agent {

struct HostFacts {
  types::v1::MachineFacts machine;  // without the runtime, which an observer knows
  std::string boot_id;
  std::string machine_id;
};

// `root` is put before every path, for tests: "" is this machine.
HostFacts ReadHostFacts(const std::string& root = "");

// The value of KEY in os-release syntax: KEY=value, KEY="a \"quoted\" value", KEY='value'. Empty when absent.
std::string OsReleaseValue(std::string_view content, std::string_view key);

// MemTotal of /proc/meminfo in bytes; 0 when absent or absurd.
std::int64_t MemTotalBytes(std::string_view meminfo);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_FACTS_H_
