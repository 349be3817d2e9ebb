#include "agent/journal/journal_store.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/journal/journal_load.h"
#include "agent/journal/journal_salvage.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// The log may grow to this between checkpoints: some 150 commits, which at four a second is half a minute.
constexpr std::int64_t kLogBytes = 2 * 1024 * 1024;
// A commit writes the ends of both lanes and the small tables.
constexpr std::int64_t kPagesPerCommit = 4;
// Of some 200 bytes each.
constexpr std::int64_t kPositionsPerPage = 10;
// Of trees that grow a level, of splits, and of what a gap needs.
constexpr std::int64_t kSparePages = 8;
// A row of nearly half a page wastes the other half.
constexpr std::int64_t kPagesPerContent = 2;
// Of one record in a batch: tags, lengths and the age.
constexpr std::size_t kRecordOverheadBytes = 32;

// A schema with a flipped bit comes as any kind of error, but not as one of the disk.
bool IsDamage(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason == "DATABASE_CORRUPT" || reason == "DATABASE_ERROR" || reason == "CONSTRAINT";
}

std::int64_t BytesOf(const std::vector<Entry>& entries) {
  std::int64_t bytes = 0;
  for (const Entry& entry : entries) bytes += BytesOf(entry);
  return bytes;
}

}  // namespace

JournalStore::JournalStore(Options options, std::unique_ptr<sqlite::Database> database, JournalState state)
    : options_(std::move(options)), database_(std::move(database)), state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<JournalStore>> JournalStore::Open(Options options, absl::Time now, Condition condition) {
  RETURN_IF_ERROR(FinishSalvage(options.path));
  absl::Status damage = absl::DataLossError("it failed again and again");
  if (condition != Condition::kBroken) {
    auto store = OpenFile(options);
    if (store.ok() || !IsDamage(store.status())) return store;
    damage = store.status();
  }
  RETURN_IF_ERROR(SalvageJournal(options.path, options.vfs, damage, now));
  return OpenFile(std::move(options));
}

absl::StatusOr<std::unique_ptr<JournalStore>> JournalStore::OpenFile(Options options) {
  ASSIGN_OR_RETURN(std::unique_ptr<sqlite::Database> database,
                   sqlite::Database::Open(options.path, sqlite::OpenMode::kWriter, options.vfs));
  // Sequential work needs little cache; 64 pages hold both ends of the tree.
  RETURN_IF_ERROR(database->Execute("PRAGMA cache_size=-256; PRAGMA journal_size_limit=4194304"));
  ASSIGN_OR_RETURN(JournalState state, LoadJournal(database.get(), options.target_id, options.epoch));
  // Not before: a file that is at its bound, or beyond a smaller one, must get the tables that it lacks.
  RETURN_IF_ERROR(database->LimitPages(options.capacity_bytes / kJournalPageBytes));
  RETURN_IF_ERROR(database->Checkpoint());
  return std::unique_ptr<JournalStore>(new JournalStore(std::move(options), std::move(database), std::move(state)));
}

absl::Status JournalStore::Append(const std::vector<Entry>& entries, const LogChanges& changes,
                                  const std::vector<v1::BatchAck>& acks) {
  if (entries.empty() && changes.empty()) return absl::OkStatus();
  const std::int64_t content_pages = (BytesOf(entries) + BytesOf(changes)) / kJournalPageBytes + 1;
  absl::Status appended = TryAppend(entries, changes, acks, kPagesPerContent * content_pages + kSparePages);
  if (!absl::IsResourceExhausted(appended)) return appended;
  // The disk is full, or the rows took more pages than they should have.
  return TryAppend(entries, changes, acks, 4 * kPagesPerContent * content_pages + kSparePages);
}

