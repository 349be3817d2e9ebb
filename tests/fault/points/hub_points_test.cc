// Every crash point of the hub's store: batches of journal records go through the real writer into the real database,
// which meets a fault at each call that changes a file. Whatever was acknowledged must be stored, once, in order,
// beside its position; and an agent that sends everything again must change nothing that was stored.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/store/journal_writes.h"
#include "hub/store/store.h"
#include "hub/store/testing/test_database.h"
#include "tests/fault/points/sweep.h"

namespace muster::fault {
namespace {

using agent::v1::Record;
using agent::v1::RecordBatch;
using hub::Store;

constexpr const char* kTarget = "tgt_1";
constexpr const char* kFirstRun = "11111111111111111111111111111111";
constexpr const char* kSecondRun = "22222222222222222222222222222222";
// Twelve batches; the gap lies within one.
constexpr std::int64_t kRecords = 60;
constexpr std::int64_t kRecordsPerBatch = 5;
// Of the first run: never stored, and lost at the agent.
constexpr std::int64_t kPoisoned = 7;
constexpr std::int64_t kGapFirst = 22;
constexpr std::int64_t kGapLast = 24;
constexpr int kAttempts = 3;

bool IsGap(const std::string& epoch, std::int64_t sequence) {
  return epoch == kFirstRun && sequence >= kGapFirst && sequence <= kGapLast;
}
bool IsPoison(const std::string& epoch, std::int64_t sequence) { return epoch == kFirstRun && sequence == kPoisoned; }

absl::Time HappenedAt(const std::string& epoch, std::int64_t sequence) {
  return hub::kTestEpoch + absl::Seconds(epoch == kFirstRun ? 0 : 1000) + absl::Seconds(sequence);
}

Record MakeRecord(const std::string& epoch, std::int64_t sequence) {
  Record record;
  *record.mutable_observed_at() = ToProto(HappenedAt(epoch, sequence));
  if (IsPoison(epoch, sequence)) return record;
  if (IsGap(epoch, sequence)) {
    record.mutable_gap()->set_first_sequence(kGapFirst);
    record.mutable_gap()->set_last_sequence(kGapLast);
    record.mutable_gap()->set_reason(agent::v1::GAP_REASON_JOURNAL_FULL);
    return record;
  }
  agent::v1::DeploymentState& state = *record.mutable_transition()->mutable_deployment();
  state.set_key(fmt::format("compose/{}", sequence % 3));
  state.set_name(state.key());
  state.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  state.set_status(sequence % 2 == 0 ? types::v1::DEPLOYMENT_STATUS_RUNNING : types::v1::DEPLOYMENT_STATUS_ERROR);
  state.set_message(fmt::format("{} {}", epoch, sequence));
  *state.mutable_status_time() = record.observed_at();
  *state.mutable_change_time() = record.observed_at();
  return record;
}

RecordBatch MakeBatch(const std::string& epoch, std::int64_t first) {
  RecordBatch batch;
  batch.set_epoch(epoch);
  batch.set_lane(agent::v1::LANE_EVENTS);
  batch.set_first_sequence(first);
  for (std::int64_t sequence = first; sequence < first + kRecordsPerBatch && sequence <= kRecords; ++sequence) {
    *batch.add_records() = MakeRecord(epoch, sequence);
    if (IsGap(epoch, sequence)) sequence = kGapLast;
  }
  return batch;
}

class HubWorkload {
 public:
  HubWorkload(sqlite::FaultVfs* vfs, const std::string& directory) : vfs_(vfs), path_(directory + "/hub.db") {}

  void Run() {
    if (!SendAll(kFirstRun)) return;
    SendAll(kSecondRun);
  }

  std::string Check() {
    if (!unrecovered_.empty()) return unrecovered_;
    if (const std::string wrong = CheckStored(acked_, false); !wrong.empty()) return wrong;
    // What every agent does after a session that ended; the positions would spare it most of that.
    HubWorkload again(vfs_, directory());
    for (const char* epoch : {kFirstRun, kSecondRun}) {
      if (!again.SendAll(epoch)) return "records sent again: " + again.unrecovered_;
    }
    return CheckStored(again.acked_, true);
  }

 private:
  using Positions = std::map<std::string, std::int64_t>;

  std::string directory() const { return path_.substr(0, path_.rfind('/')); }

  // Until everything is acknowledged, over as many runs of the hub as it takes. False: the power is gone.
  bool SendAll(const std::string& epoch) {
    for (int attempt = 0; vfs_->powered(); ++attempt) {
      const absl::Status status = OneRun(epoch);
      if (status.ok()) return true;
      if (attempt == kAttempts) vfs_->Disarm();
      if (attempt == 2 * kAttempts) {
        unrecovered_ = "on a repaired disk: " + status.ToString();
        return false;
      }
    }
    return false;
  }

  // One run of the hub. The next batches are handed in from the writer's own answer, so that each run makes the same
  // calls in the same order; two at a time, so that transactions hold more than one.
  absl::Status OneRun(const std::string& epoch) {
    auto store = Store::Open(path_);
    RETURN_IF_ERROR(store.status());
    RETURN_IF_ERROR(EnsureTarget(**store));
    std::promise<absl::Status> ended;
    Chain(**store, epoch, 1, &ended);
    return ended.get_future().get();
  }

  static absl::Status EnsureTarget(Store& store) {
    const absl::Status inserted = store.writer().Run(
        [](sqlite::Database& database) { return InsertTarget(database, hub::NewTarget(kTarget, "one")); });
    return absl::IsAlreadyExists(inserted) ? absl::OkStatus() : inserted;
  }

