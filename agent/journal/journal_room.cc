// JournalTransaction's making of room: what is given up first, and the gaps that stay in its place.
#include <algorithm>

#include "agent/journal/journal_transaction.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// At a time: one sixteenth of the smallest journal.
constexpr std::int64_t kGiveUpBytes = 64 * 1024;

// Samples are given up in stretches of this length, which are then written anew without holes.
constexpr std::int64_t kMaxCompactedBytes = 256 * 1024;

// After log lines and samples everything but gaps is of one worth.
bool IsMeant(EntryKind kind, EntryKind wanted) {
  if (wanted == EntryKind::kTransition) return kind != EntryKind::kGap;
  return kind == wanted;
}

}  // namespace

absl::Status JournalTransaction::MakeRoom(std::int64_t pages, std::int64_t max_pages) {
  while (true) {
    ASSIGN_OR_RETURN(const std::int64_t free, FreePages(max_pages));
    if (free >= pages) return absl::OkStatus();
    const std::int64_t missing_bytes = (pages - free) * kJournalPageBytes;
    ASSIGN_OR_RETURN(const std::int64_t given_up, GiveUpSome(std::max(missing_bytes, kGiveUpBytes)));
    if (given_up == 0) return absl::OkStatus();
  }
}

absl::StatusOr<std::int64_t> JournalTransaction::FreePages(std::int64_t max_pages) {
  std::int64_t pages = 0;
  std::int64_t free = 0;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement, database_->Prepare("PRAGMA page_count"));
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (found) pages = statement.Int64(0);
  }
  ASSIGN_OR_RETURN(sqlite::Statement statement, database_->Prepare("PRAGMA freelist_count"));
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (found) free = statement.Int64(0);
  return max_pages - pages + free;
}

absl::StatusOr<std::int64_t> JournalTransaction::GiveUpSome(std::int64_t bytes) {
  ASSIGN_OR_RETURN(const std::int64_t tail, TrimSomeTail(bytes));
  if (tail > 0) return tail;
  // In the order of their worth; within a kind the oldest first.
  for (const EntryKind kind : {EntryKind::kLogLines, EntryKind::kHostSample, EntryKind::kTransition}) {
    std::int64_t given_up = 0;
    for (const auto& [ordinal, epoch] : draft_.epochs) {
      const LaneName name{.ordinal = ordinal, .lane = LaneOf(kind)};
      ASSIGN_OR_RETURN(const std::int64_t some, GiveUpInLane(name, kind, bytes - given_up));
      given_up += some;
      if (given_up >= bytes) break;
    }
    if (given_up > 0) return given_up;
  }
  return 0;
}

absl::StatusOr<std::int64_t> JournalTransaction::GiveUpInLane(LaneName name, EntryKind kind, std::int64_t bytes) {
  JournalLane& lane = LaneAt(name);
  if (lane.waiting_rows == 0) return 0;
  const bool samples = kind == EntryKind::kHostSample;
  const std::int64_t behind = samples ? std::max(lane.acked, lane.scanned_for_samples) : lane.acked;
  std::vector<Gap> victims;
  std::int64_t found = 0;
  std::int64_t looked_at = 0;  // since the first victim
  const auto look = [&](const JournalRow& row) {
    if (found >= bytes || looked_at >= kMaxCompactedBytes) return false;
    if (samples) lane.scanned_for_samples = row.entry.last_sequence();
    const std::int64_t size = BytesOf(row.entry);
    if (IsMeant(row.entry.kind, kind)) {
      found += size;
      victims.push_back(GapOf(row.entry, v1::GAP_REASON_JOURNAL_FULL));
    }
    if (!victims.empty()) looked_at += size;
    return true;
  };
  RETURN_IF_ERROR(
      rows_.ForEach(RowIdOf(name.ordinal, name.lane, behind + 1), RowIdOf(name.ordinal, name.lane, lane.last), look));
  if (victims.empty()) return 0;
  RETURN_IF_ERROR(ReplaceByGaps(name, victims));
  // Log lines and the rest leave whole pages; samples lie between other rows.
  if (samples) {
    RETURN_IF_ERROR(Compact(RowIdOf(name.ordinal, name.lane, victims.front().first_sequence),
                            RowIdOf(name.ordinal, name.lane, victims.back().first_sequence)));
  }
  return found;
}

absl::Status JournalTransaction::Compact(std::int64_t first_id, std::int64_t last_id) {
  std::vector<JournalRow> rows;
  RETURN_IF_ERROR(rows_.ForEach(first_id, last_id, [&](JournalRow row) {
    rows.push_back(std::move(row));
    return true;
  }));
  RETURN_IF_ERROR(rows_.Delete(first_id, last_id));
  for (const JournalRow& row : rows) RETURN_IF_ERROR(rows_.Insert(row));
  return absl::OkStatus();
}

