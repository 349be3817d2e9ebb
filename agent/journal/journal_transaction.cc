#include "agent/journal/journal_transaction.h"

#include <algorithm>

#include "common/status.h"

namespace muster::agent {

JournalTransaction::JournalTransaction(sqlite::Database* database, JournalState* state)
    : database_(database), state_(state), rows_(database), draft_(*state) {}

JournalTransaction::~JournalTransaction() {
  // SQLite has rolled back by itself after some errors; then this one fails, and that is all.
  if (is_open_) database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status JournalTransaction::Begin() {
  RETURN_IF_ERROR(database_->Execute("BEGIN IMMEDIATE"));
  is_open_ = true;
  return absl::OkStatus();
}

absl::Status JournalTransaction::Commit() {
  RETURN_IF_ERROR(WriteLanes());
  RETURN_IF_ERROR(WriteTotals());
  RETURN_IF_ERROR(database_->Execute("COMMIT"));
  is_open_ = false;
  *state_ = std::move(draft_);
  return absl::OkStatus();
}

absl::Status JournalTransaction::AddEpoch(std::int64_t ordinal, const std::string& name, const std::string& boot_id) {
  if (ordinal > kMaxOrdinal) {
    return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "the journal's epochs have run out of numbers");
  }
  JournalEpoch& epoch = draft_.epochs[ordinal];
  epoch.name = name;
  epoch.boot_id = boot_id;
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database_->Prepare("INSERT OR REPLACE INTO epochs (ordinal, epoch, boot_id) VALUES (?, ?, ?)"));
  return statement.Bind(1, ordinal).Bind(2, name).Bind(3, boot_id).Run();
}

absl::Status JournalTransaction::Append(std::int64_t ordinal, const Entry& entry) {
  const LaneName name{.ordinal = ordinal, .lane = entry.lane};
  const JournalEpoch& epoch = draft_.epochs[ordinal];
  const std::int64_t last = LaneAt(name).last;
  if (entry.last_sequence() <= last) return absl::OkStatus();
  if (entry.first_sequence > last + 1) {
    Gap lost{.lane = entry.lane,
             .first_sequence = last + 1,
             .last_sequence = entry.first_sequence - 1,
             .reason = v1::GAP_REASON_DAMAGED,
             .monotonic = entry.monotonic};
    RETURN_IF_ERROR(AddRow(MakeRow(ordinal, epoch.name, EntryOf(lost))));
    AddDropped(lost.count());
  }
  if (entry.kind != EntryKind::kGap) return AddRow(MakeRow(ordinal, epoch.name, entry));
  Gap gap = GapOf(entry, v1::GAP_REASON_UNSPECIFIED);
  if (gap.first_sequence <= last) {
    // A commit that seemed to have failed: the file has the first of these.
    RETURN_IF_ERROR(rows_.ForEach(RowIdOf(ordinal, entry.lane, gap.first_sequence), RowIdOf(ordinal, entry.lane, last),
                                  [&](const JournalRow& row) {
                                    gap.lines = std::max<std::int64_t>(0, gap.lines - LinesOf(row.entry));
                                    return true;
                                  }));
    gap.first_sequence = last + 1;
  }
  AddDropped(gap.count());
  return AddRow(MakeRow(ordinal, epoch.name, EntryOf(gap)));
}

absl::Status JournalTransaction::AddRow(const JournalRow& row) {
  RETURN_IF_ERROR(rows_.Insert(row));
  const LaneName name{.ordinal = row.ordinal(), .lane = row.entry.lane};
  JournalLane& lane = LaneAt(name);
  lane.oldest = lane.empty() ? row.entry.first_sequence : std::min(lane.oldest, row.entry.first_sequence);
  lane.last = std::max(lane.last, row.entry.last_sequence());
  Account(row, 1);
  changed_lanes_.insert(name);
  return absl::OkStatus();
}

