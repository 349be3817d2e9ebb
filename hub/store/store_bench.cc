// How fast agents' journals are stored: batches of status records through Writer and ApplyBatch, and beside it plain
// SQLite that does the same inserts in the same batches. Both commit to a real file with synchronous=FULL.
//
//   build/release/bin/hub_store_bench            50,000 records/s and a ratio of 0.6 are what docs/store.md promises
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/store/journal_writes.h"
#include "hub/store/store.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

// What agents send after an outage: 20 targets with 10 deployments each, and as many records of each as 64 KiB hold.
constexpr int kTargets = 20;
constexpr int kDeployments = 10;
constexpr int kRecordsPerBatch = 450;
constexpr int kBatchesPerTarget = 20;
constexpr std::int64_t kRecords = std::int64_t{kTargets} * kBatchesPerTarget * kRecordsPerBatch;
// Of one agent, unanswered.
constexpr int kInFlight = 4;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", MessageOf(status).c_str());
  std::abort();
}

std::string TargetId(int target) { return fmt::format("tgt_{:020}", target); }

agent::v1::Record StatusRecord(std::int64_t sequence) {
  agent::v1::Record record;
  const absl::Time at = kStart + absl::Milliseconds(sequence * 10);
  *record.mutable_observed_at() = ToProto(at);
  *record.mutable_age() = ToProto(absl::Hours(1) - absl::Milliseconds(sequence * 10));
  agent::v1::DeploymentState* state = record.mutable_transition()->mutable_deployment();
  state->set_key(fmt::format("compose/project-{}", sequence % kDeployments));
  state->set_name(fmt::format("project-{}", sequence % kDeployments));
  state->set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  const bool up = sequence / kDeployments % 2 == 0;
  state->set_status(up ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_ERROR);
  state->set_message(up ? "3 of 3 up" : "web exited with 1; restarting (4 restarts)");
  state->set_application("shop");
  state->set_application_version("2026.4.1");
  state->set_revision("9f86d081884c7d65");
  *state->mutable_change_time() = ToProto(at);
  return record;
}

struct Sent {
  std::string target_id;
  agent::v1::RecordBatch batch;
};

// In the order in which they arrive: a batch of each target in turn.
const std::vector<Sent>& AllBatches() {
  static const auto* const batches = [] {
    auto* made = new std::vector<Sent>();
    for (int number = 0; number < kBatchesPerTarget; ++number) {
      for (int target = 0; target < kTargets; ++target) {
        Sent& sent = made->emplace_back();
        sent.target_id = TargetId(target);
        sent.batch.set_epoch("0123456789abcdef0123456789abcdef");
        sent.batch.set_lane(agent::v1::LANE_EVENTS);
        sent.batch.set_first_sequence(std::int64_t{number} * kRecordsPerBatch + 1);
        for (int i = 0; i < kRecordsPerBatch; ++i) {
          *sent.batch.add_records() = StatusRecord(sent.batch.first_sequence() + i);
        }
      }
    }
    return made;
  }();
  return *batches;
}

std::unique_ptr<Store> NewStore(const TempDir& dir) {
  auto store = Store::Open(dir.path() + "/hub.db");
  Check(store.status());
  for (int i = 0; i < kTargets; ++i) {
    StoredTarget target;
    target.id = TargetId(i);
    target.name = target.id;
    target.created = kStart;
    target.open.from = kStart;
    Check((*store)->writer().Run([&](sqlite::Database& database) { return InsertTarget(database, target); }));
  }
  return *std::move(store);
}