absl::Status JournalTransaction::ReplaceByGaps(LaneName name, const std::vector<Gap>& gaps) {
  const std::int64_t told = LaneAt(name).told;
  Gap run = gaps.front();
  for (std::size_t i = 1; i < gaps.size(); ++i) {
    const Gap& next = gaps[i];
    if (next.first_sequence == run.last_sequence + 1 && run.last_sequence != told) {
      run = Join(run, next);
    } else {
      RETURN_IF_ERROR(ReplaceByGap(name, run));
      run = next;
    }
  }
  return ReplaceByGap(name, run);
}

absl::Status JournalTransaction::ReplaceByGap(LaneName name, Gap gap) {
  const std::int64_t first_id = RowIdOf(name.ordinal, name.lane, gap.first_sequence);
  const std::int64_t last_id = RowIdOf(name.ordinal, name.lane, gap.last_sequence);
  std::int64_t records = 0;
  RETURN_IF_ERROR(rows_.ForEach(first_id, last_id, [&](const JournalRow& row) {
    Account(row, -1);
    ++records;
    return true;
  }));
  RETURN_IF_ERROR(rows_.Delete(first_id, last_id));
  AddDropped(records);
  RETURN_IF_ERROR(JoinNeighbours(name, &gap));
  return AddRow(MakeRow(name.ordinal, draft_.epochs[name.ordinal].name, EntryOf(gap)));
}

absl::Status JournalTransaction::JoinNeighbours(LaneName name, Gap* gap) {
  const std::int64_t acked = LaneAt(name).acked;
  const std::int64_t told = LaneAt(name).told;
  const auto joins = [&](const JournalRow& row) {
    return row.is_intact && row.entry.kind == EntryKind::kGap && row.entry.last_sequence() > acked &&
           GapOf(row.entry, v1::GAP_REASON_UNSPECIFIED).reason == gap->reason;
  };
  ASSIGN_OR_RETURN(
      const std::optional<JournalRow> before,
      rows_.Last(RowIdOf(name.ordinal, name.lane, 0), RowIdOf(name.ordinal, name.lane, gap->first_sequence - 1)));
  if (before.has_value() && before->entry.last_sequence() == gap->first_sequence - 1 &&
      before->entry.last_sequence() != told && joins(*before)) {
    *gap = Join(GapOf(before->entry, gap->reason), *gap);
    Account(*before, -1);
    RETURN_IF_ERROR(rows_.Delete(before->id, before->id));
  }
  const std::int64_t next_id = RowIdOf(name.ordinal, name.lane, gap->last_sequence + 1);
  ASSIGN_OR_RETURN(const std::optional<JournalRow> next, rows_.Last(next_id, next_id));
  if (next.has_value() && gap->last_sequence != told && joins(*next)) {
    *gap = Join(*gap, GapOf(next->entry, gap->reason));
    Account(*next, -1);
    RETURN_IF_ERROR(rows_.Delete(next->id, next->id));
  }
  return absl::OkStatus();
}

std::int64_t JournalTransaction::TailBytes() const {
  std::int64_t bytes = 0;
  for (const auto& [ordinal, epoch] : draft_.epochs) {
    for (const JournalLane& lane : epoch.lanes) bytes += lane.tail_bytes;
  }
  return bytes;
}

absl::Status JournalTransaction::TrimTail(std::int64_t max_bytes, std::int64_t own) {
  for (std::int64_t tail = TailBytes(); tail > max_bytes; tail = TailBytes()) {
    ASSIGN_OR_RETURN(const std::int64_t trimmed, TrimSomeTail(tail - max_bytes));
    if (trimmed == 0) break;
  }
  return DropEmptyEpochs(own);
}

absl::StatusOr<std::int64_t> JournalTransaction::TrimSomeTail(std::int64_t bytes) {
  // Log lines of all epochs first: a flood of them must not wash away what happened.
  std::int64_t trimmed = 0;
  for (const v1::Lane lane : {v1::LANE_LOGS, v1::LANE_EVENTS}) {
    for (const auto& [ordinal, epoch] : draft_.epochs) {
      if (trimmed >= bytes) return trimmed;
      ASSIGN_OR_RETURN(const std::int64_t some, TrimLane({.ordinal = ordinal, .lane = lane}, bytes - trimmed));
      trimmed += some;
    }
  }
  return trimmed;
}

absl::StatusOr<std::int64_t> JournalTransaction::TrimLane(LaneName name, std::int64_t bytes) {
  JournalLane& lane = LaneAt(name);
  if (lane.tail_bytes == 0) return 0;
  const std::int64_t first_id = RowIdOf(name.ordinal, name.lane, 0);
  std::int64_t trimmed = 0;
  std::int64_t last = 0;
  RETURN_IF_ERROR(rows_.ForEach(first_id, RowIdOf(name.ordinal, name.lane, lane.acked), [&](const JournalRow& row) {
    if (trimmed >= bytes || row.entry.last_sequence() > lane.acked) return false;
    trimmed += BytesOf(row.entry);
    last = row.entry.last_sequence();
    return true;
  }));
  if (last == 0) return 0;
  RETURN_IF_ERROR(rows_.Delete(first_id, RowIdOf(name.ordinal, name.lane, last)));
  lane.tail_bytes -= trimmed;
  lane.oldest = last < lane.last ? last + 1 : 0;
  return trimmed;
}

}  // namespace muster::agent
