// The entries that are not on the disk yet, numbered as they come. Bounded: while the disk takes nothing the oldest log
// lines go first, then the oldest of the rest, and each leaves its number in a gap. What changes of the positions of
// containers and of the settings waits beside the log lines, and goes with them, or with the gap in their place. Not
// thread-safe.
#ifndef MUSTER_AGENT_JOURNAL_ENTRY_QUEUE_H_
#define MUSTER_AGENT_JOURNAL_ENTRY_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "agent/journal/entry.h"
#include "agent/journal/log_positions.h"

namespace muster::agent {

// At 100 records of 300 bytes a second: two minutes.
inline constexpr std::int64_t kMaxQueuedBytes = 4 * 1024 * 1024;

// For one commit.
struct EntryBatch {
  std::vector<Entry> entries = {};
  LogChanges changes = {};

  bool empty() const { return entries.empty() && changes.empty(); }
};

class EntryQueue {
 public:
  explicit EntryQueue(std::int64_t max_bytes = kMaxQueuedBytes) : max_bytes_(max_bytes) {}

  // Numbers the entry within its lane.
  void Append(Entry entry);
  // Becomes durable with the last of the log lines that were appended so far, or at once if none of them waits.
  void Change(LogChanges changes);
  // The oldest of each lane, ascending, until they have `max_bytes`, and the changes that go with them; none when there
  // are none. They count against the bound until Committed or PutBack, one of which comes before the next Take.
  EntryBatch Take(std::int64_t max_bytes);
  void Committed();
  // The disk did not take what Take returned; these are its entries.
  void PutBack(std::vector<Entry> entries);

  bool empty() const { return lanes_[0].empty() && lanes_[1].empty() && changes_.empty(); }
  // The rest counts what was taken, too.
  std::int64_t bytes() const { return queued_bytes_ + taken_.bytes; }
  std::int64_t entries() const;
  // Records that gave way and whose gap is not committed yet.
  std::int64_t dropped() const { return dropped_; }
  // What the oldest entry's times are; only when there is one that was not taken.
  const Entry* oldest() const;

 private:
  using LaneQueue = std::deque<Entry>;
  struct Taken {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t dropped = 0;
  };

  LogChanges TakeChanges();
  void DropBeyondBound();
  // The oldest entry that is not a gap becomes one, or part of the one before it; false when there is none.
  bool DropOldest(LaneQueue* lane);
  void JoinWithNext(LaneQueue* lane, std::size_t index);

  const std::int64_t max_bytes_;
  std::array<LaneQueue, 2> lanes_;  // events, logs
  std::array<std::int64_t, 2> last_sequence_{};
  std::int64_t queued_bytes_ = 0;
  std::int64_t dropped_ = 0;
  Taken taken_;
  // By the number of the log lines that they stand behind. A commit takes those up to the last line in it, no more:
  // after a crash the file must not know of lines without their position, nor of a position without its lines.
  std::map<std::int64_t, LogChanges> changes_;
  std::map<std::int64_t, LogChanges> taken_changes_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_ENTRY_QUEUE_H_