  void Chain(Store& store, const std::string& epoch, std::int64_t first, std::promise<absl::Status>* ended) {
    if (first > kRecords) return ended->set_value(absl::OkStatus());
    const std::int64_t second = first + kRecordsPerBatch;
    Submit(store, epoch, first, [](const absl::Status&) {});
    Submit(store, epoch, second, [this, &store, epoch, second, ended](const absl::Status& status) {
      if (!status.ok()) return ended->set_value(status);
      Chain(store, epoch, second + kRecordsPerBatch, ended);
    });
  }

  void Submit(Store& store, const std::string& epoch, std::int64_t first,
              std::function<void(const absl::Status&)> next) {
    auto outcome = std::make_shared<hub::BatchOutcome>();
    store.writer().Submit(
        [epoch, first, outcome](sqlite::Database& database) -> absl::Status {
          const hub::BatchOrigin origin{
              .target_id = kTarget, .secret_generation = 1, .run = {}, .arrived = HappenedAt(epoch, 900), .skew = {}};
          ASSIGN_OR_RETURN(*outcome, ApplyBatch(database, origin, MakeBatch(epoch, first)));
          return absl::OkStatus();
        },
        [this, epoch, outcome, next = std::move(next)](const absl::Status& status) {
          absl::Status answer = status;
          if (status.ok() && outcome->expected.has_value()) answer = absl::OutOfRangeError("out of order");
          if (answer.ok()) acked_[epoch] = std::max(acked_[epoch], outcome->position);
          next(answer);
        });
  }

  std::string CheckStored(const Positions& acked, bool complete) {
    auto database = sqlite::Database::Open(path_, sqlite::OpenMode::kWriter);
    if (!database.ok()) return "cannot be opened: " + database.status().ToString();
    auto check = (*database)->Prepare("PRAGMA integrity_check(1)");
    if (!check.ok() || !check->Step().value_or(false) || check->Text(0) != "ok") return "the database is damaged";
    if (acked.empty() && !complete) return {};
    for (const char* epoch : {kFirstRun, kSecondRun}) {
      const auto it = acked.find(epoch);
      const std::int64_t wanted = complete ? kRecords : (it == acked.end() ? 0 : it->second);
      if (const std::string wrong = CheckEpoch(**database, epoch, wanted); !wrong.empty()) {
        return fmt::format("{}: {}", epoch, wrong);
      }
    }
    return {};
  }

  static std::string CheckEpoch(sqlite::Database& database, const std::string& epoch, std::int64_t acked) {
    const auto position = ReadPosition(database, epoch);
    if (!position.ok()) return position.status().ToString();
    if (*position < acked) return fmt::format("position {}, {} were acknowledged", *position, acked);
    auto rows = database.Prepare(
        "SELECT message FROM deployment_changes WHERE message LIKE ? ORDER BY at_us, run_us, agent_us");
    if (!rows.ok()) return rows.status().ToString();
    const std::string pattern = epoch + " %";
    rows->Bind(1, pattern);
    std::int64_t sequence = 0;
    while (rows->Step().value_or(false)) {
      do {
        ++sequence;
      } while (IsGap(epoch, sequence) || IsPoison(epoch, sequence));
      if (rows->Text(0) != fmt::format("{} {}", epoch, sequence)) {
        return fmt::format("'{}' where record {} should be", rows->Text(0), sequence);
      }
    }
    while (IsGap(epoch, sequence + 1) || IsPoison(epoch, sequence + 1)) ++sequence;
    // A position at a gap's or a refused record's own number is behind a record that is stored.
    const bool behind_stored = sequence > *position && (IsGap(epoch, sequence) || IsPoison(epoch, sequence));
    if (sequence != *position && !behind_stored) return fmt::format("position {}, data up to {}", *position, sequence);
    return {};
  }

  static absl::StatusOr<std::int64_t> ReadPosition(sqlite::Database& database, const std::string& epoch) {
    ASSIGN_OR_RETURN(auto row,
                     database.Prepare("SELECT sequence FROM journal_positions WHERE target_id=? AND epoch=?"));
    row.Bind(1, kTarget).Bind(2, epoch);
    ASSIGN_OR_RETURN(const bool found, row.Step());
    return found ? row.Int64(0) : 0;
  }

  sqlite::FaultVfs* const vfs_;
  const std::string path_;
  Positions acked_;
  std::string unrecovered_;
};

void SweepHub(sqlite::FaultKind kind, bool sticky) {
  const std::int64_t points = Sweep<HubWorkload>(kind, sticky);
  TriedPoints().hub += points;
  EXPECT_GT(points, 200) << "too few calls to prove anything";
}

TEST(HubPoints, PowerCut) { SweepHub(sqlite::FaultKind::kPowerCut, false); }
TEST(HubPoints, FailedCall) { SweepHub(sqlite::FaultKind::kIoError, false); }
TEST(HubPoints, FailingDisk) { SweepHub(sqlite::FaultKind::kIoError, true); }
TEST(HubPoints, FullDiskOnce) { SweepHub(sqlite::FaultKind::kDiskFull, false); }
TEST(HubPoints, FullDisk) { SweepHub(sqlite::FaultKind::kDiskFull, true); }
TEST(HubPoints, ShortWrite) { SweepHub(sqlite::FaultKind::kShortWrite, false); }

// The same check must notice a disk that does not do what it confirms.
TEST(HubPoints, CheckNoticesADiskThatLies) { EXPECT_GT(CountNoticedLies<HubWorkload>(10), 10); }

}  // namespace
}  // namespace muster::fault
