#include "common/virtual_devices.h"

#include <algorithm>
#include <initializer_list>

namespace muster {
namespace {

bool StartsWithAny(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [text](std::string_view prefix) { return text.starts_with(prefix); });
}

}  // namespace

bool IsVirtualNetworkDevice(std::string_view device) {
  return device == "lo" || StartsWithAny(device, {"veth", "br-", "docker", "virbr", "cni", "flannel", "cali", "tun",
                                                  "tap", "dummy", "ifb"});
}

bool IsVirtualBlockDevice(std::string_view device) {
  return StartsWithAny(device, {"loop", "ram", "zram", "dm-", "md"});
}

}  // namespace muster
