#include "agent/journal/journal_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "agent/journal/journal_rows.h"
#include "agent/journal/journal_transaction.h"
#include "agent/journal/log_positions.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

absl::Status MakeTablesIfNew(sqlite::Database* database) {
  ASSIGN_OR_RETURN(const int version, database->UserVersion());
  if (version == kJournalSchema) return absl::OkStatus();
  if (version != 0 && version != kJournalSchemaWithoutLogs) {
    return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT",
                     fmt::format("the journal has schema {}, this agent knows {}", version, kJournalSchema));
  }
  RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
  absl::Status made = version == 0 ? JournalRows(database).CreateTables() : LogTables(database).Create();
  if (made.ok()) made = database->Execute("COMMIT");
  if (!made.ok()) database->Execute("ROLLBACK").IgnoreError();
  return made;
}

absl::Status DeleteAll(sqlite::Database* database) {
  // Overwritten: what is taken from the pages of a damaged file must not be another target's.
  RETURN_IF_ERROR(database->Execute("PRAGMA secure_delete=ON; BEGIN IMMEDIATE"));
  absl::Status deleted = database->Execute(
      "DELETE FROM records; DELETE FROM lanes; DELETE FROM epochs; DELETE FROM quarantine; DELETE FROM journal");
  if (deleted.ok()) deleted = LogTables(database).Clear();
  if (deleted.ok()) deleted = database->Execute("COMMIT; PRAGMA secure_delete=OFF");
  if (!deleted.ok()) database->Execute("ROLLBACK").IgnoreError();
  return deleted;
}

// The small tables. A lane that they do not know is made up from its rows.
class Loader {
 public:
  explicit Loader(sqlite::Database* database) : database_(database) {}

  absl::Status ReadTotals();
  absl::Status ReadEpochs();
  absl::Status ReadLanes();
  absl::Status ReadLogs();
  absl::Status CheckRows();
  void FindLostEnds();
  absl::Status Repair(const std::string& target_id, const std::string& own_epoch);

  JournalState state;

 private:
  struct Lost {
    std::int64_t ordinal;
    Gap gap;
  };
  struct Seen {
    bool has_rows = false;
    Entry last;
  };

  void See(const JournalRow& row);
  bool Fits(const JournalRow& row) const;
  // The name in the first intact row of an epoch counts, whatever the table of epochs says.
  bool KnowsEpoch(const JournalRow& row);
  void NoteLost(LaneName name, std::int64_t first, std::int64_t last, const Entry* before, const Entry* behind);

  sqlite::Database* const database_;
  std::map<LaneName, Seen> seen_;
  std::map<LaneName, bool> known_lanes_;
  std::int64_t damaged_ = 0;
  // Of numbers that another row covers: an older state that was found in a damaged file.
  std::vector<std::int64_t> superfluous_;
  std::vector<Lost> lost_;
  std::set<std::int64_t> named_epochs_;
  std::vector<std::int64_t> renamed_epochs_;
};

absl::Status Loader::ReadTotals() {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      database_->Prepare("SELECT target_id, dropped_total, poisoned_total, crc FROM journal WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::OkStatus();
  const std::string target_id = statement.Text(0);
  if (statement.Int64(3) != ChecksumOf({statement.Int64(1), statement.Int64(2)}, target_id)) return absl::OkStatus();
  state.target_id = target_id;
  state.dropped_total = statement.Int64(1);
  state.poisoned_total = statement.Int64(2);
  return absl::OkStatus();
}

absl::Status Loader::ReadEpochs() {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database_->Prepare("SELECT ordinal, epoch, boot_id FROM epochs"));
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return absl::OkStatus();
    const std::int64_t ordinal = statement.Int64(0);
    if (ordinal < 1 || ordinal > kMaxOrdinal) continue;
    state.epochs[ordinal].name = statement.Text(1);
    state.epochs[ordinal].boot_id = statement.Text(2);
  }
}

absl::Status Loader::ReadLanes() {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database_->Prepare("SELECT ordinal, lane, last_sequence, acked_sequence, crc FROM lanes"));
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return absl::OkStatus();
    const LaneName name{.ordinal = statement.Int64(0), .lane = static_cast<v1::Lane>(statement.Int(1))};
    const auto epoch = state.epochs.find(name.ordinal);
    const bool is_intact =
        statement.Int64(4) ==
        ChecksumOf({statement.Int64(0), statement.Int64(1), statement.Int64(2), statement.Int64(3)}, "");
    if (epoch == state.epochs.end() || !is_intact) continue;
    JournalLane& lane = epoch->second.lanes[IndexOf(name.lane)];
    lane.last = statement.Int64(2);
    lane.acked = statement.Int64(3);
    known_lanes_[name] = true;
  }
}

absl::Status Loader::ReadLogs() {
  const LogContent content = LogTables(database_).Read();
  state.logs = content.totals;
  return content.status;
}

absl::Status Loader::CheckRows() {
  std::int64_t last_id = kFirstRowId - 1;
  RETURN_IF_ERROR(JournalRows(database_).ForEach(kFirstRowId, kLastRowId, [&](const JournalRow& row) {
    // A wrong row may lie in a wrong place, where it misleads whoever looks for others, and a tree with a wrong branch
    // shows rows out of order: the file has to be built anew.
    const bool is_in_order = row.id > last_id;
    last_id = row.id;
    if (!is_in_order || !row.is_intact) {
      ++damaged_;
    } else if (KnowsEpoch(row) && Fits(row)) {
      See(row);
    } else {
      superfluous_.push_back(row.id);
    }
    return true;
  }));
  if (damaged_ == 0) return absl::OkStatus();
  return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT",
                   fmt::format("{} records in the journal have a wrong checksum", damaged_));
}

