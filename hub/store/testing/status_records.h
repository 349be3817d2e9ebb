// Status records for benchmarks as agents send them after an outage, and plain SQLite that does the same inserts: the
// rows are computed before, one transaction for each batch.
#ifndef MUSTER_HUB_STORE_TESTING_STATUS_RECORDS_H_
#define MUSTER_HUB_STORE_TESTING_STATUS_RECORDS_H_

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/secret.h"
#include "common/time_format.h"
#include "hub/store/journal_writes.h"

namespace muster::hub {

// Of a target.
inline constexpr int kBenchDeployments = 10;

inline absl::Time BenchStart() { return absl::FromUnixSeconds(1'800'000'000); }
inline absl::Time BenchArrival() { return BenchStart() + absl::Hours(1); }

inline std::string BenchTargetId(int target) { return fmt::format("tgt_{:020}", target); }

inline agent::v1::Record StatusRecord(std::int64_t sequence) {
  agent::v1::Record record;
  const absl::Time at = BenchStart() + absl::Milliseconds(sequence * 10);
  *record.mutable_observed_at() = ToProto(at);
  *record.mutable_age() = ToProto(absl::Hours(1) - absl::Milliseconds(sequence * 10));
  agent::v1::DeploymentState* state = record.mutable_transition()->mutable_deployment();
  state->set_key(fmt::format("compose/project-{}", sequence % kBenchDeployments));
  state->set_name(fmt::format("project-{}", sequence % kBenchDeployments));
  state->set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  const bool up = sequence / kBenchDeployments % 2 == 0;
  state->set_status(up ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_ERROR);
  state->set_message(up ? "3 of 3 up" : "web exited with 1; restarting (4 restarts)");
  state->set_application("shop");
  state->set_application_version("2026.4.1");
  state->set_revision("9f86d081884c7d65");
  *state->mutable_change_time() = ToProto(at);
  return record;
}

struct StatusBatch {
  std::string target_id;
  agent::v1::RecordBatch batch;
};

// The target's batch of that number, which begins with 0.
inline StatusBatch MakeStatusBatch(int target, int number, int records) {
  StatusBatch sent;
  sent.target_id = BenchTargetId(target);
  sent.batch.set_epoch("0123456789abcdef0123456789abcdef");
  sent.batch.set_lane(agent::v1::LANE_EVENTS);
  sent.batch.set_first_sequence(std::int64_t{number} * records + 1);
  for (int i = 0; i < records; ++i) *sent.batch.add_records() = StatusRecord(sent.batch.first_sequence() + i);
  return sent;
}

inline BatchOrigin OriginOf(const StatusBatch& sent) {
  return {.target_id = sent.target_id, .secret_generation = 1, .run = {}, .arrived = BenchArrival(), .skew = {}};
}

struct StatusRow {
  std::string deployment_id;
  std::int64_t at_us = 0;
  std::int64_t agent_us = 0;
  int status = 0;
  const agent::v1::DeploymentState* state = nullptr;
};

// Points into the batch.
inline std::vector<StatusRow> RowsOf(const StatusBatch& sent) {
  std::vector<StatusRow> rows;
  for (const agent::v1::Record& record : sent.batch.records()) {
    const agent::v1::DeploymentState& state = record.transition().deployment();
    rows.push_back({.deployment_id = DerivedId("dep_", sent.target_id, state.key()),
                    .at_us = absl::ToUnixMicros(BenchArrival() - FromProto(record.age())),
                    .agent_us = absl::ToUnixMicros(FromProto(state.change_time())),
                    .status = state.status(),
                    .state = &state});
  }
  return rows;
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

  // The deployments of a target, which the rows refer to.
  void InsertDeployments(const std::string& target_id) {
    for (int i = 0; i < kBenchDeployments; ++i) {
      const std::string key = fmt::format("compose/project-{}", i);
      Execute(
          fmt::format("INSERT INTO deployments(id, target_id, key, created_us, revision_us, report)"
                      " VALUES('{}', '{}', '{}', 0, 0, X'')",
                      DerivedId("dep_", target_id, key), target_id, key));
    }
  }

  // One transaction.
  void Commit(const StatusBatch& sent, const std::vector<StatusRow>& rows) {
    Execute("BEGIN IMMEDIATE");
    Insert(sent, rows);
    Execute("COMMIT");
  }
  void Insert(const StatusBatch& sent, const std::vector<StatusRow>& rows) {
    for (const StatusRow& row : rows) {
      Text(change_, 1, row.deployment_id);
      sqlite3_bind_int64(change_, 2, row.at_us);
      sqlite3_bind_int64(change_, 3, absl::ToUnixMicros(BenchStart()));
      sqlite3_bind_int64(change_, 4, row.agent_us);
      sqlite3_bind_int(change_, 5, row.status);
      Text(change_, 6, row.state->message());
      Text(change_, 7, row.state->application_version());
      Text(change_, 8, row.state->revision());
      Step(change_);
    }
    Text(position_, 1, sent.target_id);
    Text(position_, 2, sent.batch.epoch());
    sqlite3_bind_int64(position_, 3, sent.batch.first_sequence() + sent.batch.records_size() - 1);
    sqlite3_bind_int64(position_, 4, rows.back().at_us);
    Step(position_);
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

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_TESTING_STATUS_RECORDS_H_
