// One transaction on the journal's file: changes rows and, along with them, a copy of the state that sums them up. The
// copy becomes the state when the commit is done. Used by JournalStore and LoadJournal only. Not thread-safe.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_TRANSACTION_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_TRANSACTION_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/journal/journal_rows.h"
#include "agent/journal/journal_state.h"
#include "agent/journal/log_positions.h"
#include "common/sqlite/database.h"

namespace muster::agent {

inline constexpr std::size_t kMaxEmptyEpochs = 100;

class JournalTransaction {
 public:
  // `state` must stay as it is until Commit, which replaces it.
  JournalTransaction(sqlite::Database* database, JournalState* state);
  // Rolls back what was not committed.
  ~JournalTransaction();
  JournalTransaction(const JournalTransaction&) = delete;
  JournalTransaction& operator=(const JournalTransaction&) = delete;

  absl::Status Begin();
  // Writes nothing when nothing was changed.
  absl::Status Commit();

  const JournalState& state() const { return draft_; }

  absl::Status AddEpoch(std::int64_t ordinal, const std::string& name, const std::string& boot_id);
  // At the end of its lane. Numbers that are there already are left out; numbers that are missing become a gap.
  absl::Status Append(std::int64_t ordinal, const Entry& entry);
  absl::Status AddRow(const JournalRow& row);
  // At most `max_positions` stay.
  absl::Status ChangeLogs(const LogChanges& changes, std::int64_t max_positions);
  absl::Status DeleteRow(std::int64_t id);  // one that the state does not count

  // Gives up rows, in the order of docs/delivery.md, until so many pages of the file are free or nothing is left.
  absl::Status MakeRoom(std::int64_t pages, std::int64_t max_pages);
  // The oldest epoch as a whole, but not `own`.
  absl::Status DropOldestEpoch(std::int64_t own);

  // Up to where the hub has the lane; brought between 0 and its last number.
  absl::Status SetAcked(LaneName name, std::int64_t sequence);
  // The hub has less than it once acknowledged. What is not held any more becomes a gap.
  absl::Status SetBack(LaneName name, std::int64_t sequence);
  // Forgets acknowledged rows beyond `max_bytes`.
  absl::Status TrimTail(std::int64_t max_bytes, std::int64_t own);
  // Of the epochs that hold nothing any more the newest kMaxEmptyEpochs stay, with their last numbers: a hub that was
  // restored from a backup must hear what it has lost. `own` stays in any case.
  absl::Status DropEmptyEpochs(std::int64_t own);

  // Moves the row that holds the number to the quarantine; a gap takes its place.
  absl::Status Quarantine(LaneName name, std::int64_t sequence, const std::string& reason, std::int64_t max_rows);

  void SetTarget(const std::string& target_id) { draft_.target_id = target_id; }
  // Writes the lane's last and acked number although nothing changed.
  void KeepLane(LaneName name) { changed_lanes_.insert(name); }
  void AddDropped(std::int64_t records) { draft_.dropped_total += records; }

 private:
  JournalLane& LaneAt(LaneName name) { return draft_.epochs[name.ordinal].lanes[IndexOf(name.lane)]; }
  void Account(const JournalRow& row, int sign);
  absl::StatusOr<std::int64_t> FreePages(std::int64_t max_pages);
  std::int64_t TailBytes() const;

  // Each gives up about `bytes`, and returns how much it was.
  absl::StatusOr<std::int64_t> GiveUpSome(std::int64_t bytes);
  absl::StatusOr<std::int64_t> TrimSomeTail(std::int64_t bytes);
  absl::StatusOr<std::int64_t> TrimLane(LaneName name, std::int64_t bytes);
  absl::StatusOr<std::int64_t> GiveUpInLane(LaneName name, EntryKind kind, std::int64_t bytes);
  // Writes the rows anew, side by side: what was deleted between them leaves pages half empty, and half empty pages
  // are of no use to rows that come at the end.
  absl::Status Compact(std::int64_t first_id, std::int64_t last_id);
  // Of records of one lane, ascending.
  absl::Status ReplaceByGaps(LaneName name, const std::vector<Gap>& gaps);
  absl::Status ReplaceByGap(LaneName name, Gap gap);
  absl::Status JoinNeighbours(LaneName name, Gap* gap);
  absl::Status EraseEpoch(std::int64_t ordinal);
  absl::Status WriteLanes();
  absl::Status WriteTotals();

  sqlite::Database* const database_;
  JournalState* const state_;
  JournalRows rows_;
  JournalState draft_;
  std::set<LaneName> changed_lanes_;
  bool is_open_ = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_TRANSACTION_H_
