// Writes the state file from a thread of its own, so that a slow disk never delays a heartbeat. Only the newest state
// matters; what merely repeats (acks) is written at most every five seconds.
#ifndef MUSTER_AGENT_HOST_STATE_KEEPER_H_
#define MUSTER_AGENT_HOST_STATE_KEEPER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "agent/host/data_dir.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

inline constexpr absl::Duration kStateWriteInterval = absl::Seconds(5);

class StateKeeper {
 public:
  // `dir` and `clock` outlive the keeper. `state` is what it starts from, and is written at once.
  StateKeeper(const DataDir* dir, const Clock* clock, AgentState state);
  // Writes what is still unwritten.
  ~StateKeeper();

  // Thread-safe. Cheap when `status.changes` is as before.
  void Update(const SessionStatus& status);
  // Thread-safe; written like an ack.
  void UpdateJournal(const JournalStatus& journal);
  void UpdateJobs(const JobsStatus& jobs);
  // Thread-safe; durable when it returns, or logged why not.
  void KeepSessionCounter(std::int64_t counter);

 private:
  void Loop();
  void NoteChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Write();

  const DataDir* const dir_;
  const Clock* const clock_;

  Mutex mutex_;
  CondVar wake_;
  AgentState state_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;
  bool urgent_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Held while a file is written; taken before mutex_.
  Mutex writing_;
  std::string last_problem_ ABSL_GUARDED_BY(writing_);

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_STATE_KEEPER_H_