absl::Status JournalTransaction::SetBack(LaneName name, std::int64_t sequence) {
  const JournalLane& lane = LaneAt(name);
  const std::int64_t held_from = lane.empty() ? lane.last + 1 : lane.oldest;
  if (sequence + 1 < held_from) {
    const Gap gap{.lane = name.lane,
                  .first_sequence = std::max<std::int64_t>(sequence, 0) + 1,
                  .last_sequence = held_from - 1,
                  .reason = v1::GAP_REASON_NOT_KEPT};
    RETURN_IF_ERROR(AddRow(MakeRow(name.ordinal, draft_.epochs[name.ordinal].name, EntryOf(gap))));
  }
  return SetAcked(name, sequence);
}

absl::Status JournalTransaction::ChangeLogs(const LogChanges& changes, std::int64_t max_positions) {
  return LogTables(database_).Apply(changes, max_positions, &draft_.logs);
}

absl::Status JournalTransaction::DeleteRow(std::int64_t id) { return rows_.Delete(id, id); }

absl::Status JournalTransaction::SetAcked(LaneName name, std::int64_t sequence) {
  JournalLane& lane = LaneAt(name);
  const std::int64_t acked = std::clamp(sequence, std::int64_t{0}, lane.last);
  const auto [low, high] = std::minmax({lane.acked, acked});
  if (low == high) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::int64_t first_id, rows_.Covering(name, low + 1));
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  RETURN_IF_ERROR(rows_.ForEach(first_id, RowIdOf(name.ordinal, name.lane, high),
                                [&, low = low, high = high](const JournalRow& row) {
                                  if (row.entry.last_sequence() > high) return false;
                                  if (row.entry.last_sequence() <= low) return true;
                                  ++rows;
                                  bytes += BytesOf(row.entry);
                                  return true;
                                }));
  const int sign = acked > lane.acked ? 1 : -1;
  lane.waiting_rows -= sign * rows;
  lane.waiting_bytes -= sign * bytes;
  lane.tail_bytes += sign * bytes;
  if (acked < lane.acked) lane.scanned_for_samples = std::min(lane.scanned_for_samples, acked);
  lane.acked = acked;
  changed_lanes_.insert(name);
  return absl::OkStatus();
}

absl::Status JournalTransaction::Quarantine(LaneName name, std::int64_t sequence, const std::string& reason,
                                            std::int64_t max_rows) {
  const std::int64_t id = RowIdOf(name.ordinal, name.lane, sequence);
  ASSIGN_OR_RETURN(const std::optional<JournalRow> row, rows_.Last(id, id));
  if (!row.has_value() || row->entry.kind == EntryKind::kGap) return absl::OkStatus();
  ++draft_.poisoned_total;
  {
    ASSIGN_OR_RETURN(sqlite::Statement insert,
                     database_->Prepare("INSERT INTO quarantine (epoch, lane, sequence, recorded_us, reason, payload) "
                                        "VALUES (?, ?, ?, ?, ?, ?)"));
    RETURN_IF_ERROR(insert.Bind(1, row->epoch)
                        .Bind(2, static_cast<int>(name.lane))
                        .Bind(3, sequence)
                        .Bind(4, row->entry.wall)
                        .Bind(5, reason)
                        .BindBlob(6, row->entry.payload.data(), row->entry.payload.size())
                        .Run());
  }
  ASSIGN_OR_RETURN(sqlite::Statement trim,
                   database_->Prepare("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?"));
  RETURN_IF_ERROR(trim.Bind(1, max_rows).Run());
  RETURN_IF_ERROR(rows_.Delete(id, id));
  Account(*row, -1);
  return AddRow(MakeRow(name.ordinal, row->epoch, EntryOf(GapOf(row->entry, v1::GAP_REASON_NOT_KEPT))));
}

void JournalTransaction::Account(const JournalRow& row, int sign) {
  JournalLane& lane = LaneAt({.ordinal = row.ordinal(), .lane = row.entry.lane});
  const std::int64_t bytes = sign * BytesOf(row.entry);
  if (row.entry.last_sequence() <= lane.acked) {
    lane.tail_bytes += bytes;
  } else {
    lane.waiting_rows += sign;
    lane.waiting_bytes += bytes;
  }
}

