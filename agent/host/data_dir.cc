#include "agent/host/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/files.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxStateBytes = 64 * 1024;

std::string LockPath(const std::string& dir) { return dir + "/lock"; }
std::string StatePath(const std::string& dir) { return dir + "/state.json"; }

// Open file description locks: they go with the descriptor, also at kill -9, and can be asked for without taking them.
struct flock ExclusiveLock(off_t length) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = length;
  return lock;
}
// A lock may be longer than its file, which is empty.
constexpr off_t kLockLength = 1;
constexpr off_t kToTheEnd = 0;

absl::Status Unusable(const std::string& path, const absl::Status& why) {
  return MakeError(
      why.code(), "DATA_DIR_UNUSABLE",
      fmt::format("the data folder {} cannot be used: {}; give --data-dir a folder that this user may write", path,
                  MessageOf(why)));
}

absl::Status Unreadable(const std::string& dir, const absl::Status& why) {
  if (absl::IsNotFound(why)) {
    return MakeError(absl::StatusCode::kNotFound, "NO_AGENT_STATE",
                     fmt::format("no agent has run with the data folder {}; check --data-dir", dir));
  }
  return MakeError(why.code(), "DATA_DIR_UNUSABLE",
                   fmt::format("{}; run this as the agent's user or as root", MessageOf(why)));
}

}  // namespace

DataDir::DataDir(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

DataDir::DataDir(DataDir&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

DataDir::~DataDir() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

absl::StatusOr<DataDir> DataDir::Open(const std::string& path) {
  if (absl::Status made = MakeDirectories(path, 0700); !made.ok()) return Unusable(path, made);
  const int fd = open(LockPath(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Unusable(path, ErrnoError(errno, fmt::format("open {}", LockPath(path))));
  DataDir dir(path, fd);
  struct flock lock = ExclusiveLock(kLockLength);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return dir;
  if (errno != EAGAIN && errno != EACCES)
    return Unusable(path, ErrnoError(errno, fmt::format("lock {}", LockPath(path))));
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
      fmt::format("another agent already runs with the data folder {}; stop it, or give this one a --data-dir "
                  "of its own",
                  path));
}

AgentState DataDir::LoadState() const {
  const std::string path = StatePath(path_);
  auto content = ReadFile(path, kMaxStateBytes);
  if (absl::IsNotFound(content.status())) return {};
  absl::StatusOr<AgentState> state = content.ok() ? ParseAgentState(*content) : content.status();
  if (state.ok()) return *std::move(state);
  const std::string aside = path + ".broken";
  log::Warning("{}: {}; it is moved aside to {} and the agent goes on without it", path, MessageOf(state.status()),
               aside);
  if (std::rename(path.c_str(), aside.c_str()) != 0) {
    log::Warning("{}", MessageOf(ErrnoError(errno, fmt::format("rename {} to {}", path, aside))));
  }
  return {};
}

absl::Status DataDir::SaveState(const AgentState& state) const {
  return WriteFileAtomically(StatePath(path_), FormatAgentState(state), 0600);
}

absl::Status DataDir::ExtendLock(std::int64_t extension) const {
  struct flock lock = ExclusiveLock(kLockLength + extension);
  if (fcntl(lock_fd_, F_OFD_SETLK, &lock) == 0) return absl::OkStatus();
  return ErrnoError(errno, fmt::format("lock {}", LockPath(path_)));
}

absl::StatusOr<ObservedLock> ObserveLock(const std::string& data_dir) {
  const std::string path = LockPath(data_dir);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Unreadable(data_dir, ErrnoError(errno, fmt::format("open {}", path)));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct flock lock = ExclusiveLock(kToTheEnd);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) {
    return Unreadable(data_dir, ErrnoError(errno, fmt::format("ask for the lock of {}", path)));
  }
  if (lock.l_type == F_UNLCK) return ObservedLock{};
  return ObservedLock{.is_held = true, .extension = std::max<std::int64_t>(lock.l_len - kLockLength, 0)};
}

absl::StatusOr<ObservedState> ObserveState(const std::string& data_dir) {
  const auto content = ReadFile(StatePath(data_dir), kMaxStateBytes);
  if (!content.ok()) return Unreadable(data_dir, content.status());
  ObservedState observed;
  ASSIGN_OR_RETURN(observed.state, ParseAgentState(*content));
  const auto lock = ObserveLock(data_dir);
  observed.agent_running = lock.ok() && lock->is_held;
  return observed;
}

}  // namespace muster::agent
