#include "hub/store/batch_walk.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::GapRecord;
using agent::v1::Record;
using agent::v1::RecordBatch;

// Beyond, numbers could not be counted on; no agent lives that long.
constexpr std::int64_t kMaxSequence = std::numeric_limits<std::int64_t>::max() / 2;
// Reasons in one ack: with 8192 records refused it has 130 KiB, half of what an agent reads.
constexpr std::size_t kMaxReasons = 200;
// The years 1970 to 9999.
constexpr std::int64_t kLastSecond = 253'402'300'799;

}  // namespace

bool IsStorable(const google::protobuf::Timestamp& time) {
  return time.seconds() >= 0 && time.seconds() <= kLastSecond && time.nanos() >= 0 && time.nanos() < 1'000'000'000;
}

std::string FindBatchDefect(const RecordBatch& batch) {
  if (batch.epoch().empty() || batch.epoch().size() > kMaxEpochBytes) return "a batch without an epoch";
  if (batch.first_sequence() < 1 || batch.first_sequence() >= kMaxSequence) return "a batch without a sequence number";
  if (batch.records().empty()) return "a batch without records";
  if (batch.records_size() > kMaxBatchRecords) return "a batch of more than 8192 records";
  return "";
}

absl::StatusOr<std::vector<agent::v1::LanePosition>> ReadPositions(sqlite::Database& database,
                                                                   std::string_view target_id,
                                                                   const std::vector<agent::v1::LanePosition>& listed) {
  std::vector<agent::v1::LanePosition> positions;
  for (const agent::v1::LanePosition& asked : listed) {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT sequence FROM journal_positions WHERE target_id=?"
                                                           " AND epoch=? AND lane=?"));
    ASSIGN_OR_RETURN(const bool row, s.Bind(1, target_id).Bind(2, asked.epoch()).Bind(3, asked.lane()).Step());
    if (!row) continue;
    agent::v1::LanePosition& position = positions.emplace_back();
    position.set_epoch(asked.epoch());
    position.set_lane(asked.lane());
    position.set_sequence(s.Int64(0));
  }
  return positions;
}

absl::StatusOr<bool> BatchWalk::Begin() {
  ASSIGN_OR_RETURN(sqlite::Statement s, database_.Prepare("SELECT sequence, at_us FROM journal_positions"
                                                          " WHERE target_id=? AND epoch=? AND lane=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane()).Step());
  is_new_position_ = !row;
  if (row) {
    before_ = s.Int64(0);
    last_at_ = s.Time(1);
  }
  outcome_.position = before_;
  if (batch_.first_sequence() <= before_ + 1) return true;
  outcome_.expected = before_ + 1;
  return false;
}

absl::Status BatchWalk::ApplyNew(Apply apply, StoreGap store_gap) {
  std::int64_t next = batch_.first_sequence();
  for (const Record& record : batch_.records()) {
    const std::int64_t first = next;
    std::int64_t end = first + 1;
    if (record.has_gap()) end = EndOfGap(record.gap(), first);
    // A gap that does not fit takes one number: what comes behind it must be counted from somewhere.
    next = std::max(end, first + 1);
    if (kDedupes && next - 1 <= outcome_.position) {
      ++outcome_.duplicates;
      continue;
    }
    if (end == first) {
      RETURN_IF_ERROR(Refuse(first, "a gap that does not begin where it stands"));
    } else if (record.has_gap()) {
      RETURN_IF_ERROR(store_gap(LostIn(record.gap(), std::max(first, outcome_.position + 1), end)));
      ++outcome_.gaps;
    } else {
      RETURN_IF_ERROR(apply(record, first));
    }
    outcome_.position = next - 1;
  }
  last_number_ = next - 1;
  return absl::OkStatus();
}

absl::Status BatchWalk::Finish() {
  if (outcome_.duplicates > 0) RETURN_IF_ERROR(RepeatRefusals());
  return outcome_.position > before_ ? StorePosition() : absl::OkStatus();
}

void BatchWalk::NoteApplied(absl::Time at) {
  last_at_ = at;
  outcome_.newest = at;
  ++outcome_.applied;
}

absl::Time BatchWalk::Within(absl::Time time) const { return std::max(std::min(time, origin_.arrived), earliest_); }

absl::Time BatchWalk::Corrected(const Record& record) const {
  const absl::Time told = record.has_age() ? origin_.arrived - std::max(FromProto(record.age()), absl::ZeroDuration())
                                           : FromProto(record.observed_at()) - origin_.skew;
  return std::max(Within(told), last_at_);
}

std::int64_t BatchWalk::EndOfGap(const GapRecord& gap, std::int64_t first) {
  const bool fits = gap.first_sequence() == first && gap.last_sequence() >= first && gap.last_sequence() < kMaxSequence;
  return fits ? gap.last_sequence() + 1 : first;
}

LostRecords BatchWalk::LostIn(const GapRecord& gap, std::int64_t first, std::int64_t end) const {
  // The records were made between what came before them and now; what the agent knows of their times narrows that.
  const auto time = [&](bool known, const google::protobuf::Timestamp& told, absl::Time otherwise) {
    return known && IsStorable(told) ? Within(FromProto(told) - origin_.skew) : otherwise;
  };
  LostRecords lost;
  lost.first_sequence = first;
  lost.last_sequence = end - 1;
  lost.reason = gap.reason();
  lost.from = time(gap.has_from(), gap.from(), Within(last_at_));
  lost.to = std::max(time(gap.has_to(), gap.to(), origin_.arrived), lost.from);
  lost.lines = std::max<std::int64_t>(gap.lines(), 0);
  return lost;
}

absl::Status BatchWalk::Refuse(std::int64_t sequence, const std::string& reason) {
  agent::v1::RefusedRecord refused;
  refused.set_sequence(sequence);
  refused.set_reason(CleanUtf8(reason, kMaxMessageBytes));
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT OR IGNORE INTO poisoned_records(target_id, epoch, lane, sequence, reason, noted_us)"
                           " VALUES(?,?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                             s.Bind(4, sequence).Bind(5, refused.reason()).Bind(6, origin_.arrived);
                           }));
  if (outcome_.refused.size() >= kMaxReasons) refused.clear_reason();
  outcome_.refused.push_back(std::move(refused));
  return absl::OkStatus();
}