absl::Status JournalStore::TryAppend(const std::vector<Entry>& entries, const LogChanges& changes,
                                     const std::vector<v1::BatchAck>& acks, std::int64_t pages) {
  JournalTransaction transaction(database_.get(), &state_);
  RETURN_IF_ERROR(transaction.Begin());
  // First: what the hub has gives way without a gap.
  for (const v1::BatchAck& ack : acks) {
    const LaneName name{.ordinal = OrdinalOfEpoch(transaction.state(), ack.epoch()), .lane = ack.lane()};
    if (name.ordinal == 0) continue;
    const std::int64_t acked = transaction.state().epochs.at(name.ordinal).lanes[IndexOf(name.lane)].acked;
    if (ack.sequence() > acked) RETURN_IF_ERROR(transaction.SetAcked(name, ack.sequence()));
  }
  RETURN_IF_ERROR(transaction.MakeRoom(pages, MaxPages()));
  if (!entries.empty()) {
    ASSIGN_OR_RETURN(const std::int64_t ordinal, OwnOrdinal(&transaction));
    for (const Entry& entry : entries) RETURN_IF_ERROR(transaction.Append(ordinal, entry));
  }
#ifdef MUSTER_MUTANT_LOG_POSITION_APART  // a negative control of tests/fault: positions come with the next commit
  static LogChanges late;
  RETURN_IF_ERROR(transaction.ChangeLogs(std::exchange(late, changes), MaxPositions()));
#else
  RETURN_IF_ERROR(transaction.ChangeLogs(changes, MaxPositions()));
#endif
  if (!acks.empty()) RETURN_IF_ERROR(transaction.TrimTail(TailLimit(), OrdinalOfEpoch(state_, options_.epoch)));
  RETURN_IF_ERROR(transaction.Commit());
  // Positions lie anywhere in their table: a page for each, until it is all of them.
  const std::int64_t position_pages =
      std::min(static_cast<std::int64_t>(changes.positions.size()), state_.logs.positions / kPositionsPerPage + 1);
  logged_bytes_ += BytesOf(entries) + (kPagesPerCommit + position_pages) * kJournalPageBytes;
  return absl::OkStatus();
}

absl::StatusOr<LogMemory> JournalStore::ReadLogMemory() {
  LogContent content = LogTables(database_.get()).Read();
  RETURN_IF_ERROR(content.status);
  LogMemory memory{.positions = {},
                   .first_settings = content.totals.first_settings,
                   .off_keys = std::move(content.off_keys),
                   .lost_since = content.totals.lost_since};
  memory.positions.reserve(content.positions.size());
  for (LogContent::Row& row : content.positions) memory.positions.push_back(std::move(row.position));
  return memory;
}

absl::StatusOr<std::int64_t> JournalStore::OwnOrdinal(JournalTransaction* transaction) {
  const std::int64_t known = OrdinalOfEpoch(transaction->state(), options_.epoch);
  if (known != 0) return known;
  while (transaction->state().epochs.size() >= kMaxEpochs) RETURN_IF_ERROR(transaction->DropOldestEpoch(0));
  const auto& epochs = transaction->state().epochs;
  const std::int64_t ordinal = epochs.empty() ? 1 : epochs.rbegin()->first + 1;
  RETURN_IF_ERROR(transaction->AddEpoch(ordinal, options_.epoch, options_.boot_id));
  return ordinal;
}

absl::Status JournalStore::Acknowledge(const v1::BatchAck& ack) {
  const LaneName name{.ordinal = OrdinalOfEpoch(state_, ack.epoch()), .lane = ack.lane()};
  if (name.ordinal == 0) return absl::OkStatus();
  const std::int64_t acked = state_.epochs[name.ordinal].lanes[IndexOf(name.lane)].acked;
  if (ack.sequence() <= acked) return absl::OkStatus();
  JournalTransaction transaction(database_.get(), &state_);
  RETURN_IF_ERROR(transaction.Begin());
  for (const v1::RefusedRecord& refused : ack.refused()) {
    if (refused.sequence() <= acked || refused.sequence() > ack.sequence()) continue;
    RETURN_IF_ERROR(transaction.Quarantine(name, refused.sequence(), refused.reason(), kMaxQuarantined));
  }
  RETURN_IF_ERROR(transaction.SetAcked(name, ack.sequence()));
  RETURN_IF_ERROR(transaction.TrimTail(TailLimit(), OrdinalOfEpoch(state_, options_.epoch)));
  RETURN_IF_ERROR(transaction.Commit());
  logged_bytes_ += kPagesPerCommit * kJournalPageBytes;
  return absl::OkStatus();
}

