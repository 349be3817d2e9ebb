// The agent's folder on the host: taken by one agent at a time, holding what must survive a restart (state.json) and
// what `muster-agent status` tells. Format: docs/agent.md.
#ifndef MUSTER_AGENT_HOST_DATA_DIR_H_
#define MUSTER_AGENT_HOST_DATA_DIR_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/session/session_status.h"

namespace muster::agent {

// What the journal holds for the hub.
struct JournalStatus {
  std::int64_t records = 0;
  std::int64_t bytes = 0;
  std::int64_t dropped_total = 0;
  std::int64_t poisoned_total = 0;
  // Why records are in memory only now; empty: they are on the disk.
  std::string fault;
  friend bool operator==(const JournalStatus&, const JournalStatus&) = default;
};

// What jobs pushed.
struct JobsStatus {
  std::int64_t groups = 0;
  std::int64_t series = 0;
  // Why pushes are refused now; empty: they are taken, or nobody wants them.
  std::string fault;
  // Empty: jobs cannot push on this host.
  std::string socket;
  friend bool operator==(const JobsStatus&, const JobsStatus&) = default;
};

struct AgentState {
  // Counter of the last Welcome, shown in the next Hello, for this target only.
  std::int64_t session_counter = 0;
  std::string target_id;
  std::string hub;
  std::string agent_version;
  std::int64_t pid = 0;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> update_time;
  SessionStatus session;
  JournalStatus journal;
  JobsStatus jobs;
};

// Unknown members are ignored, missing ones keep their default.
absl::StatusOr<AgentState> ParseAgentState(const std::string& json);
std::string FormatAgentState(const AgentState& state);

// Holds the lock on the folder while it lives.
class DataDir {
 public:
  // Makes the folder (0700) and locks it; DATA_DIR_IN_USE when another agent has it.
  static absl::StatusOr<DataDir> Open(const std::string& path);
  ~DataDir();
  DataDir(DataDir&& other) noexcept;
  DataDir& operator=(DataDir&&) = delete;

  // The state of the last run. A broken file is moved aside to state.json.broken and counts as none.
  AgentState LoadState() const;
  std::string JournalPath() const { return path_ + "/journal.db"; }
  std::string JobsPath() const { return path_ + "/jobs.db"; }
  // Atomic and durable; blocks on the disk. Callable from any thread, one at a time.
  absl::Status SaveState(const AgentState& state) const;
  // Makes the lock `extension` bytes longer than its one byte, for ObserveLock; it does not shrink. Nothing is written:
  // the kernel alone knows.
  absl::Status ExtendLock(std::int64_t extension) const;

 private:
  DataDir(std::string path, int lock_fd);

  std::string path_;
  int lock_fd_;
};

// For readers: whether an agent uses the folder now, and by how much it has extended the lock.
struct ObservedLock {
  bool is_held = false;
  std::int64_t extension = 0;
};
// NO_AGENT_STATE when no agent has used the folder.
absl::StatusOr<ObservedLock> ObserveLock(const std::string& data_dir);

// What the agent that uses this folder wrote last, and whether one runs there now.
struct ObservedState {
  AgentState state;
  bool agent_running = false;
};
absl::StatusOr<ObservedState> ObserveState(const std::string& data_dir);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_DATA_DIR_H_
