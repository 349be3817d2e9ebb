#include "agent/metrics/filesystem_probe.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/status.h"

namespace muster::agent {
namespace {

std::int64_t Times(std::uint64_t blocks, std::uint64_t block_bytes) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (block_bytes != 0 && blocks > kMax / block_bytes) return static_cast<std::int64_t>(kMax);
  return static_cast<std::int64_t>(blocks * block_bytes);
}

}  // namespace

absl::StatusOr<FilesystemSize> StatFilesystem(const std::string& path) {
  // Blocks are counted in f_frsize, which statfs(2) of the C library leaves to statvfs(3).
  struct statvfs info {};
  while (statvfs(path.c_str(), &info) != 0) {
    if (errno != EINTR) return ErrnoError(errno, fmt::format("statfs {}", path));
  }
  return FilesystemSize{.total_bytes = Times(info.f_blocks, info.f_frsize),
                        .used_bytes = Times(info.f_blocks - std::min(info.f_bfree, info.f_blocks), info.f_frsize),
                        .available_bytes = Times(info.f_bavail, info.f_frsize),
                        .files = Times(info.f_files, 1),
                        .files_free = Times(info.f_ffree, 1)};
}

struct FilesystemProbe::State {
  explicit State(Stat s) : stat(std::move(s)) {}
  const Stat stat;

  Mutex mutex;
  CondVar changed;
  std::deque<std::string> queue ABSL_GUARDED_BY(mutex);
  // What workers wait for, since when.
  std::map<std::string, Instant> running ABSL_GUARDED_BY(mutex);
  std::map<std::string, absl::StatusOr<FilesystemSize>> answers ABSL_GUARDED_BY(mutex);
  std::size_t workers ABSL_GUARDED_BY(mutex) = 0;
  bool cancelled ABSL_GUARDED_BY(mutex) = false;

  // False when there is nobody to go on with the queue.
  bool StartWorker(const std::shared_ptr<State>& self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (workers >= kMaxStatfsWorkers) return false;
    try {
      std::thread([self] { Work(self); }).detach();
    } catch (const std::system_error& error) {
      log::Debug("no thread for statfs: {}", error.what());
      return false;
    }
    ++workers;
    return true;
  }
};

FilesystemProbe::FilesystemProbe(Stat stat, absl::Duration patience)
    : patience_(patience), state_(std::make_shared<State>(std::move(stat))) {}

FilesystemProbe::~FilesystemProbe() { Cancel(); }

void FilesystemProbe::Cancel() {
  MutexLock lock(&state_->mutex);
  state_->cancelled = true;
  state_->queue.clear();
  state_->changed.NotifyAll();
}

void FilesystemProbe::Work(const std::shared_ptr<State>& state) {
  while (true) {
    std::string path;
    {
      MutexLock lock(&state->mutex);
      if (state->queue.empty()) {
        --state->workers;
        state->changed.NotifyAll();
        return;
      }
      path = std::move(state->queue.front());
      state->queue.pop_front();
      state->running.emplace(path, Clock::System()->Monotonic());
    }
    absl::StatusOr<FilesystemSize> size = state->stat(path);
    MutexLock lock(&state->mutex);
    state->running.erase(path);
    state->answers.insert_or_assign(std::move(path), std::move(size));
    state->changed.NotifyAll();
  }
}

std::map<std::string, absl::StatusOr<FilesystemSize>> FilesystemProbe::Look(const std::vector<std::string>& paths) {
  State& state = *state_;
  const Clock* const clock = Clock::System();
  MutexLock lock(&state.mutex);
  state.answers.clear();
  for (const std::string& path : paths) {
    if (!state.cancelled && !state.running.contains(path)) state.queue.push_back(path);
  }
  if (!state.queue.empty()) state.StartWorker(state_);
  const Instant give_up = clock->Monotonic() + 2 * patience_;
  std::size_t left = paths.size() + 1;
  while (!state.cancelled) {
    const Instant now = clock->Monotonic();
    if (now >= give_up) break;
    // Those that are asked and have not used up their patience.
    Instant next = now + patience_;
    bool waits = false;
    for (const auto& [path, since] : state.running) {
      if (now - since >= patience_) continue;
      waits = true;
      next = std::min(next, since + patience_);
    }
    if (state.queue.empty() && !waits) break;
    const bool got_no_further = state.queue.size() == left;
    left = state.queue.size();
    const bool helped = left > 0 && (state.workers == 0 || got_no_further) && state.StartWorker(state_);
    // Nobody is left who would go on.
    if (left > 0 && !waits && !helped && state.running.size() == state.workers) break;
    if (left > 0) next = std::min(next, now + patience_ / kStatfsHelpPart);
    state.changed.WaitFor(&state.mutex, std::max(next - now, absl::Milliseconds(1)));
  }
  state.queue.clear();
  std::map<std::string, absl::StatusOr<FilesystemSize>> sizes;
  for (const std::string& path : paths) {
    const auto answer = state.answers.find(path);
    sizes.emplace(path, answer != state.answers.end()
                            ? answer->second
                            : absl::DeadlineExceededError(fmt::format("{} does not answer", path)));
  }
  return sizes;
}

}  // namespace muster::agent