absl::Status JournalStore::Resume(const std::vector<v1::LanePosition>& applied) {
  JournalTransaction transaction(database_.get(), &state_);
  RETURN_IF_ERROR(transaction.Begin());
  for (const v1::LanePosition& position : applied) {
    const LaneName name{.ordinal = OrdinalOfEpoch(state_, position.epoch()), .lane = position.lane()};
    if (name.ordinal == 0) continue;
    const std::int64_t acked = transaction.state().epochs.at(name.ordinal).lanes[IndexOf(name.lane)].acked;
    RETURN_IF_ERROR(position.sequence() < acked ? transaction.SetBack(name, position.sequence())
                                                : transaction.SetAcked(name, position.sequence()));
  }
  RETURN_IF_ERROR(transaction.TrimTail(TailLimit(), OrdinalOfEpoch(state_, options_.epoch)));
  return transaction.Commit();
}

std::vector<LaneState> JournalStore::Lanes() const {
  std::vector<LaneState> lanes;
  for (const auto& [ordinal, epoch] : state_.epochs) {
    for (const v1::Lane which : kLanes) {
      const JournalLane& lane = epoch.lanes[IndexOf(which)];
      if (lane.last == 0) continue;
      lanes.push_back({.epoch = epoch.name,
                       .lane = which,
                       .oldest_sequence = lane.oldest,
                       .last_sequence = lane.last,
                       .acked_sequence = lane.acked});
    }
  }
  return lanes;
}

absl::StatusOr<v1::JournalDepth> JournalStore::Depth(Instant now) {
  v1::JournalDepth depth;
  std::int64_t records = 0;
  std::int64_t bytes = 0;
  for (const auto& [ordinal, epoch] : state_.epochs) {
    for (const JournalLane& lane : epoch.lanes) {
      records += lane.waiting_rows;
      bytes += lane.waiting_bytes;
    }
  }
  depth.set_records(records);
  depth.set_bytes(bytes);
  depth.set_capacity_bytes(options_.capacity_bytes);
  depth.set_dropped_total(state_.dropped_total);
  depth.set_poisoned_total(state_.poisoned_total);
  ASSIGN_OR_RETURN(const std::optional<JournalRow> oldest, OldestWaiting());
  if (!oldest.has_value()) return depth;
  *depth.mutable_oldest_time() = ToProto(oldest->entry.wall);
  if (HasAge(state_.epochs[oldest->ordinal()])) {
    *depth.mutable_oldest_age() = ToProto(std::max(now - oldest->entry.monotonic, absl::ZeroDuration()));
  }
  return depth;
}

absl::StatusOr<std::optional<JournalRow>> JournalStore::OldestWaiting() {
  JournalRows rows(database_.get());
  std::optional<JournalRow> oldest;
  for (const auto& [ordinal, epoch] : state_.epochs) {
    for (const v1::Lane which : kLanes) {
      const JournalLane& lane = epoch.lanes[IndexOf(which)];
      if (lane.waiting_rows == 0) continue;
      const LaneName name{.ordinal = ordinal, .lane = which};
      ASSIGN_OR_RETURN(const std::int64_t id, rows.Covering(name, lane.acked + 1));
      ASSIGN_OR_RETURN(std::optional<JournalRow> row, rows.Last(id, id));
      if (!row.has_value()) continue;
      if (!oldest.has_value() || row->entry.monotonic < oldest->entry.monotonic) oldest = std::move(row);
    }
    if (oldest.has_value()) break;
  }
  return oldest;
}

absl::Status JournalStore::CheckpointIfDue() {
  if (logged_bytes_ < kLogBytes) return absl::OkStatus();
  RETURN_IF_ERROR(database_->Checkpoint());
  logged_bytes_ = 0;
  return absl::OkStatus();
}

// Puts rows into a batch, and gaps where there are none.
class JournalStore::BatchBuilder {
 public:
  BatchBuilder(const ReadRequest& request, bool has_age, Instant now)
      : max_bytes_(std::min(request.max_bytes, kMaxBatchBytes)), has_age_(has_age), now_(now) {
    batch_.set_epoch(request.epoch);
    batch_.set_lane(request.lane);
    batch_.set_first_sequence(request.first_sequence);
    next_ = request.first_sequence;
  }

