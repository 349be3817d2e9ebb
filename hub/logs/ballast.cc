#include "hub/logs/ballast.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {

VolumeProbe VolumeOf(const std::string& folder) {
  return [folder]() -> absl::StatusOr<VolumeSpace> {
    struct statvfs info {};
    if (statvfs(folder.c_str(), &info) != 0) return ErrnoError(errno, fmt::format("statvfs {}", folder));
    const auto block = static_cast<std::int64_t>(info.f_frsize);
    return VolumeSpace{.free_bytes = static_cast<std::int64_t>(info.f_bavail) * block,
                       .total_bytes = static_cast<std::int64_t>(info.f_blocks) * block};
  };
}

absl::Status Ballast::Keep(bool is_disk_full, const VolumeSpace& space) {
  if (is_disk_full) {
    if (unlink(path_.c_str()) == 0) {
      log::Warning("the disk is full; {} is deleted to make room for forgetting old log lines", path_);
      return absl::OkStatus();
    }
    return errno == ENOENT ? absl::OkStatus() : ErrnoError(errno, fmt::format("delete {}", path_));
  }
  if (space.free_bytes < kEnoughFreeBytes + kBytes || IsThere()) return absl::OkStatus();
  return Make();
}

bool Ballast::IsThere() const {
  struct stat info {};
  return stat(path_.c_str(), &info) == 0 && info.st_size >= kBytes;
}

absl::Status Ballast::Make() {
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, fmt::format("open {}", path_));
  const int error = posix_fallocate(fd, 0, kBytes);
  close(fd);
  if (error == 0) return absl::OkStatus();
  unlink(path_.c_str());
  return ErrnoError(error, fmt::format("reserve {} bytes for {}", kBytes, path_));
}

}  // namespace muster::hub
