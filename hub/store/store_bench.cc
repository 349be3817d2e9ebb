// How fast agents' journals are stored: batches of status records through Writer and ApplyBatch, and beside it plain
// SQLite that does the same inserts in the same batches. Both commit to a real file with synchronous=FULL. What must be
// is what docs/store.md promises.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "hub/store/journal_writes.h"
#include "hub/store/store.h"
#include "hub/store/testing/status_records.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

// What agents send after an outage: as many records of each of 20 targets as 64 KiB hold.
constexpr int kTargets = 20;
constexpr int kRecordsPerBatch = 450;
constexpr int kBatchesPerTarget = 20;
constexpr std::int64_t kRecords = std::int64_t{kTargets} * kBatchesPerTarget * kRecordsPerBatch;
// Of one agent, unanswered.
constexpr int kInFlight = 4;
constexpr int kRounds = 3;

constexpr double kMustRecordsPerSecond = 50'000;
constexpr double kMustRatio = 0.6;

// In the order in which they arrive: a batch of each target in turn.
const std::vector<StatusBatch>& AllBatches() {
  static const auto* const batches = [] {
    auto* made = new std::vector<StatusBatch>();
    for (int number = 0; number < kBatchesPerTarget; ++number) {
      for (int target = 0; target < kTargets; ++target) {
        made->push_back(MakeStatusBatch(target, number, kRecordsPerBatch));
      }
    }
    return made;
  }();
  return *batches;
}

std::unique_ptr<Store> NewStore(const TempDir& dir) {
  auto store = Must(Store::Open(dir.path() + "/hub.db"));
  for (int i = 0; i < kTargets; ++i) {
    StoredTarget target;
    target.id = BenchTargetId(i);
    target.name = target.id;
    target.created = BenchStart();
    target.open.from = BenchStart();
    Check(store->writer().Run([&](sqlite::Database& database) { return InsertTarget(database, target); }));
  }
  return store;
}

// Seconds from the first batch to the last answer. At most kInFlight batches of each target are on their way.
double ThroughTheWriter(Store& store) {
  Mutex mutex;
  CondVar answered;
  int in_flight = 0;
  const Instant begin = Clock::System()->Monotonic();
  for (const StatusBatch& sent : AllBatches()) {
    {
      MutexLock lock(&mutex);
      while (in_flight >= kInFlight * kTargets) answered.Wait(&mutex);
      ++in_flight;
    }
    store.writer().Submit(
        [&sent](sqlite::Database& database) -> absl::Status {
          ASSIGN_OR_RETURN(const BatchOutcome outcome, ApplyBatch(database, OriginOf(sent), sent.batch));
          if (outcome.applied != kRecordsPerBatch) return absl::InternalError("not all was applied");
          return absl::OkStatus();
        },
        [&](const absl::Status& stored) {
          Check(stored);
          MutexLock lock(&mutex);
          --in_flight;
          answered.NotifyOne();
        });
  }
  MutexLock lock(&mutex);
  while (in_flight > 0) answered.Wait(&mutex);
  return absl::ToDoubleSeconds(Clock::System()->Monotonic() - begin);
}

std::vector<std::vector<StatusRow>> AllRows() {
  std::vector<std::vector<StatusRow>> all;
  for (const StatusBatch& sent : AllBatches()) all.push_back(RowsOf(sent));
  return all;
}

double ThroughPlainSqlite(const std::string& path, const std::vector<std::vector<StatusRow>>& rows) {
  PlainSqlite plain(path);
  plain.Execute("BEGIN");
  for (int target = 0; target < kTargets; ++target) plain.InsertDeployments(BenchTargetId(target));
  plain.Execute("COMMIT");
  const Instant begin = Clock::System()->Monotonic();
  for (std::size_t i = 0; i < rows.size(); ++i) plain.Commit(AllBatches()[i], rows[i]);
  return absl::ToDoubleSeconds(Clock::System()->Monotonic() - begin);
}

int Main() {
  const std::vector<std::vector<StatusRow>> rows = AllRows();
  double ours = 0;
  double plain = 0;
  // In turns, so that both meet the same disk.
  for (int round = 0; round < kRounds; ++round) {
    const TempDir dir;
    const TempDir plain_dir;
    { NewStore(plain_dir); }
    const auto store = NewStore(dir);
    ours += ThroughTheWriter(*store);
    plain += ThroughPlainSqlite(plain_dir.path() + "/hub.db", rows);
  }
  const double records = kRounds * static_cast<double>(kRecords);
  Figures figures;
  figures.Tell({.name = fmt::format("status records, {} in a batch of {} bytes", kRecordsPerBatch,
                                    AllBatches()[0].batch.ByteSizeLong()),
                .value = records / ours,
                .unit = "/s",
                .beside = Beside{.what = "plain SQLite, the same inserts", .value = records / plain},
                .must = AtLeast(kMustRecordsPerSecond),
                .ratio_must = AtLeast(kMustRatio)});
  return figures.ExitCode();
}

}  // namespace
}  // namespace muster::hub

int main() { return muster::hub::Main(); }
