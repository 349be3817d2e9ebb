// A migrated database to be filled with facts row by row, as both the live fleet and journals leave them. For tests of
// what is read from them.
#ifndef MUSTER_HUB_STORE_TESTING_FACT_ROWS_H_
#define MUSTER_HUB_STORE_TESTING_FACT_ROWS_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/sqlite/database.h"
#include "common/testing/temp_dir.h"
#include "hub/store/history_reads.h"
#include "hub/store/schema.h"
#include "muster/agent/v1/agent.pb.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// The hub's present run began at second 0.
inline absl::Time At(std::int64_t second) { return absl::FromUnixSeconds(1'800'000'000 + second); }

class FactRows {
 public:
  FactRows() {
    auto opened = sqlite::Database::Open(dir_.path() + "/hub.db", sqlite::OpenMode::kWriter);
    if (!opened.ok() || !Migrate(**opened).ok() || !(*opened)->Execute("PRAGMA synchronous=OFF").ok()) std::abort();
    database_ = *std::move(opened);
  }
  sqlite::Database& database() { return *database_; }
  HistoryReader Reader() { return {database_.get(), At(0), now}; }

  void Target(const std::string& id, const std::string& name, const std::string& customer = "",
              std::optional<int> deleted = {}) {
    Run("INSERT INTO targets(id, name, type, customer, created_us, deleted_us, secret_hash, secret_generation)"
        " VALUES(?1,?2,1,?3,?4,?5,X'00',1)",
        [&](sqlite::Statement& s) {
          s.Bind(1, id).Bind(2, name).Bind(3, customer).Bind(4, At(0)).Bind(5, Time(deleted));
        });
  }
  void Interval(const std::string& target, types::v1::TargetState state, int from, std::optional<int> to = {},
                const std::string& reason = "") {
    Run("INSERT INTO target_intervals(target_id, from_us, to_us, state, reason) VALUES(?,?,?,?,?)",
        [&](sqlite::Statement& s) {
          s.Bind(1, target).Bind(2, At(from)).Bind(3, Time(to)).Bind(4, state).Bind(5, reason);
        });
  }
  void Deployment(const std::string& id, const std::string& target, const std::string& name,
                  std::optional<int> archived = {}) {
    agent::v1::DeploymentState report;
    report.set_key("compose/" + name);
    report.set_name(name);
    const std::string bytes = report.SerializeAsString();
    Run("INSERT INTO deployments(id, target_id, key, created_us, archived_us, revision_us, report)"
        " VALUES(?1,?2,?3,?4,?5,?4,?6)",
        [&](sqlite::Statement& s) {
          s.Bind(1, id).Bind(2, target).Bind(3, report.key()).Bind(4, At(10)).Bind(5, Time(archived));
          s.BindBlob(6, bytes.data(), bytes.size());
        });
  }
  void Change(const std::string& deployment, types::v1::DeploymentStatus status, int at,
              const std::string& message = "", std::optional<int> agent = {}) {
    Run("INSERT INTO deployment_changes(deployment_id, at_us, agent_us, status, message, application_version, revision)"
        " VALUES(?,?,?,?,?,'1.0','r1')",
        [&](sqlite::Statement& s) {
          s.Bind(1, deployment).Bind(2, At(at)).Bind(3, Time(agent)).Bind(4, status).Bind(5, message);
        });
  }
  void Silence(const std::string& target, int from, std::optional<int> to = {}) {
    Run("INSERT INTO silences(target_id, from_us, to_us, reason) VALUES(?,?,?,'not reported')",
        [&](sqlite::Statement& s) { s.Bind(1, target).Bind(2, At(from)).Bind(3, Time(to)); });
  }
  void Presence(const std::string& target, int from, int to, bool seen = true) {
    Run("INSERT INTO presence(target_id, from_us, to_us, deployments_observed) VALUES(?,?,?,?)",
        [&](sqlite::Statement& s) { s.Bind(1, target).Bind(2, At(from)).Bind(3, At(to)).Bind(4, seen); });
  }
  void HubRun(int started, int alive, std::optional<int> stopped = {}) {
    Run("INSERT INTO hub_runs(started_us, alive_us, stopped_us) VALUES(?,?,?)",
        [&](sqlite::Statement& s) { s.Bind(1, At(started)).Bind(2, At(alive)).Bind(3, Time(stopped)); });
  }
  void Gap(const std::string& target, int first, int last, int from, int to, int lane = agent::v1::LANE_EVENTS) {
    Run("INSERT INTO journal_gaps(target_id, epoch, lane, first_sequence, last_sequence, reason, from_us, to_us)"
        " VALUES(?1,'e',?2,?3,?4,1,?5,?6)",
        [&](sqlite::Statement& s) {
          s.Bind(1, target).Bind(2, lane).Bind(3, first).Bind(4, last).Bind(5, At(from)).Bind(6, At(to));
        });
  }
  template <typename Bind>
  void Run(sqlite::Sql sql, Bind bind) {
    auto statement = database_->Prepare(sql);
    ASSERT_TRUE(statement.ok()) << statement.status();
    bind(*statement);
    const absl::Status done = statement->Run();
    ASSERT_TRUE(done.ok()) << done;
  }

  absl::Time now = At(1'000'000);

 private:
  static std::optional<absl::Time> Time(std::optional<int> second) {
    return second ? std::optional(At(*second)) : std::nullopt;
  }

  TempDir dir_;
  std::unique_ptr<sqlite::Database> database_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_TESTING_FACT_ROWS_H_
