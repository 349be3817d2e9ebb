#include "common/virtual_devices.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(IsVirtualNetworkDevice, KnowsThoseThatNeverLeaveTheHost) {
  for (const char* device : {"lo", "veth1a2b3c", "br-0123456789ab", "docker0", "docker_gwbridge", "virbr0", "cni0",
                             "flannel.1", "cali0123", "tun0", "tap0", "dummy0", "ifb0"}) {
    EXPECT_TRUE(IsVirtualNetworkDevice(device)) << device;
  }
  // A bridge with a name of its own may be the one that carries the host's address.
  for (const char* device :
       {"eth0", "enp3s0", "ens192", "wlan0", "bond0", "br0", "wg0", "lo1", "eth0.100", "vet", ""}) {
    EXPECT_FALSE(IsVirtualNetworkDevice(device)) << device;
  }
}

TEST(IsVirtualBlockDevice, KnowsThoseThatStandOnOthersOrOnMemory) {
  for (const char* device : {"loop0", "ram1", "zram0", "dm-0", "md127"}) {
    EXPECT_TRUE(IsVirtualBlockDevice(device)) << device;
  }
  for (const char* device : {"sda", "vda", "xvda", "nvme0n1", "mmcblk0", "sr0", "fd0", "drbd0", "dm", "lo", ""}) {
    EXPECT_FALSE(IsVirtualBlockDevice(device)) << device;
  }
}

}  // namespace
}  // namespace muster