bool Loader::KnowsEpoch(const JournalRow& row) {
  const std::int64_t ordinal = row.ordinal();
  if (ordinal < 1) return false;
  JournalEpoch& epoch = state.epochs[ordinal];
  if (!named_epochs_.insert(ordinal).second || epoch.name == row.epoch) return epoch.name == row.epoch;
  epoch.name = row.epoch;
  renamed_epochs_.push_back(ordinal);
  return true;
}

bool Loader::Fits(const JournalRow& row) const {
  const auto seen = seen_.find({.ordinal = row.ordinal(), .lane = row.entry.lane});
  return seen == seen_.end() || row.entry.first_sequence > seen->second.last.last_sequence();
}

void Loader::See(const JournalRow& row) {
  const LaneName name{.ordinal = row.ordinal(), .lane = row.entry.lane};
  JournalLane& lane = state.epochs[name.ordinal].lanes[IndexOf(name.lane)];
  Seen& seen = seen_[name];
  const std::int64_t first = row.entry.first_sequence;
  if (!seen.has_rows) {
    // Without its table the lane's past is unknown; the hub knows.
    if (!known_lanes_[name]) lane.acked = first - 1;
    lane.oldest = first;
    if (first > lane.acked + 1) NoteLost(name, lane.acked + 1, first - 1, nullptr, &row.entry);
  } else if (first > seen.last.last_sequence() + 1) {
    NoteLost(name, seen.last.last_sequence() + 1, first - 1, &seen.last, &row.entry);
  }
  seen.has_rows = true;
  const std::int64_t bytes = BytesOf(row.entry);
  if (row.entry.last_sequence() <= lane.acked) {
    lane.tail_bytes += bytes;
  } else {
    ++lane.waiting_rows;
    lane.waiting_bytes += bytes;
  }
  lane.last = std::max(lane.last, row.entry.last_sequence());
  seen.last = row.entry;
  seen.last.payload.clear();
}

void Loader::NoteLost(LaneName name, std::int64_t first, std::int64_t last, const Entry* before, const Entry* behind) {
  Gap gap{.lane = name.lane, .first_sequence = first, .last_sequence = last, .reason = v1::GAP_REASON_DAMAGED};
  if (before != nullptr) gap.from = before->wall;
  if (behind != nullptr) gap.to = behind->wall;
  if (behind != nullptr || before != nullptr) gap.monotonic = behind != nullptr ? behind->monotonic : before->monotonic;
  lost_.push_back({.ordinal = name.ordinal, .gap = gap});
}

void Loader::FindLostEnds() {
  for (const auto& [ordinal, epoch] : state.epochs) {
    for (const v1::Lane which : kLanes) {
      const LaneName name{.ordinal = ordinal, .lane = which};
      const JournalLane& lane = epoch.lanes[IndexOf(which)];
      const auto seen = seen_.find(name);
      const std::int64_t end = seen == seen_.end() ? lane.acked : seen->second.last.last_sequence();
      if (end < lane.last) {
        NoteLost(name, end + 1, lane.last, seen == seen_.end() ? nullptr : &seen->second.last, nullptr);
      }
    }
  }
}

absl::Status Loader::Repair(const std::string& target_id, const std::string& own_epoch) {
  JournalTransaction transaction(database_, &state);
  RETURN_IF_ERROR(transaction.Begin());
  for (const std::int64_t id : superfluous_) RETURN_IF_ERROR(transaction.DeleteRow(id));
  for (const std::int64_t ordinal : renamed_epochs_) {
    const JournalEpoch epoch = state.epochs[ordinal];
    RETURN_IF_ERROR(transaction.AddEpoch(ordinal, epoch.name, epoch.boot_id));
  }
  std::int64_t lost = 0;
  for (const Lost& hole : lost_) {
    const JournalEpoch& epoch = state.epochs[hole.ordinal];
    const std::int64_t acked = epoch.lanes[IndexOf(hole.gap.lane)].acked;
    RETURN_IF_ERROR(transaction.AddRow(MakeRow(hole.ordinal, epoch.name, EntryOf(hole.gap))));
    lost += std::max<std::int64_t>(0, hole.gap.last_sequence - std::max(acked, hole.gap.first_sequence - 1));
  }
  transaction.AddDropped(lost);
  for (const auto& [name, seen] : seen_) {
    if (!known_lanes_[name]) transaction.KeepLane(name);
  }
  RETURN_IF_ERROR(transaction.DropEmptyEpochs(OrdinalOfEpoch(state, own_epoch)));
  transaction.SetTarget(target_id);
  if (lost > 0) log::Warning("the journal was damaged: {} records are lost", lost);
  return transaction.Commit();
}

}  // namespace

absl::StatusOr<JournalState> LoadJournal(sqlite::Database* database, const std::string& target_id,
                                         const std::string& own_epoch) {
  RETURN_IF_ERROR(MakeTablesIfNew(database));
  {
    Loader totals(database);
    RETURN_IF_ERROR(totals.ReadTotals());
    if (!totals.state.target_id.empty() && totals.state.target_id != target_id) {
      log::Warning("the journal holds records of the target {}; they are deleted", totals.state.target_id);
      RETURN_IF_ERROR(DeleteAll(database));
    }
  }
  Loader loader(database);
  RETURN_IF_ERROR(loader.ReadTotals());
  RETURN_IF_ERROR(loader.ReadEpochs());
  RETURN_IF_ERROR(loader.ReadLanes());
  RETURN_IF_ERROR(loader.ReadLogs());
  RETURN_IF_ERROR(loader.CheckRows());
  loader.FindLostEnds();
  RETURN_IF_ERROR(loader.Repair(target_id, own_epoch));
  return std::move(loader.state);
}

}  // namespace muster::agent
