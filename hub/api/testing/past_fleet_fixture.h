// A fleet of which only the store knows: rows of targets and deployments that are gone.
#ifndef MUSTER_HUB_API_TESTING_PAST_FLEET_FIXTURE_H_
#define MUSTER_HUB_API_TESTING_PAST_FLEET_FIXTURE_H_

#include <optional>
#include <string>

#include "hub/api/testing/fleet_handlers_fixture.h"

namespace muster::hub {

class PastFleetTest : public FleetHandlersTest {
 protected:
  PastFleetTest() {
    clock_.Advance(absl::Hours(24 * 50));
    InsertTarget("tgt_1", "one", "ACME");
    InsertTarget("tgt_2", "two", "Globex");
    InsertDeployment("dep_1", "tgt_1", "shop", At(900));
    InsertDeployment("dep_2", "tgt_2", "shop", {});
  }

  static constexpr absl::Duration kAge = absl::Hours(24 * 50);
  // Seconds since the hub's start.
  absl::Time At(int second) const { return clock_.Now() - kAge + absl::Seconds(second); }

  template <typename Bind>
  void Write(sqlite::Sql sql, Bind bind) {
    const absl::Status written = store_->writer().Run([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
      bind(s);
      return s.Run();
    });
    ASSERT_TRUE(written.ok()) << written;
  }
  // Connected from 10 s on, stale from 500 s to 600 s, deleted at 1000 s.
  void InsertTarget(const std::string& id, const std::string& name, const std::string& customer) {
    Write(
        "INSERT INTO targets(id, name, type, customer, created_us, deleted_us, secret_hash, secret_generation)"
        " VALUES(?,?,1,?,?,?,X'00',1)",
        [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, name).Bind(3, customer).Bind(4, At(0)).Bind(5, At(1000)); });
    const struct {
      int from, to;
      types::v1::TargetState state;
    } intervals[] = {{0, 10, types::v1::TARGET_STATE_NOT_CONNECTED},
                     {10, 500, types::v1::TARGET_STATE_CONNECTED},
                     {500, 600, types::v1::TARGET_STATE_STALE},
                     {600, 1000, types::v1::TARGET_STATE_CONNECTED}};
    for (const auto& i : intervals) {
      Write("INSERT INTO target_intervals(target_id, from_us, to_us, state, reason) VALUES(?,?,?,?,'')",
            [&](sqlite::Statement& s) { s.Bind(1, id).Bind(2, At(i.from)).Bind(3, At(i.to)).Bind(4, i.state); });
    }
  }
  void InsertDeployment(const std::string& id, const std::string& target, const std::string& name,
                        std::optional<absl::Time> archived) {
    agent::v1::DeploymentState report;
    report.set_key("compose/" + name);
    report.set_name(name);
    const std::string bytes = report.SerializeAsString();
    Write(
        "INSERT INTO deployments(id, target_id, key, created_us, archived_us, revision_us, report)"
        " VALUES(?1,?2,?3,?4,?5,?4,?6)",
        [&](sqlite::Statement& s) {
          s.Bind(1, id).Bind(2, target).Bind(3, report.key()).Bind(4, At(0)).Bind(5, archived);
          s.BindBlob(6, bytes.data(), bytes.size());
        });
  }
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_TESTING_PAST_FLEET_FIXTURE_H_