absl::Status JournalTransaction::EraseEpoch(std::int64_t ordinal) {
  RETURN_IF_ERROR(rows_.Delete(RowIdOf(ordinal, v1::LANE_EVENTS, 0), RowIdOf(ordinal, v1::LANE_LOGS, kMaxSequence)));
  for (const v1::Lane lane : kLanes) changed_lanes_.erase({.ordinal = ordinal, .lane = lane});
  draft_.epochs.erase(ordinal);
  {
    ASSIGN_OR_RETURN(sqlite::Statement lanes, database_->Prepare("DELETE FROM lanes WHERE ordinal = ?"));
    RETURN_IF_ERROR(lanes.Bind(1, ordinal).Run());
  }
  ASSIGN_OR_RETURN(sqlite::Statement epochs, database_->Prepare("DELETE FROM epochs WHERE ordinal = ?"));
  return epochs.Bind(1, ordinal).Run();
}

absl::Status JournalTransaction::DropEmptyEpochs(std::int64_t own) {
  std::vector<std::int64_t> empty;
  for (const auto& [ordinal, epoch] : draft_.epochs) {
    if (ordinal != own && epoch.empty()) empty.push_back(ordinal);
  }
  if (empty.size() <= kMaxEmptyEpochs) return absl::OkStatus();
  empty.resize(empty.size() - kMaxEmptyEpochs);
  for (const std::int64_t ordinal : empty) RETURN_IF_ERROR(EraseEpoch(ordinal));
  return absl::OkStatus();
}

absl::Status JournalTransaction::DropOldestEpoch(std::int64_t own) {
  if (draft_.epochs.empty() || draft_.epochs.begin()->first == own) return absl::OkStatus();
  const std::int64_t ordinal = draft_.epochs.begin()->first;
  const auto& lanes = draft_.epochs.begin()->second.lanes;
  std::int64_t records = 0;
  RETURN_IF_ERROR(rows_.ForEach(RowIdOf(ordinal, v1::LANE_EVENTS, 0), RowIdOf(ordinal, v1::LANE_LOGS, kMaxSequence),
                                [&](const JournalRow& row) {
                                  const bool waits = row.entry.last_sequence() > lanes[IndexOf(row.entry.lane)].acked;
                                  if (waits && row.entry.kind != EntryKind::kGap) ++records;
                                  return true;
                                }));
  AddDropped(records);
  return EraseEpoch(ordinal);
}

absl::Status JournalTransaction::WriteLanes() {
  for (const LaneName& name : changed_lanes_) {
    const JournalLane& lane = LaneAt(name);
    ASSIGN_OR_RETURN(
        sqlite::Statement statement,
        database_->Prepare("INSERT OR REPLACE INTO lanes (ordinal, lane, last_sequence, acked_sequence, crc) "
                           "VALUES (?, ?, ?, ?, ?)"));
    RETURN_IF_ERROR(statement.Bind(1, name.ordinal)
                        .Bind(2, static_cast<int>(name.lane))
                        .Bind(3, lane.last)
                        .Bind(4, lane.acked)
                        .Bind(5, ChecksumOf({name.ordinal, name.lane, lane.last, lane.acked}, ""))
                        .Run());
  }
  return absl::OkStatus();
}

absl::Status JournalTransaction::WriteTotals() {
  if (draft_.dropped_total == state_->dropped_total && draft_.poisoned_total == state_->poisoned_total &&
      draft_.target_id == state_->target_id) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare("INSERT OR REPLACE INTO journal (id, target_id, dropped_total, poisoned_total, crc) "
                         "VALUES (1, ?, ?, ?, ?)"));
  return statement.Bind(1, draft_.target_id)
      .Bind(2, draft_.dropped_total)
      .Bind(3, draft_.poisoned_total)
      .Bind(4, ChecksumOf({draft_.dropped_total, draft_.poisoned_total}, draft_.target_id))
      .Run();
}

}  // namespace muster::agent
