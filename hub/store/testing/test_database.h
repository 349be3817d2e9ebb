// A migrated database in a folder of its own, and values to fill it with. For tests.
#ifndef MUSTER_HUB_STORE_TESTING_TEST_DATABASE_H_
#define MUSTER_HUB_STORE_TESTING_TEST_DATABASE_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/testing/temp_dir.h"
#include "hub/store/schema.h"
#include "hub/store/writes.h"

namespace muster::hub {

// The tests' zero: a whole second, so that rows of microseconds lose nothing.
inline const absl::Time kTestEpoch = absl::FromUnixSeconds(1'800'000'000);

class TestDatabase {
 public:
  TestDatabase() {
    auto opened = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
    if (!opened.ok() || !Migrate(**opened).ok() || !(*opened)->Execute("PRAGMA synchronous=OFF").ok()) std::abort();
    database_ = *std::move(opened);
  }
  std::string path() const { return dir_.path() + "/hub.db"; }
  sqlite::Database& operator*() { return *database_; }
  sqlite::Database* operator->() { return database_.get(); }

  // Every row, its columns joined by '|', NULL as "-"; for looks behind the functions.
  std::vector<std::string> Rows(sqlite::Sql sql) {
    std::vector<std::string> rows;
    auto statement = database_->Prepare(sql);
    if (!statement.ok()) std::abort();
    while (statement->Step().value_or(false)) {
      std::string& row = rows.emplace_back();
      for (int column = 0; column < statement->Columns(); ++column) {
        if (column > 0) row += '|';
        row += statement->IsNull(column) ? "-" : statement->Text(column);
      }
    }
    return rows;
  }

  // The first column of the first row.
  std::int64_t Number(sqlite::Sql sql) {
    auto statement = database_->Prepare(sql);
    if (!statement.ok() || !statement->Step().value_or(false)) std::abort();
    return statement->Int64(0);
  }

 private:
  TempDir dir_;
  std::unique_ptr<sqlite::Database> database_;
};

inline StoredTarget NewTarget(const std::string& id, const std::string& name, const std::string& customer = "",
                              absl::Time created = kTestEpoch) {
  StoredTarget target;
  target.id = id;
  target.name = name;
  target.type = types::v1::TARGET_TYPE_DOCKER;
  target.customer = customer;
  target.created = created;
  target.secret_hash = HashSecret("secret of " + id);
  target.open = {.state = types::v1::TARGET_STATE_NOT_CONNECTED, .from = created, .to = {}, .reason = "created"};
  return target;
}

// As the live fleet tells it, of an agent that names no change; see Named.
inline DeploymentTransition NewTransition(const std::string& target_id, const std::string& name,
                                          types::v1::DeploymentStatus status, absl::Time at,
                                          const std::string& message = "") {
  DeploymentTransition transition;
  transition.target_id = target_id;
  StoredDeployment& deployment = transition.deployment;
  deployment.id = DerivedId("dep_", target_id, "compose/" + name);
  deployment.created = at;
  deployment.revision_since = at;
  deployment.report.set_key("compose/" + name);
  deployment.report.set_name(name);
  deployment.report.set_status(status);
  deployment.report.set_message(message);
  transition.change = {.at = at,
                       .name = {},
                       .fact = {.status = status, .message = message, .application_version = "1.0", .revision = "r1"}};
  return transition;
}

// The same change with the agent's name of it, told by the run that began at the tests' zero unless another is given.
inline DeploymentTransition Named(DeploymentTransition transition, absl::Time agent_time, absl::Time run = kTestEpoch) {
  transition.change->name = ChangeName{.run = run, .time = agent_time};
  return transition;
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_TESTING_TEST_DATABASE_H_