// Seconds from the first batch to the last answer. At most kInFlight batches of each target are on their way.
double ThroughTheWriter(Store& store) {
  Mutex mutex;
  CondVar answered;
  int in_flight = 0;
  const Instant begin = Clock::System()->Monotonic();
  for (const Sent& sent : AllBatches()) {
    {
      MutexLock lock(&mutex);
      while (in_flight >= kInFlight * kTargets) answered.Wait(&mutex);
      ++in_flight;
    }
    store.writer().Submit(
        [&sent](sqlite::Database& database) -> absl::Status {
          ASSIGN_OR_RETURN(const BatchOutcome outcome, ApplyBatch(database,
                                                                  {.target_id = sent.target_id,
                                                                   .secret_generation = 1,
                                                                   .run = {},
                                                                   .arrived = kStart + absl::Hours(1),
                                                                   .skew = {}},
                                                                  sent.batch));
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

// ---- plain SQLite: the same rows, already computed, one transaction for each batch

struct Row {
  std::string deployment_id;
  std::int64_t at_us = 0;
  std::int64_t agent_us = 0;
  int status = 0;
  const agent::v1::DeploymentState* state = nullptr;
};

std::vector<std::vector<Row>> AllRows() {
  std::vector<std::vector<Row>> all;
  for (const Sent& sent : AllBatches()) {
    std::vector<Row>& rows = all.emplace_back();
    for (const agent::v1::Record& record : sent.batch.records()) {
      const agent::v1::DeploymentState& state = record.transition().deployment();
      rows.push_back({.deployment_id = DerivedId("dep_", sent.target_id, state.key()),
                      .at_us = absl::ToUnixMicros(kStart + absl::Hours(1) - FromProto(record.age())),
                      .agent_us = absl::ToUnixMicros(FromProto(state.change_time())),
                      .status = state.status(),
                      .state = &state});
    }
  }
  return all;
}

class PlainSqlite {
 public:
  explicit PlainSqlite(const std::string& path) {
    Must(sqlite3_open(path.c_str(), &handle_));
    Execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=OFF;"
        "PRAGMA cache_size=-16384");
    Must(sqlite3_prepare_v2(handle_,
                            "INSERT OR IGNORE INTO deployment_changes(deployment_id, at_us, run_us, agent_us, status,"
                            " message, application_version, revision) VALUES(?,?,?,?,?,?,?,?)",
                            -1, &change_, nullptr));
    Must(sqlite3_prepare_v2(handle_,
                            "INSERT INTO journal_positions(target_id, epoch, lane, sequence, at_us, touched_us)"
                            " VALUES(?1,?2,1,?3,?4,?4) ON CONFLICT(target_id, epoch, lane)"
                            " DO UPDATE SET sequence=?3, at_us=?4, touched_us=?4",
                            -1, &position_, nullptr));
  }
  ~PlainSqlite() {
    sqlite3_finalize(change_);
    sqlite3_finalize(position_);
    sqlite3_close(handle_);
  }
  PlainSqlite(const PlainSqlite&) = delete;
  PlainSqlite& operator=(const PlainSqlite&) = delete;

  void Execute(const std::string& sql) { Must(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr)); }

  void Commit(const Sent& sent, const std::vector<Row>& rows) {
    Execute("BEGIN IMMEDIATE");
    for (const Row& row : rows) {
      Text(change_, 1, row.deployment_id);
      sqlite3_bind_int64(change_, 2, row.at_us);
      sqlite3_bind_int64(change_, 3, absl::ToUnixMicros(kStart));
      sqlite3_bind_int64(change_, 4, row.agent_us);
      sqlite3_bind_int(change_, 5, row.status);
      Text(change_, 6, row.state->message());
      Text(change_, 7, row.state->application_version());
      Text(change_, 8, row.state->revision());
      Step(change_);
    }
    Text(position_, 1, sent.target_id);
    Text(position_, 2, sent.batch.epoch());
    sqlite3_bind_int64(position_, 3, sent.batch.first_sequence() + kRecordsPerBatch - 1);
    sqlite3_bind_int64(position_, 4, rows.back().at_us);
    Step(position_);
    Execute("COMMIT");
  }

 private:
  static void Must(int code) {
    if (code != SQLITE_OK) std::abort();
  }
  static void Text(sqlite3_stmt* statement, int index, const std::string& text) {
    sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  static void Step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) std::abort();
    sqlite3_reset(statement);
  }

  sqlite3* handle_ = nullptr;
  sqlite3_stmt* change_ = nullptr;
  sqlite3_stmt* position_ = nullptr;
};

double ThroughPlainSqlite(const std::string& path, const std::vector<std::vector<Row>>& rows) {
  PlainSqlite plain(path);
  plain.Execute("BEGIN");
  for (int target = 0; target < kTargets; ++target) {
    for (int i = 0; i < kDeployments; ++i) {
      const std::string key = fmt::format("compose/project-{}", i);
      plain.Execute(
          fmt::format("INSERT INTO deployments(id, target_id, key, created_us, revision_us, report)"
                      " VALUES('{}', '{}', '{}', 0, 0, X'')",
                      DerivedId("dep_", TargetId(target), key), TargetId(target), key));
    }
  }
  plain.Execute("COMMIT");
  const Instant begin = Clock::System()->Monotonic();
  for (std::size_t i = 0; i < rows.size(); ++i) plain.Commit(AllBatches()[i], rows[i]);
  return absl::ToDoubleSeconds(Clock::System()->Monotonic() - begin);
}

// One round of each, so that both meet the same disk.
void StatusRecords(benchmark::State& state) {
  const std::vector<std::vector<Row>> rows = AllRows();
  double ours = 0;
  double plain = 0;
  double rounds = 0;
  for (auto _ : state) {
    TempDir dir;
    TempDir plain_dir;
    { NewStore(plain_dir); }
    auto store = NewStore(dir);
    const double seconds = ThroughTheWriter(*store);
    ours += seconds;
    plain += ThroughPlainSqlite(plain_dir.path() + "/hub.db", rows);
    ++rounds;
    state.SetIterationTime(seconds);
  }
  const double records = rounds * static_cast<double>(kRecords);
  state.counters["records/s"] = records / ours;
  state.counters["plain/s"] = records / plain;
  state.counters["ratio"] = plain / ours;
  state.counters["batch_bytes"] = static_cast<double>(AllBatches()[0].batch.ByteSizeLong());
}
BENCHMARK(StatusRecords)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace muster::hub

BENCHMARK_MAIN();
