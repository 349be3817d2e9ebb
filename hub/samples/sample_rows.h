// Rows of the two files of samples as values: host_samples of hub.db, where samples wait, and the tables of metrics.db
// (metric_schema.cc). Reads run on any connection; what changes rows only in operations of the file's Writer.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_ROWS_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_ROWS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace muster::hub {

// ---- hub.db

struct WaitingSample {
  std::int64_t at_us = 0;
  std::string epoch;
  std::int64_t sequence = 0;
  // muster.agent.v1.HostSample
  std::string sample;
};

struct WaitingCount {
  std::int64_t samples = 0;
  // Absent: none waits.
  std::optional<std::int64_t> oldest_us;
};

// The next target behind `id` of which samples wait; empty: none.
absl::StatusOr<std::string> NextWaitingTarget(sqlite::Database& hub, std::string_view id);
absl::StatusOr<WaitingCount> CountWaiting(sqlite::Database& hub, std::string_view target_id);
// [from_us, to_us), in order, at most `limit`.
absl::Status VisitWaiting(sqlite::Database& hub, std::string_view target_id, std::int64_t from_us, std::int64_t to_us,
                          std::int64_t limit, absl::FunctionRef<absl::Status(WaitingSample)> visit);
absl::StatusOr<std::optional<WaitingSample>> ReadNewestWaiting(sqlite::Database& hub, std::string_view target_id);
absl::Status DeleteWaiting(sqlite::Database& hub, std::string_view target_id, const std::vector<WaitingSample>& rows);

// ---- metrics.db

// Epochs of one target that are remembered, as in hub.db (kKeptPositions of journal_writes.h): one that hub.db has
// forgotten is never asked for again.
inline constexpr int kKeptMetricPositions = 2000;

using SamplePositions = std::map<std::string, std::int64_t, std::less<>>;

struct MetricTarget {
  std::int64_t number = 0;
  std::int64_t newest_us = 0;
};

struct RawChunkRow {
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t samples = 0;
  std::int64_t values = 0;
  std::string data;
};

struct RollupChunkRow {
  std::int64_t begin_us = 0;
  std::int64_t values = 0;
  std::string data;
};

// What the next transaction of metrics.db takes of one target, and the rows of hub.db that go afterwards.
struct SampleMove {
  std::string target_id;
  // The new ones among them are in the chunks; the others were there before.
  std::vector<WaitingSample> rows;
  std::int64_t samples = 0;
  std::vector<RawChunkRow> raw;
  // In place of those with the same begin.
  std::vector<RollupChunkRow> rollups;
  SamplePositions positions;
  std::int64_t newest_us = 0;
};

absl::StatusOr<SamplePositions> ReadSamplePositions(sqlite::Database& metrics, std::string_view target_id);
// Absent: it never had a sample here.
absl::StatusOr<std::optional<MetricTarget>> FindMetricTarget(sqlite::Database& metrics, std::string_view target_id);
absl::StatusOr<std::optional<std::string>> ReadRollupChunk(sqlite::Database& metrics, std::int64_t target,
                                                           std::int64_t begin_us);
absl::StatusOr<std::optional<RollupChunkRow>> ReadNewestRollupChunk(sqlite::Database& metrics, std::int64_t target);
absl::StatusOr<std::optional<std::string>> ReadNewestRawChunk(sqlite::Database& metrics, std::int64_t target);
// Those that may have samples of [from_us, to_us).
absl::Status VisitRawChunks(sqlite::Database& metrics, std::int64_t target, std::int64_t from_us, std::int64_t to_us,
                            absl::FunctionRef<absl::Status(const std::string& data)> visit);
absl::Status VisitRollupChunks(sqlite::Database& metrics, std::int64_t target, std::int64_t from_us, std::int64_t to_us,
                               absl::FunctionRef<absl::Status(std::int64_t begin_us, const std::string& data)> visit);
absl::StatusOr<std::int64_t> ReadRawPruned(sqlite::Database& metrics);
// Raw chunks and rollup chunks.
absl::StatusOr<std::int64_t> CountChunks(sqlite::Database& metrics);

// Returns how many chunks there are more.
absl::StatusOr<std::int64_t> StoreMove(sqlite::Database& metrics, const SampleMove& move, absl::Time now);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_ROWS_H_
