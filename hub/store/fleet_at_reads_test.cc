#include "hub/store/fleet_at_reads.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/store/testing/fact_rows.h"

namespace muster::hub {
namespace {

using namespace types::v1;  // NOLINT(google-build-using-namespace): this file is about these words
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(FleetAt, ShowsTheFleetAsItWas) {
  FactRows facts;
  facts.Target("tgt_2", "beta", "ACME");
  facts.Target("tgt_1", "alpha");
  facts.Target("tgt_3", "gone", "", 120);
  facts.Interval("tgt_1", TARGET_STATE_NOT_CONNECTED, 0, 50, "created");
  facts.Interval("tgt_1", TARGET_STATE_CONNECTED, 50);
  facts.Interval("tgt_2", TARGET_STATE_NOT_CONNECTED, 100);
  facts.Interval("tgt_3", TARGET_STATE_CONNECTED, 100, 120);
  facts.Deployment("dep_1", "tgt_1", "shop", 200);
  facts.Deployment("dep_2", "tgt_1", "blog");
  facts.Deployment("dep_3", "tgt_3", "lost");
  facts.Change("dep_1", DEPLOYMENT_STATUS_RUNNING, 60, "up", 59);
  facts.Change("dep_2", DEPLOYMENT_STATUS_RUNNING, 60);
  facts.Change("dep_2", DEPLOYMENT_STATUS_ERROR, 160, "exited");
  facts.Change("dep_2", DEPLOYMENT_STATUS_UNSPECIFIED, 170);
  facts.Change("dep_3", DEPLOYMENT_STATUS_RUNNING, 110);
  const auto at = [&](absl::Time time, const std::string& customer = "") {
    auto fleet = facts.Reader().ReadFleetAt(time, customer);
    EXPECT_TRUE(fleet.ok()) << fleet.status();
    return *fleet;
  };
  EXPECT_THAT(at(At(-1)).targets, IsEmpty());
  ASSERT_EQ(at(At(0)).targets.size(), 1U);
  EXPECT_EQ(at(At(49)).targets[0].period.state, TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(at(At(50)).targets[0].period.state, TARGET_STATE_CONNECTED) << "an interval has its start";
  EXPECT_THAT(at(At(59)).deployments, IsEmpty());
  EXPECT_EQ(at(At(110)).targets.size(), 3U);
  EXPECT_EQ(at(At(110)).deployments.size(), 3U);
  const FleetAt later = at(At(150));
  ASSERT_EQ(later.targets.size(), 2U) << "and not its end";
  EXPECT_EQ(later.targets[0].target_name, "alpha");
  EXPECT_EQ(later.targets[0].period.from, At(50));
  EXPECT_EQ(later.targets[1].target_name, "beta");
  EXPECT_EQ(later.targets[1].customer, "ACME");
  ASSERT_EQ(later.deployments.size(), 2U);
  EXPECT_EQ(later.deployments[0].name, "blog");
  EXPECT_EQ(later.deployments[1].name, "shop");
  EXPECT_EQ(later.deployments[1].target_name, "alpha");
  EXPECT_EQ(later.deployments[1].period.from, At(60));
  EXPECT_EQ(later.deployments[1].period.agent_time, At(59));
  EXPECT_EQ(at(At(165)).deployments[0].period.message, "exited");
  EXPECT_EQ(at(At(170)).deployments.size(), 1U) << "blog is gone";
  EXPECT_THAT(at(At(200)).deployments, IsEmpty()) << "shop was archived";
  EXPECT_EQ(at(At(150), "ACME").targets.size(), 1U);
  EXPECT_THAT(at(At(150), "ACME").deployments, IsEmpty());
}

TEST(FleetAt, ShowsTheFleetOfATimeWithoutAHub) {
  FactRows facts;
  facts.HubRun(-2000, -1000, -1000);
  for (const char* id : {"tgt_1", "tgt_2"}) {
    facts.Target(id, id);
    facts.Interval(id, TARGET_STATE_CONNECTED, -1900);
    facts.Deployment(std::string("dep_of_") + id, id, "shop");
    facts.Change(std::string("dep_of_") + id, DEPLOYMENT_STATUS_RUNNING, -1800);
  }
  facts.Presence("tgt_1", -1005, 3);
  facts.Silence("tgt_2", -1500);
  const FleetAt fleet = *facts.Reader().ReadFleetAt(At(-500), "");
  ASSERT_EQ(fleet.targets.size(), 2U);
  EXPECT_EQ(fleet.targets[0].period.state, TARGET_STATE_CONNECTED);
  EXPECT_EQ(fleet.targets[0].period.from, At(-1000));
  EXPECT_EQ(fleet.targets[1].period.state, TARGET_STATE_UNKNOWN);
  ASSERT_EQ(fleet.deployments.size(), 2U);
  EXPECT_EQ(fleet.deployments[0].period.status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(fleet.deployments[0].period.from, At(-1800));
  EXPECT_EQ(fleet.deployments[1].period.status, DEPLOYMENT_STATUS_UNKNOWN);
  EXPECT_EQ(facts.Reader().ReadFleetAt(At(2), "")->targets[0].period.state, TARGET_STATE_CONNECTED);
  EXPECT_EQ(facts.Reader().ReadFleetAt(At(2), "")->targets[1].period.state, TARGET_STATE_UNKNOWN);
  EXPECT_EQ(facts.Reader().ReadFleetAt(At(-1400), "")->deployments[1].period.status, DEPLOYMENT_STATUS_STALE);
}

// A thousand targets with three deployments each and a month of history; ten thousand take ten times as long.
TEST(FleetAt, AnswersForAFleetInNoTime) {
  FactRows facts;
  ASSERT_TRUE(facts.database().Execute("BEGIN").ok());
  constexpr int kTargets = 1000;
  for (int t = 0; t < kTargets; ++t) {
    const std::string id = fmt::format("tgt_{}", t);
    facts.Target(id, fmt::format("target-{:05}", t));
    for (int i = 0; i < 20; ++i) {
      facts.Interval(id, i % 2 == 0 ? TARGET_STATE_CONNECTED : TARGET_STATE_STALE, i * 1000,
                     i < 19 ? std::optional(i * 1000 + 1000) : std::nullopt);
      facts.Presence(id, i * 1000, i * 1000 + 60);
      facts.Silence(id, i * 1000 + 500, i * 1000 + 600);
    }
    for (int d = 0; d < 3; ++d) {
      const std::string deployment = fmt::format("dep_{}_{}", t, d);
      facts.Deployment(deployment, id, fmt::format("app-{}", d));
      for (int i = 0; i < 20; ++i) facts.Change(deployment, static_cast<DeploymentStatus>(3 + i % 4), i * 1000);
    }
  }
  ASSERT_TRUE(facts.database().Execute("COMMIT").ok());
  const absl::Time begun = absl::Now();
  const FleetAt fleet = *facts.Reader().ReadFleetAt(At(10'030), "");
  const absl::Duration took = absl::Now() - begun;
  EXPECT_EQ(fleet.targets.size(), 1000U);
  EXPECT_EQ(fleet.deployments.size(), 3000U);
  RecordProperty("milliseconds", static_cast<int>(absl::ToInt64Milliseconds(took)));
  std::printf("%d targets at an instant: %s\n", kTargets, absl::FormatDuration(took).c_str());
  EXPECT_LT(took, absl::Seconds(2)) << "a scan of the whole history takes that long, looking up does not";
}

// What walks a history instead of looking into it grows with the years.
TEST(FleetAt, LooksFactsUpByIndex) {
  FactRows facts;
  const auto plan = [&](sqlite::Sql sql) {
    auto statement = facts.database().Prepare(sql);
    std::string text;
    while (statement.ok() && statement->Step().value_or(false)) text += statement->Text(3) + "\n";
    return text;
  };
  // The shapes that history_facts.cc, history_reads.cc and fleet_at_reads.cc ask in.
  const std::vector<std::string> plans = {
      plan("EXPLAIN QUERY PLAN SELECT 1 FROM targets t CROSS JOIN target_intervals i ON i.target_id=t.id AND"
           " i.from_us<=?2 AND i.from_us>=(SELECT max(from_us) FROM target_intervals WHERE target_id=t.id AND"
           " from_us<=?1)"),
      plan("EXPLAIN QUERY PLAN SELECT 1 FROM targets t CROSS JOIN presence p ON p.target_id=t.id AND p.from_us<=?2 AND"
           " p.from_us>=coalesce((SELECT max(from_us) FROM presence WHERE target_id=t.id AND from_us<=?1), ?1)"),
      plan("EXPLAIN QUERY PLAN SELECT 1 FROM deployments d CROSS JOIN deployment_changes c ON c.rowid=(SELECT rowid"
           " FROM deployment_changes WHERE deployment_id=d.id AND at_us<=?1 ORDER BY at_us DESC, run_us DESC, agent_us "
           "DESC LIMIT "
           "1)"),
      plan("EXPLAIN QUERY PLAN SELECT at_us FROM deployment_changes WHERE deployment_id=?1 AND at_us<?2 ORDER BY at_us"
           " DESC LIMIT 1 OFFSET ?3"),
      plan("EXPLAIN QUERY PLAN SELECT message FROM deployment_changes WHERE deployment_id=?1 AND at_us<?3 AND at_us>="
           "coalesce((SELECT max(at_us) FROM deployment_changes WHERE deployment_id=?1 AND at_us<=?2), ?2)"
           " ORDER BY at_us, run_us, agent_us")};
  for (const std::string& text : plans) {
    EXPECT_THAT(text, HasSubstr("SEARCH"));
    for (const char* history : {"SCAN target_intervals", "SCAN i", "SCAN presence", "SCAN p", "SCAN deployment_changes",
                                "SCAN c", "TEMP B-TREE"}) {
      EXPECT_THAT(text, Not(HasSubstr(history)));
    }
  }
}

}  // namespace
}  // namespace muster::hub