// A batch that is seen again gets the answer that was lost.
absl::Status BatchWalk::RepeatRefusals() {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database_.Prepare("SELECT sequence, reason FROM poisoned_records WHERE target_id=? AND epoch=?"
                                     " AND lane=? AND sequence BETWEEN ? AND ? ORDER BY sequence"));
  s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
  s.Bind(4, batch_.first_sequence()).Bind(5, std::min(before_, last_number_));
  std::vector<agent::v1::RefusedRecord> repeated;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) break;
    agent::v1::RefusedRecord& refused = repeated.emplace_back();
    refused.set_sequence(s.Int64(0));
    refused.set_reason(s.Text(1));
  }
  outcome_.refused.insert(outcome_.refused.begin(), repeated.begin(), repeated.end());
  return absl::OkStatus();
}

absl::Status BatchWalk::StorePosition() {
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT INTO journal_positions(target_id, epoch, lane, sequence, at_us, touched_us)"
                           " VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(target_id, epoch, lane)"
                           " DO UPDATE SET sequence=?4, at_us=?5, touched_us=?6",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane());
                             s.Bind(4, outcome_.position).Bind(5, std::max(last_at_, earliest_));
                             s.Bind(6, origin_.arrived);
                           }));
  if (!outcome_.refused.empty()) {
    RETURN_IF_ERROR(RunBound(database_,
                             "DELETE FROM poisoned_records WHERE target_id=?1 AND noted_us<(SELECT noted_us FROM"
                             " poisoned_records WHERE target_id=?1 ORDER BY noted_us DESC LIMIT 1 OFFSET ?2)",
                             [&](sqlite::Statement& s) { s.Bind(1, origin_.target_id).Bind(2, kKeptPoisoned - 1); }));
  }
  if (!is_new_position_) return absl::OkStatus();
  return RunBound(database_,
                  "DELETE FROM journal_positions WHERE target_id=?1 AND touched_us<(SELECT touched_us FROM"
                  " journal_positions WHERE target_id=?1 ORDER BY touched_us DESC LIMIT 1 OFFSET ?2)",
                  [&](sqlite::Statement& s) { s.Bind(1, origin_.target_id).Bind(2, kKeptPositions - 1); });
}

}  // namespace muster::hub
