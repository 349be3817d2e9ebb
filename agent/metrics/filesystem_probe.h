// Asks the kernel for the sizes of filesystems, from workers: a mount whose server is gone answers never, and must
// block nobody. One that has not answered in time is told as stuck and left alone until it answers; its worker stays
// behind. Used by one thread; Cancel by any.
#ifndef MUSTER_AGENT_METRICS_FILESYSTEM_PROBE_H_
#define MUSTER_AGENT_METRICS_FILESYSTEM_PROBE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::agent {

// A disk that is busy answers within it; beyond, a mount counts as stuck.
inline constexpr absl::Duration kStatfsPatience = absl::Seconds(5);
// Beside a slow answer another worker goes on with the rest after this part of the patience, 100 ms, so that a sample
// waits for all its stuck mounts at once.
inline constexpr int kStatfsHelpPart = 50;
// 8 threads of some 20 KiB resident. When all of them hang, what was not asked yet is told as stuck.
inline constexpr std::size_t kMaxStatfsWorkers = 8;

struct FilesystemSize {
  std::int64_t total_bytes = 0;
  std::int64_t used_bytes = 0;       // total minus free
  std::int64_t available_bytes = 0;  // to an ordinary user
  std::int64_t files = 0;
  std::int64_t files_free = 0;
};

// statfs(2). Blocks for as long as the filesystem likes.
absl::StatusOr<FilesystemSize> StatFilesystem(const std::string& path);

class FilesystemProbe {
 public:
  using Stat = std::function<absl::StatusOr<FilesystemSize>(const std::string& path)>;
  // Called by workers, also after this is gone.
  explicit FilesystemProbe(Stat stat = StatFilesystem, absl::Duration patience = kStatfsPatience);
  ~FilesystemProbe();

  // By path; DEADLINE_EXCEEDED: stuck, or nobody could ask. Blocks for some `patience`, at most for twice that, however
  // many there are. Cancelled: what is there already.
  std::map<std::string, absl::StatusOr<FilesystemSize>> Look(const std::vector<std::string>& paths);
  // Final: a Look under way, and every later one, returns at once.
  void Cancel();

 private:
  struct State;
  static void Work(const std::shared_ptr<State>& state);

  const absl::Duration patience_;
  // Shared with the workers, which may outlive this.
  const std::shared_ptr<State> state_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_FILESYSTEM_PROBE_H_
