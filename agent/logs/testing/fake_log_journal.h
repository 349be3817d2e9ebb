// A LogJournal in memory that a test commits, and kills. Thread-safe.
#ifndef MUSTER_AGENT_LOGS_TESTING_FAKE_LOG_JOURNAL_H_
#define MUSTER_AGENT_LOGS_TESTING_FAKE_LOG_JOURNAL_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/logs/log_journal.h"
#include "common/mutex.h"

namespace muster::agent {

class FakeLogJournal : public LogJournal {
 public:
  bool AppendLines(std::vector<Lines>& lines) override {
    MutexLock lock(&mutex_);
    if (is_full_) return false;
    for (Lines& each : lines) {
      waiting_.push_back([this, each = std::move(each)] {
        records_.push_back(each.record);
        if (each.position.has_value()) positions_[each.position->container] = *each.position;
      });
    }
    return true;
  }
  void ForgetPositions(std::vector<std::string> containers) override {
    MutexLock lock(&mutex_);
    waiting_.push_back([this, containers = std::move(containers)] {
      for (const std::string& container : containers) positions_.erase(container);
    });
  }
  void MovePosition(std::string from, LogPosition to) override {
    MutexLock lock(&mutex_);
    waiting_.push_back([this, from = std::move(from), to = std::move(to)] {
      positions_.erase(from);
      positions_[to.container] = to;
    });
  }
  void KeepSettings(std::vector<std::string> off_keys, absl::Time now) override {
    MutexLock lock(&mutex_);
    waiting_.push_back([this, off_keys = std::move(off_keys), now] {
      memory_.off_keys = off_keys;
      if (!memory_.first_settings.has_value()) memory_.first_settings = now;
    });
  }
  std::optional<LogMemory> Remember() override {
    MutexLock lock(&mutex_);
    if (!is_open_) return std::nullopt;
    LogMemory memory = memory_;
    for (const auto& [id, position] : positions_) memory.positions.push_back(position);
    return memory;
  }

  // Makes the oldest `calls` durable; a call of AppendLines counts for each record.
  void Commit(std::size_t calls = static_cast<std::size_t>(-1)) {
    MutexLock lock(&mutex_);
    for (; calls > 0 && !waiting_.empty(); --calls) {
      waiting_.front()();
      waiting_.pop_front();
    }
  }
  // What was not committed is lost.
  void Kill() {
    MutexLock lock(&mutex_);
    waiting_.clear();
  }
  std::size_t waiting() const {
    MutexLock lock(&mutex_);
    return waiting_.size();
  }
  void set_full(bool is_full) {
    MutexLock lock(&mutex_);
    is_full_ = is_full;
  }
  void set_open(bool is_open) {
    MutexLock lock(&mutex_);
    is_open_ = is_open;
  }

  // Committed; for the test between turns.
  std::vector<v1::Record>& records() { return records_; }
  std::map<std::string, LogPosition>& positions() { return positions_; }
  LogMemory& memory() { return memory_; }

 private:
  mutable Mutex mutex_;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_full_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = true;
  // Written under the mutex.
  std::vector<v1::Record> records_;
  std::map<std::string, LogPosition> positions_;
  LogMemory memory_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_TESTING_FAKE_LOG_JOURNAL_H_
