#include "agent/journal/entry_queue.h"

#include <utility>

#include "agent/journal/journal_state.h"

namespace muster::agent {

void EntryQueue::Append(Entry entry) {
  const std::size_t lane = IndexOf(entry.lane);
  const std::int64_t sequence = ++last_sequence_[lane];
  if (entry.kind == EntryKind::kGap) {
    Gap gap = GapOf(entry, v1::GAP_REASON_UNSPECIFIED);
    gap.first_sequence = gap.last_sequence = sequence;
    entry = EntryOf(gap);
    ++dropped_;
  }
  entry.first_sequence = sequence;
  queued_bytes_ += BytesOf(entry);
  lanes_[lane].push_back(std::move(entry));
  DropBeyondBound();
}

void EntryQueue::Change(LogChanges changes) {
  changes_[last_sequence_[IndexOf(v1::LANE_LOGS)]].Add(std::move(changes));
}

EntryBatch EntryQueue::Take(std::int64_t max_bytes) {
  std::vector<Entry> taken;
  for (LaneQueue& lane : lanes_) {
    while (!lane.empty() && (taken.empty() || taken_.bytes + BytesOf(lane.front()) <= max_bytes)) {
      const Entry& entry = lane.front();
      ++taken_.entries;
      taken_.bytes += BytesOf(entry);
      if (entry.kind == EntryKind::kGap) taken_.dropped += entry.count;
      taken.push_back(std::move(lane.front()));
      lane.pop_front();
    }
  }
  queued_bytes_ -= taken_.bytes;
  return {.entries = std::move(taken), .changes = TakeChanges()};
}

LogChanges EntryQueue::TakeChanges() {
  const LaneQueue& lines = lanes_[IndexOf(v1::LANE_LOGS)];
  LogChanges taken;
  while (!changes_.empty() && (lines.empty() || changes_.begin()->first < lines.front().first_sequence)) {
    taken.Add(changes_.begin()->second);
    taken_changes_.insert(changes_.extract(changes_.begin()));
  }
  return taken;
}

void EntryQueue::Committed() {
  dropped_ -= taken_.dropped;
  taken_ = Taken();
  taken_changes_.clear();
}

void EntryQueue::PutBack(std::vector<Entry> entries) {
  // Behind the same lines there may be later ones.
  for (auto& [sequence, changes] : changes_) taken_changes_[sequence].Add(std::move(changes));
  changes_ = std::exchange(taken_changes_, {});
  queued_bytes_ += taken_.bytes;
  taken_ = Taken();
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
    LaneQueue& lane = lanes_[IndexOf(it->lane)];
    lane.push_front(std::move(*it));
  }
  DropBeyondBound();
}

std::int64_t EntryQueue::entries() const {
  return static_cast<std::int64_t>(lanes_[0].size() + lanes_[1].size()) + taken_.entries;
}

const Entry* EntryQueue::oldest() const {
  const Entry* oldest = nullptr;
  for (const LaneQueue& lane : lanes_) {
    if (lane.empty()) continue;
    if (oldest == nullptr || lane.front().monotonic < oldest->monotonic) oldest = &lane.front();
  }
  return oldest;
}

void EntryQueue::DropBeyondBound() {
  while (bytes() > max_bytes_) {
    if (!DropOldest(&lanes_[1]) && !DropOldest(&lanes_[0])) return;
  }
}

bool EntryQueue::DropOldest(LaneQueue* lane) {
  // Gaps are joined, so there is at most one before the oldest record of a run that was not taken apart.
  std::size_t index = 0;
  while (index < lane->size() && (*lane)[index].kind == EntryKind::kGap) ++index;
  if (index == lane->size()) return false;
  Entry& victim = (*lane)[index];
  queued_bytes_ -= BytesOf(victim);
  victim = EntryOf(GapOf(victim, v1::GAP_REASON_DISK_FULL));
  queued_bytes_ += BytesOf(victim);
  ++dropped_;
  JoinWithNext(lane, index);
  if (index > 0) JoinWithNext(lane, index - 1);
  return true;
}

void EntryQueue::JoinWithNext(LaneQueue* lane, std::size_t index) {
  if (index + 1 >= lane->size()) return;
  Entry& entry = (*lane)[index];
  const Entry& next = (*lane)[index + 1];
  if (entry.kind != EntryKind::kGap || next.kind != EntryKind::kGap) return;
  queued_bytes_ -= BytesOf(entry) + BytesOf(next);
  entry = EntryOf(Join(GapOf(entry, v1::GAP_REASON_DISK_FULL), GapOf(next, v1::GAP_REASON_DISK_FULL)));
  queued_bytes_ += BytesOf(entry);
  lane->erase(lane->begin() + static_cast<std::ptrdiff_t>(index) + 1);
}

}  // namespace muster::agent
