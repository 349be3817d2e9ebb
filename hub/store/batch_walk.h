// What applying a batch of journal records takes whatever its lane is: numbers, the position, gaps, and refusals that
// are repeated when a batch comes again. Works on the tables journal_positions and poisoned_records of the database
// that is open: hub.db has those of events, logs.db those of logs. Called from Writer operations only.
#ifndef MUSTER_HUB_STORE_BATCH_WALK_H_
#define MUSTER_HUB_STORE_BATCH_WALK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/store/journal_writes.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// A negative control of tests/fault: the build that stores again what it has must be caught there.
#ifdef MUSTER_MUTANT_NO_DEDUPE
inline constexpr bool kDedupes = false;
#else
inline constexpr bool kDedupes = true;
#endif

// Within the years 1970 to 9999.
bool IsStorable(const google::protobuf::Timestamp& time);

// Records that are lost, by the hub's clock and without those that the hub has.
struct LostRecords {
  std::int64_t first_sequence = 0;
  std::int64_t last_sequence = 0;
  agent::v1::GapReason reason = agent::v1::GAP_REASON_UNSPECIFIED;
  absl::Time from;
  absl::Time to;
  // Log lines among them, as far as the agent knew.
  std::int64_t lines = 0;
};

// Of one batch, in this order: Begin, ApplyNew, Finish, outcome.
class BatchWalk {
 public:
  // Stores a record, or calls Refuse for it; NoteApplied when it is stored.
  using Apply = absl::FunctionRef<absl::Status(const agent::v1::Record& record, std::int64_t sequence)>;
  using StoreGap = absl::FunctionRef<absl::Status(const LostRecords& lost)>;

  // Both must outlive it. No record is earlier than `earliest`.
  BatchWalk(sqlite::Database& database, const BatchOrigin& origin, const agent::v1::RecordBatch& batch,
            absl::Time earliest)
      : database_(database), origin_(origin), batch_(batch), earliest_(earliest) {}

  // False: the batch begins beyond the position. The outcome says what is wanted, and nothing may be stored.
  absl::StatusOr<bool> Begin();
  // Hands on what was not applied before.
  absl::Status ApplyNew(Apply apply, StoreGap store_gap);
  absl::Status Finish();
  BatchOutcome& outcome() { return outcome_; }

  absl::Status Refuse(std::int64_t sequence, const std::string& reason);
  void NoteApplied(absl::Time at);
  // A record's time by the hub's clock: never after the batch came, never before the record before it.
  absl::Time Corrected(const agent::v1::Record& record) const;
  // Never after the batch came, never before `earliest`.
  absl::Time Within(absl::Time time) const;

 private:
  // The number behind a gap record; `first` when it does not fit there.
  static std::int64_t EndOfGap(const agent::v1::GapRecord& gap, std::int64_t first);
  LostRecords LostIn(const agent::v1::GapRecord& gap, std::int64_t first, std::int64_t end) const;
  absl::Status RepeatRefusals();
  absl::Status StorePosition();

  sqlite::Database& database_;
  const BatchOrigin& origin_;
  const agent::v1::RecordBatch& batch_;
  const absl::Time earliest_;
  BatchOutcome outcome_;
  // The position before this batch.
  std::int64_t before_ = 0;
  // Time of the last record of this lane.
  absl::Time last_at_ = absl::InfinitePast();
  // Of the batch's last record.
  std::int64_t last_number_ = 0;
  bool is_new_position_ = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_BATCH_WALK_H_
