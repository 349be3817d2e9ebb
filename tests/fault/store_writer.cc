// muster-fault-store-writer DIRECTORY: for power cuts of the hub's store. Opens the real store, tells what the run
// before left and whether data and position agree, then applies batches of journal records through the real writer as
// fast as the disk takes them and tells what was acknowledged, until somebody cuts the power. On stdout, a line each,
// written at once:
//
//   found EPOCH LANE FIRST LAST    position of the run before, all of whose records are there once
//   damaged TEXT                   data and position do not agree, or the database is not sound
//   durable EPOCH LANE SEQUENCE    acknowledged: it must be found after any cut
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/time_format.h"
#include "hub/store/journal_writes.h"
#include "hub/store/store.h"
#include "hub/store/writes.h"

namespace muster::fault {
namespace {

using hub::Store;

constexpr const char* kTarget = "tgt_1";
constexpr std::int64_t kLane = agent::v1::LANE_EVENTS;
constexpr std::int64_t kRecordsPerBatch = 20;
// As many as an agent has under way, of eight agents.
constexpr int kBatchesAhead = 32;

void Say(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(1);
}

[[noreturn]] void Fail(const absl::Status& status) {
  Say(fmt::format("damaged {}\n", MessageOf(status)));
  _exit(1);
}

std::string TextOf(const std::string& epoch, std::int64_t sequence) { return fmt::format("{} {}", epoch, sequence); }

agent::v1::RecordBatch MakeBatch(const std::string& epoch, std::int64_t first) {
  agent::v1::RecordBatch batch;
  batch.set_epoch(epoch);
  batch.set_lane(agent::v1::LANE_EVENTS);
  batch.set_first_sequence(first);
  const absl::Time now = Clock::System()->Now();
  for (std::int64_t sequence = first; sequence < first + kRecordsPerBatch; ++sequence) {
    agent::v1::Record& record = *batch.add_records();
    *record.mutable_observed_at() = ToProto(now);
    agent::v1::DeploymentState& state = *record.mutable_transition()->mutable_deployment();
    state.set_key(fmt::format("compose/{}", sequence % 5));
    state.set_name(state.key());
    state.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
    state.set_status(sequence % 2 == 0 ? types::v1::DEPLOYMENT_STATUS_RUNNING : types::v1::DEPLOYMENT_STATUS_ERROR);
    state.set_message(TextOf(epoch, sequence));
    *state.mutable_change_time() = ToProto(now + absl::Microseconds(sequence));
  }
  return batch;
}

// The run before, by the position that was touched last.
absl::Status TellLastRun(sqlite::Database& database) {
  ASSIGN_OR_RETURN(auto last,
                   database.Prepare("SELECT epoch, sequence FROM journal_positions ORDER BY touched_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool found, last.Step());
  if (!found) return absl::OkStatus();
  const std::string epoch = last.Text(0);
  const std::int64_t position = last.Int64(1);
  ASSIGN_OR_RETURN(auto counts, database.Prepare("SELECT count(*), count(DISTINCT message) FROM deployment_changes"
                                                 " WHERE message LIKE ?"));
  const std::string pattern = epoch + " %";
  ASSIGN_OR_RETURN(const bool counted, counts.Bind(1, pattern).Step());
  if (!counted || counts.Int64(0) != position || counts.Int64(1) != position) {
    Say(fmt::format("damaged position {}, {} records, {} different ones\n", position, counts.Int64(0),
                    counts.Int64(1)));
  }
  Say(fmt::format("found {} {} 1 {}\n", epoch, kLane, position));
  return absl::OkStatus();
}

// What earlier runs stored is of no use to later ones.
absl::Status Begin(sqlite::Database& database) {
  ASSIGN_OR_RETURN(auto known, database.Prepare("SELECT 1 FROM targets"));
  ASSIGN_OR_RETURN(const bool found, known.Step());
  if (found) return database.Execute("DELETE FROM deployment_changes; DELETE FROM journal_positions");
  hub::StoredTarget target;
  target.id = target.name = kTarget;
  target.type = types::v1::TARGET_TYPE_DOCKER;
  target.created = Clock::System()->Now();
  target.open = {.state = types::v1::TARGET_STATE_NOT_CONNECTED, .from = target.created, .to = {}, .reason = ""};
  return InsertTarget(database, target);
}

class Load {
 public:
  Load(Store* store, std::string epoch) : store_(store), epoch_(std::move(epoch)) {}

  [[noreturn]] void Run() {
    for (std::int64_t first = 1;; first += kRecordsPerBatch) {
      {
        MutexLock lock(&mutex_);
        while (ahead_ >= kBatchesAhead) answered_.Wait(&mutex_);
        ++ahead_;
      }
      Submit(first);
    }
  }

 private:
  void Submit(std::int64_t first) {
    auto outcome = std::make_shared<hub::BatchOutcome>();
    store_->writer().Submit(
        [this, first, outcome](sqlite::Database& database) -> absl::Status {
          const hub::BatchOrigin origin{
              .target_id = kTarget, .secret_generation = 1, .run = {}, .arrived = Clock::System()->Now(), .skew = {}};
          ASSIGN_OR_RETURN(*outcome, ApplyBatch(database, origin, MakeBatch(epoch_, first)));
          return absl::OkStatus();
        },
        [this, outcome](const absl::Status& status) {
          if (!status.ok()) _exit(1);
          Say(fmt::format("durable {} {} {}\n", epoch_, kLane, outcome->position));
          MutexLock lock(&mutex_);
          --ahead_;
          answered_.NotifyOne();
        });
  }

  Store* const store_;
  const std::string epoch_;
  Mutex mutex_;
  CondVar answered_;
  int ahead_ ABSL_GUARDED_BY(mutex_) = 0;
};

[[noreturn]] void Write(const std::string& directory) {
  const std::string path = directory + "/hub.db";
  auto store = Store::Open(path);
  if (!store.ok()) Fail(store.status());
  if (const absl::Status told = (*store)->Read(TellLastRun); !told.ok()) Fail(told);
  if (const absl::Status begun = (*store)->writer().Run(Begin); !begun.ok()) Fail(begun);
  Say("writing\n");
  Load(store->get(), fmt::format("{:032x}", absl::ToUnixNanos(absl::Now()))).Run();
}

}  // namespace
}  // namespace muster::fault

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  muster::fault::Write(argv[1]);
}
