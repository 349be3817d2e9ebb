#include "agent/host/state_keeper.h"

#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// Whether more than the time of the last ack changed.
bool IsUrgent(const SessionStatus& before, const SessionStatus& after) {
  return before.connected != after.connected || before.session_id != after.session_id ||
         before.last_error != after.last_error || before.last_farewell_time != after.last_farewell_time;
}

}  // namespace

StateKeeper::StateKeeper(const DataDir* dir, const Clock* clock, AgentState state)
    : dir_(dir), clock_(clock), state_(std::move(state)), thread_([this] { Loop(); }) {}

StateKeeper::~StateKeeper() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  thread_.join();
}

void StateKeeper::Update(const SessionStatus& status) {
  MutexLock lock(&mutex_);
  if (status.changes == state_.session.changes) return;
  urgent_ = urgent_ || IsUrgent(state_.session, status);
  state_.session = status;
  NoteChange();
}

void StateKeeper::UpdateJournal(const JournalStatus& journal) {
  MutexLock lock(&mutex_);
  if (journal == state_.journal) return;
  state_.journal = journal;
  NoteChange();
}

void StateKeeper::UpdateJobs(const JobsStatus& jobs) {
  MutexLock lock(&mutex_);
  if (jobs == state_.jobs) return;
  state_.jobs = jobs;
  NoteChange();
}

void StateKeeper::NoteChange() {
  // The thread knows already, or waits until it may write again.
  if (!changed_ || urgent_) wake_.NotifyOne();
  changed_ = true;
}

void StateKeeper::KeepSessionCounter(std::int64_t counter) {
  {
    MutexLock lock(&mutex_);
    state_.session_counter = counter;
  }
  Write();
}

void StateKeeper::Loop() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (!changed_ && !stopping_) wake_.Wait(&mutex_);
      if (!changed_) return;
    }
    Write();
    MutexLock lock(&mutex_);
    const Instant written = clock_->Monotonic();
    while (!urgent_ && !stopping_) {
      const absl::Duration left = written + kStateWriteInterval - clock_->Monotonic();
      if (left <= absl::ZeroDuration() || !wake_.WaitFor(&mutex_, left)) break;
    }
  }
}

void StateKeeper::Write() {
  // In this order, so that an older state never overwrites a newer one.
  MutexLock writing(&writing_);
  AgentState state;
  {
    MutexLock lock(&mutex_);
    changed_ = false;
    urgent_ = false;
    state_.update_time = clock_->Now();
    state = state_;
  }
  const absl::Status saved = dir_->SaveState(state);
  std::string problem = saved.ok() ? "" : MessageOf(saved);
  if (!problem.empty() && problem != last_problem_) {
    log::Warning("the agent's state cannot be saved: {}; free space on the disk or repair --data-dir", problem);
  }
  last_problem_ = std::move(problem);
}

}  // namespace muster::agent
