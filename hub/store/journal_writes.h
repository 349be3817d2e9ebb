// What agents' journals bring, as functions over an open transaction. Called from Writer operations only.
// docs/delivery.md is the contract.
#ifndef MUSTER_HUB_STORE_JOURNAL_WRITES_H_
#define MUSTER_HUB_STORE_JOURNAL_WRITES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Positions of one target that are remembered: as many epochs as Hello may list, with both lanes.
inline constexpr int kKeptPositions = 2000;
// Refused records of one target that are remembered; each is a sentence.
inline constexpr int kKeptPoisoned = 1000;
// 128 bits as text, however they are written.
inline constexpr std::size_t kMaxEpochBytes = 64;
// In one batch. A batch of 64 KiB holds fewer, since a record has a time.
inline constexpr int kMaxBatchRecords = 8192;
// The agent's clock may be corrected by a little between two presence records that follow one another.
inline constexpr absl::Duration kAdjacentPresence = absl::Seconds(2);

// Who sent a batch, and when it came.
struct BatchOrigin {
  std::string target_id;
  // Of the secret that the session's Hello showed.
  std::int64_t secret_generation = 1;
  // The agent's run that has the session (agent_runs.h).
  absl::Time run;
  absl::Time arrived;
  // The agent's clock minus the hub's.
  absl::Duration skew;
};

struct BatchOutcome {
  // The last sequence number that is applied now.
  std::int64_t position = 0;
  // Set: the batch begins beyond this number, which is the one wanted. Nothing was stored.
  std::optional<std::int64_t> expected;
  // Records by what became of them; gap records are not among the applied ones.
  std::int64_t applied = 0;
  // Of the applied ones: host samples.
  std::int64_t samples = 0;
  std::int64_t duplicates = 0;
  std::int64_t gaps = 0;
  std::vector<agent::v1::RefusedRecord> refused;
  // Time of the newest record that was applied.
  std::optional<absl::Time> newest;
};

// Empty, or what makes this no batch at all: the agent has broken the contract.
std::string FindBatchDefect(const agent::v1::RecordBatch& batch);

// When the target was created. FAILED_PRECONDITION "SECRET_ROTATED" when its secret is no more that of the session,
// NOT_FOUND "TARGET_NOT_FOUND" when it is deleted.
absl::StatusOr<absl::Time> CheckOrigin(sqlite::Database& database, const BatchOrigin& origin);

// Applies a batch without defect: each record is stored, refused for good or skipped because it was stored before, and
// the position moves behind them. Errors of CheckOrigin; nothing is stored then.
absl::StatusOr<BatchOutcome> ApplyBatch(sqlite::Database& database, const BatchOrigin& origin,
                                        const agent::v1::RecordBatch& batch);

// The last applied sequence numbers of those epochs and lanes that Hello lists; one of which nothing was applied is
// left out.
absl::StatusOr<std::vector<agent::v1::LanePosition>> ReadPositions(sqlite::Database& database,
                                                                   std::string_view target_id,
                                                                   const std::vector<agent::v1::LanePosition>& listed);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_JOURNAL_WRITES_H_
