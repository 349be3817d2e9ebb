#include "agent/metrics/mount_choice.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace muster::agent {
namespace {

// Sorted. node_exporter's default, and what else has no device of its own or can never be written.
constexpr std::array<std::string_view, 35> kLeftOutTypes = {
    "autofs",          "binfmt_misc", "bpf",         "cgroup",   "cgroup2",    "configfs",
    "cramfs",          "debugfs",     "devpts",      "devtmpfs", "efivarfs",   "erofs",
    "fuse.gvfsd-fuse", "fuse.lxcfs",  "fuse.portal", "fusectl",  "hugetlbfs",  "iso9660",
    "mqueue",          "nfsd",        "nsfs",        "overlay",  "proc",       "procfs",
    "pstore",          "ramfs",       "resctrl",     "rootfs",   "rpc_pipefs", "securityfs",
    "selinuxfs",       "squashfs",    "sysfs",       "tmpfs",    "tracefs"};

// node_exporter's default: "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)".
constexpr std::array<std::string_view, 3> kLeftOutTrees = {"/dev", "/proc", "/sys"};
constexpr std::array<std::string_view, 3> kLeftOutBelow = {"/run/credentials/", "/var/lib/docker/",
                                                           "/var/lib/containers/storage/"};

}  // namespace

bool IsLeftOutType(std::string_view type) {
  return std::binary_search(kLeftOutTypes.begin(), kLeftOutTypes.end(), type);
}

bool IsLeftOutPath(std::string_view path) {
  for (const std::string_view tree : kLeftOutTrees) {
    if (path.starts_with(tree) && (path.size() == tree.size() || path[tree.size()] == '/')) return true;
  }
  return std::any_of(kLeftOutBelow.begin(), kLeftOutBelow.end(),
                     [path](std::string_view below) { return path.size() > below.size() && path.starts_with(below); });
}

MountChoice ChooseMounts(const std::vector<Mount>& mounts) {
  // Of mounts at one path the last covers the others.
  std::map<std::string_view, const Mount*> visible;
  for (const Mount& mount : mounts) visible.insert_or_assign(mount.mount_path, &mount);
  std::vector<const Mount*> candidates;
  for (const Mount& mount : mounts) {
    if (visible.at(mount.mount_path) != &mount) continue;
    if (!IsLeftOutType(mount.filesystem_type) && !IsLeftOutPath(mount.mount_path)) candidates.push_back(&mount);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Mount* a, const Mount* b) { return a->mount_path.size() < b->mount_path.size(); });
  // A server's export may be mounted twice as two devices: it is the same thing.
  std::set<std::string_view> numbers;
  std::set<std::string_view> sources;
  MountChoice choice;
  for (const Mount* mount : candidates) {
    const bool is_new_number = numbers.insert(mount->device_number).second;
    if (!is_new_number || !sources.insert(mount->source).second) continue;
    if (choice.mounts.size() == kMaxFilesystems) {
      ++choice.omitted;
    } else {
      choice.mounts.push_back(*mount);
    }
  }
  std::sort(choice.mounts.begin(), choice.mounts.end(),
            [](const Mount& a, const Mount& b) { return a.source < b.source; });
  return choice;
}

std::vector<Mount> BelowRoot(std::vector<Mount> mounts, std::string_view root) {
  if (root.empty()) return mounts;
  std::vector<Mount> below;
  for (Mount& mount : mounts) {
    const std::string_view path = mount.mount_path;
    if (!path.starts_with(root) || (path.size() > root.size() && path[root.size()] != '/')) continue;
    std::string inside(path.substr(root.size()));
    mount.mount_path = inside.empty() ? std::string("/") : std::move(inside);
    below.push_back(std::move(mount));
  }
  return below;
}

}  // namespace muster::agent