  // False when the batch is full.
  bool Add(const JournalRow& row) {
    if (row.entry.last_sequence() < next_ || !row.is_intact) {
      damaged_ = damaged_ || !row.is_intact;
      return true;
    }
    if (row.entry.first_sequence > next_ && !AddGapTo(row.entry.first_sequence - 1)) return false;
    v1::Record record = ToRecord(row);
    if (!Fits(record)) return false;
    bytes_ += SizeOf(record);
    *batch_.add_records() = std::move(record);
    next_ = row.entry.last_sequence() + 1;
    return true;
  }

  v1::RecordBatch Finish(std::int64_t last, bool is_at_end) {
    if (is_at_end && next_ <= last) AddGapTo(last);
    return std::move(batch_);
  }

  // Of what the batch tells.
  std::int64_t last_sequence() const { return next_ - 1; }

 private:
  static std::size_t SizeOf(const v1::Record& record) { return record.ByteSizeLong() + kRecordOverheadBytes; }
  bool Fits(const v1::Record& record) const {
    return batch_.records().empty() || bytes_ + SizeOf(record) <= max_bytes_;
  }

  bool AddGapTo(std::int64_t last) {
    Gap gap{.lane = batch_.lane(), .first_sequence = next_, .last_sequence = last};
    gap.reason = damaged_ ? v1::GAP_REASON_DAMAGED : v1::GAP_REASON_NOT_KEPT;
    v1::Record record = RecordOf(gap);
    if (!Fits(record)) return false;
    bytes_ += SizeOf(record);
    *batch_.add_records() = std::move(record);
    next_ = last + 1;
    damaged_ = false;
    return true;
  }

  v1::Record ToRecord(const JournalRow& row) const {
    v1::Record record;
    // What has the right checksum was serialized by this agent's code.
    if (!record.ParseFromString(row.entry.payload)) record.Clear();
    if (record.has_gap() && record.gap().first_sequence() < next_) {
      // Asked for from within a gap: how many lines the rest of it stands for is not known.
      record.mutable_gap()->set_first_sequence(next_);
      record.mutable_gap()->clear_lines();
    }
    if (!has_age_ || !record.has_observed_at()) return record;
    const absl::Duration waited = std::max(now_ - row.entry.monotonic, absl::ZeroDuration());
    const absl::Duration before = std::max(row.entry.wall - FromProto(record.observed_at()), absl::ZeroDuration());
    *record.mutable_age() = ToProto(waited + before);
    return record;
  }

  const std::size_t max_bytes_;
  const bool has_age_;
  const Instant now_;
  v1::RecordBatch batch_;
  std::int64_t next_ = 1;
  std::size_t bytes_ = 0;
  bool damaged_ = false;
};

absl::StatusOr<v1::RecordBatch> JournalStore::Read(const ReadRequest& request, Instant now) {
  const LaneName name{.ordinal = OrdinalOfEpoch(state_, request.epoch), .lane = request.lane};
  ReadRequest wanted = request;
  wanted.first_sequence = std::max<std::int64_t>(1, request.first_sequence);
  const auto epoch = state_.epochs.find(name.ordinal);
  if (epoch == state_.epochs.end()) return BatchBuilder(wanted, false, now).Finish(0, true);
  JournalLane& lane = epoch->second.lanes[IndexOf(name.lane)];
  BatchBuilder builder(wanted, HasAge(epoch->second), now);
  if (wanted.first_sequence > lane.last) return builder.Finish(lane.last, true);
  JournalRows rows(database_.get());
  ASSIGN_OR_RETURN(const std::int64_t first_id, rows.Covering(name, wanted.first_sequence));
  bool is_at_end = true;
  RETURN_IF_ERROR(rows.ForEach(first_id, RowIdOf(name.ordinal, name.lane, lane.last), [&](const JournalRow& row) {
    is_at_end = builder.Add(row);
    return is_at_end;
  }));
  v1::RecordBatch batch = builder.Finish(lane.last, is_at_end);
  if (name.lane == v1::LANE_LOGS) lane.told = builder.last_sequence();
  return batch;
}

std::string NewEpoch() {
  std::array<std::uint8_t, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  return ToHex(bytes.data(), bytes.size());
}

}  // namespace muster::agent
