// Moves samples that have gathered in hub.db into metrics.db (docs/host-metrics.md, "History"): raw chunks, rollups and
// positions in one transaction, then the rows go. Called by the thread of Samples; not thread-safe.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_MOVER_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_MOVER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hub/logs/zstd_codec.h"
#include "hub/samples/metric_chunk.h"
#include "hub/samples/sample_rows.h"
#include "hub/samples/sample_store.h"

namespace muster::hub {

class SampleMover {
 public:
  // A raw chunk: a quarter of an hour, some 2 KB.
  static constexpr std::int64_t kChunkSamples = 30;
  // Fewer are moved when the oldest has waited so long.
  static constexpr absl::Duration kMaxWait = absl::Minutes(20);
  // Of one transaction, of one or more targets: deleting them from hub.db takes some 5 ms of its writer.
  static constexpr std::int64_t kMaxMoveSamples = 300;
  // In hub.db while metrics.db takes nothing: 1 GB, an hour and a half of 10,000 hosts. Beyond, each target keeps its
  // share, the newest.
  static constexpr std::int64_t kMaxWaiting = 2'000'000;
  // Deleted in one operation.
  static constexpr std::int64_t kMaxDeleted = 1000;

  // `store` outlives the mover. `max_waiting` for tests.
  explicit SampleMover(SampleStore* store, std::int64_t max_waiting = kMaxWaiting)
      : store_(store), max_waiting_(max_waiting) {}

  // Looks at all targets of which samples wait, and moves what is due. `go_on` is asked after each transaction. What
  // fails ends the moving, and what waits beyond the bound is forgotten then; returns the error.
  absl::Status Pass(absl::Time now, absl::FunctionRef<bool()> go_on);

  // As of the last pass.
  std::int64_t waiting() const { return waiting_; }

 private:
  // Gathers what is due of a target; moves it once there is enough. False: `go_on` did.
  absl::StatusOr<bool> MoveTarget(const std::string& target_id, absl::Time now, absl::FunctionRef<bool()> go_on);
  absl::StatusOr<SampleMove> MakeMove(const std::string& target_id, std::int64_t take);
  absl::Status AddRaw(SampleMove* move, std::map<std::int64_t, Rollups>* added);
  absl::Status AddRollups(SampleMove* move, const std::map<std::int64_t, Rollups>& added);
  absl::Status Flush(absl::Time now);
  absl::Status ForgetWaiting();
  absl::Status ForgetWaiting(const std::string& target_id, std::int64_t surplus);

  SampleStore* const store_;
  const std::int64_t max_waiting_;
  ZstdCodec codec_;
  // For the next transaction.
  std::vector<SampleMove> moves_;
  std::int64_t gathered_ = 0;
  std::int64_t waiting_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_MOVER_H_
