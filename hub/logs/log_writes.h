// What agents' journals bring in the lane of logs, as functions over an open transaction of logs.db. Called from
// operations of its Writer only. docs/logs.md is the contract.
#ifndef MUSTER_HUB_LOGS_LOG_WRITES_H_
#define MUSTER_HUB_LOGS_LOG_WRITES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "hub/logs/log_counts.h"
#include "hub/logs/tail_index.h"
#include "hub/logs/zstd_codec.h"
#include "hub/store/journal_writes.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Resources of a target, each with its revisions.
inline constexpr std::int64_t kMaxSourcesOfTarget = 100'000;
// In one record.
inline constexpr std::size_t kMaxRecordLines = 8192;
// A kept shift that is wrong by more is replaced.
inline constexpr absl::Duration kShiftTolerance = absl::Seconds(2);
// How much earlier, and how much later, than by its clock a record may have been made before it counts as made under
// another setting of the clock. The second is for the way.
inline constexpr absl::Duration kEarlierTolerance = absl::Seconds(2);
inline constexpr absl::Duration kLaterTolerance = absl::Seconds(10);

struct LogBatchOutcome {
  BatchOutcome batch;
  // Rows that the tail has when this is committed.
  std::vector<TailRow> rows;
  // Of what is new.
  LogCounts counts;
};

// Applies a batch without defect (FindBatchDefect): lines become rows of the tail, and the position moves behind them.
// A record that can never be stored is refused; one that was stored before is skipped. Whether the secret is still that
// of the session is the caller's to look at. `codec` is the writer thread's.
absl::StatusOr<LogBatchOutcome> ApplyLogBatch(sqlite::Database& database, const BatchOrigin& origin,
                                              const agent::v1::RecordBatch& batch, ZstdCodec* codec);

// Empty, or why these lines can never be stored.
std::string FindDefect(const agent::v1::LogLines& lines);

// What has to be added to the host's times of this record to have the hub's (docs/logs.md, "Times and order").
absl::Duration ShiftOf(const agent::v1::Record& record, const BatchOrigin& origin);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_WRITES_H_
