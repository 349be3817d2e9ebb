#include "agent/metrics/mount_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Mount MountOf(std::string number, std::string path, std::string type = "ext4", std::string source = "") {
  if (source.empty()) source = "/dev/" + number;
  return {.device_number = std::move(number),
          .mount_path = std::move(path),
          .filesystem_type = std::move(type),
          .source = std::move(source)};
}

std::vector<std::string> PathsOf(const std::vector<Mount>& mounts) {
  std::vector<std::string> paths;
  paths.reserve(mounts.size());
  for (const Mount& mount : mounts) paths.push_back(mount.mount_path);
  return paths;
}

TEST(ChooseMounts, OneForEachDeviceWithTheShortestPath) {
  const MountChoice choice = ChooseMounts({MountOf("8:1", "/var/lib/kubelet/pods/a"), MountOf("8:1", "/"),
                                           MountOf("8:2", "/srv/b"), MountOf("8:2", "/srv/a"), MountOf("8:1", "/x")});
  EXPECT_THAT(PathsOf(choice.mounts), ElementsAre("/", "/srv/b")) << "of equal ones the first in order";
  EXPECT_EQ(choice.omitted, 0U);
}

TEST(ChooseMounts, LeavesOutWhatHasNoDeviceOrIsOfTheMachinesOwnMaking) {
  EXPECT_THAT(ChooseMounts({MountOf("0:1", "/run", "tmpfs"), MountOf("0:2", "/proc", "proc"),
                            MountOf("0:3", "/snap/a", "squashfs"), MountOf("0:4", "/merged", "overlay"),
                            MountOf("8:1", "/dev/x"), MountOf("8:2", "/sys"),
                            MountOf("8:3", "/var/lib/docker/volumes/a"), MountOf("8:4", "/run/credentials/a")})
                  .mounts,
              IsEmpty());
  EXPECT_THAT(
      PathsOf(ChooseMounts({MountOf("8:1", "/development"), MountOf("8:2", "/var/lib/docker"),
                            MountOf("0:50", "/mnt/nfs", "nfs4", "server:/a"),
                            MountOf("0:51", "/data", "zfs", "pool/data"), MountOf("0:52", "/b", "btrfs", "/dev/sdb")})
                  .mounts),
      ElementsAre("/development", "/var/lib/docker", "/b", "/data", "/mnt/nfs"));
}

TEST(ChooseMounts, AMountCoversWhatWasMountedThereBefore) {
  const MountChoice choice = ChooseMounts({MountOf("8:1", "/mnt"), MountOf("8:2", "/mnt")});
  ASSERT_EQ(choice.mounts.size(), 1U);
  EXPECT_EQ(choice.mounts[0].device_number, "8:2");
}

TEST(ChooseMounts, OneExportMountedTwiceIsOneDevice) {
  EXPECT_THAT(PathsOf(ChooseMounts({MountOf("0:50", "/mnt/long", "nfs4", "server:/a"),
                                    MountOf("0:51", "/mnt/b", "nfs4", "server:/a")})
                          .mounts),
              ElementsAre("/mnt/b"));
}

TEST(ChooseMounts, OfFiveThousandTheShortestPaths) {
  std::vector<Mount> mounts;
  mounts.reserve(5001);
  for (int i = 0; i < 5000; ++i)
    mounts.push_back(MountOf("7:" + std::to_string(i), "/mnt/" + std::string(i % 100, 'x') + std::to_string(i)));
  mounts.push_back(MountOf("8:1", "/"));
  const MountChoice choice = ChooseMounts(mounts);
  EXPECT_EQ(choice.mounts.size(), kMaxFilesystems);
  EXPECT_EQ(choice.omitted, 5001 - kMaxFilesystems);
  EXPECT_THAT(PathsOf(choice.mounts), testing::Contains("/"));
}

TEST(BelowRoot, TellsPathsAsTheHostHasThem) {
  const std::vector<Mount> mounts = {MountOf("0:1", "/", "overlay"), MountOf("8:1", "/host"),
                                     MountOf("8:2", "/host/boot"), MountOf("8:3", "/hostage"),
                                     MountOf("8:1", "/etc/hosts")};
  EXPECT_THAT(PathsOf(BelowRoot(mounts, "/host")), ElementsAre("/", "/boot"));
  EXPECT_EQ(BelowRoot(mounts, "").size(), mounts.size());
}

}  // namespace
}  // namespace muster::agent
