// The history that the live fleet writes: states, silences and changes, and what a restarted hub shows of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "hub/store/testing/writes_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_RUNNING;
using types::v1::TARGET_STATE_CONNECTED;
using types::v1::TARGET_STATE_NOT_CONNECTED;
using types::v1::TARGET_STATE_STALE;

TEST_F(WritesTest, TargetTransitionsCloseAndOpenIntervals) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(10), "came").ok());
  ASSERT_TRUE(Transit(TARGET_STATE_STALE, At(70), "silent").ok());
  EXPECT_THAT(TargetHistory(), ElementsAre("0-10 1 created", "10-70 2 came", "70-... 3 silent"));
  EXPECT_EQ(Load().open.state, TARGET_STATE_STALE);
}

TEST_F(WritesTest, TransitionToTheSameStateOpensNothing) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(10)).ok());
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(20), "", At(20)).ok());
  EXPECT_THAT(TargetHistory(), ElementsAre("0-10 1 created", "10-... 2 "));
  EXPECT_EQ(Load().last_seen, At(20));
}

// A hub that had just started, called a target connected for the minute in which it did not know.
TEST_F(WritesTest, SilenceThatBeganWhileTheHubDidNotListenIsUnknown) {
  const struct {
    const char* name;
    absl::Time unknown_from;
    std::vector<std::string> history;
  } cases[] = {
      {"since the hub's start", At(40), {"0-10 1 created", "10-40 2 ", "40-100 4 ?", "100-... 3 silent"}},
      {"the clock was set back", At(5), {"0-10 1 created", "10-10 2 ", "10-100 4 ?", "100-... 3 silent"}},
      {"in no time", At(100), {"0-10 1 created", "10-100 2 ", "100-... 3 silent"}},
      {"in the future", At(200), {"0-10 1 created", "10-100 2 ", "100-... 3 silent"}},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(10)).ok());
    ASSERT_TRUE(RecordTargetTransition(*database_, {.target_id = "tgt_1",
                                                    .state = TARGET_STATE_STALE,
                                                    .at = At(100),
                                                    .reason = "silent",
                                                    .last_seen = {},
                                                    .unknown_from = c.unknown_from})
                    .ok());
    ASSERT_TRUE(database_->Execute("UPDATE target_intervals SET reason='?' WHERE state=4").ok());
    EXPECT_EQ(TargetHistory(), c.history) << c.name;
    EXPECT_EQ(Load().open.state, TARGET_STATE_STALE) << c.name;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(WritesTest, SilencesBeginAndEnd) {
  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(5)).ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(10), .reason = "a"}).ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(15), .reason = "b"}).ok());
  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(20)).ok());
  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(25)).ok());
  EXPECT_THAT(Silences(), ElementsAre("10-20 a"));
  // The wall clock was set back.
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(2), .reason = "c"}).ok());
  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(1)).ok());
  EXPECT_THAT(Silences(), ElementsAre("10-20 a", "20-20 c"));
}

TEST_F(WritesTest, TransitionWithoutASightKeepsTheLastOne) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(20), "", At(19)).ok());
  ASSERT_TRUE(Transit(TARGET_STATE_STALE, At(80)).ok());
  EXPECT_EQ(Load().last_seen, At(19));
}

TEST_F(WritesTest, WallClockSetBackStillGivesOrderedTargetIntervals) {
  for (const int second : {100, 50, 50, -1000, 60, 200}) {
    ASSERT_TRUE(Transit(second % 100 == 0 ? TARGET_STATE_CONNECTED : TARGET_STATE_STALE, At(second)).ok());
    ASSERT_TRUE(Transit(TARGET_STATE_NOT_CONNECTED, At(second)).ok());
  }
  EXPECT_EQ(database_.Number("SELECT count(*) FROM target_intervals"), 13);
  EXPECT_EQ(database_.Number("SELECT count(*) FROM target_intervals a JOIN target_intervals b ON a.from_us<b.from_us"
                             " AND (a.to_us IS NULL OR a.to_us>b.from_us)"),
            0)
      << "they do not overlap";
  EXPECT_EQ(database_.Number("SELECT max(from_us) FROM target_intervals"), absl::ToUnixMicros(At(200)) + 1);
}

TEST_F(WritesTest, ChangesOfADeploymentAreRows) {
  auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(20), "web exited with 1");
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  EXPECT_THAT(DeploymentHistory(), ElementsAre("10 5", "20 3"));
  EXPECT_THAT(database_.Rows("SELECT message, application_version, revision FROM deployment_changes WHERE status=3"),
              ElementsAre("web exited with 1|1.0|r1"));
  ASSERT_EQ(Load().deployments.size(), 1U);
  EXPECT_EQ(Load().deployments[0].open.status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Load().deployments[0].open.from, At(20));
}

TEST_F(WritesTest, NewWordingChangesTheReportAlone) {
  auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(10), "restarted 3 times");
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  for (int i = 4; i < 10; ++i) {
    shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(10 + i),
                         "restarted " + std::to_string(i) + " times");
    shop.change.reset();
    ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  }
  EXPECT_THAT(DeploymentHistory(), ElementsAre("10 3"));
  EXPECT_EQ(Load().deployments[0].open.message, "restarted 9 times");
  EXPECT_EQ(Load().deployments[0].open.from, At(10));
}

TEST_F(WritesTest, WallClockSetBackStillGivesOrderedChanges) {
  ASSERT_TRUE(
      RecordDeploymentTransition(*database_, NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(100))).ok());
  for (const int second : {50, 40, 30, 200}) {
    auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(second));
    shop.change->fact.revision = std::to_string(second);
    ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  }
  EXPECT_THAT(database_.Rows("SELECT revision, at_us-1800000000000000 FROM deployment_changes ORDER BY at_us"),
              ElementsAre("r1|100000000", "50|100000001", "40|100000002", "30|100000003", "200|200000000"));
}

TEST_F(WritesTest, NamedChangesKeepTheAgentsOrder) {
  const auto change = [&](int agent_second, int second, types::v1::DeploymentStatus status) {
    return RecordDeploymentTransition(*database_,
                                      Named(NewTransition("tgt_1", "shop", status, At(second)), At(agent_second)));
  };
  ASSERT_TRUE(change(1000, 100, DEPLOYMENT_STATUS_RUNNING).ok());
  ASSERT_TRUE(change(1010, 90, DEPLOYMENT_STATUS_ERROR).ok()) << "the hub's clock was set back";
  ASSERT_TRUE(change(1000, 300, DEPLOYMENT_STATUS_RUNNING).ok()) << "it is there";
  EXPECT_THAT(DeploymentHistory(), ElementsAre("100 5", "100 3"));
  EXPECT_EQ(Load().deployments[0].open.status, DEPLOYMENT_STATUS_ERROR);
}

// After an archived one came back with the clock set back, two intervals held at the same time.
TEST_F(WritesTest, DeploymentThatReturnsAfterTheClockWasSetBackDoesNotOverlapItsPast) {
  for (const bool named : {false, true}) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(40));
    ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
    ASSERT_TRUE(ArchiveDeployment(*database_, shop.deployment.id, At(100)).ok());
    shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(50));
    ASSERT_TRUE(RecordDeploymentTransition(*database_, named ? Named(shop, At(50)) : shop).ok());
    EXPECT_THAT(DeploymentHistory(), ElementsAre("40 5", "100 0", "100 5"));
    EXPECT_EQ(Load().deployments[0].open.status, DEPLOYMENT_STATUS_RUNNING);
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(WritesTest, ArchivedDeploymentKeepsItsHistoryAndLosesItsNames) {
  auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10));
  const std::string id = shop.deployment.id;
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(UpdateDeploymentChoices(*database_, id,
                                      {.logs_enabled = false, .application = "Shop", .application_version = "9"})
                  .ok());
  ASSERT_TRUE(ArchiveDeployment(*database_, id, At(20)).ok());
  ASSERT_TRUE(ArchiveDeployment(*database_, id, At(25)).ok());
  ASSERT_TRUE(ArchiveDeployment(*database_, "dep_never_stored", At(25)).ok());
  EXPECT_THAT(Load().deployments, IsEmpty());
  EXPECT_THAT(Load().archived_logs_off, ElementsAre(shop.deployment.report.key()));
  EXPECT_THAT(DeploymentHistory(), ElementsAre("10 5", "20 0"));
  EXPECT_EQ(ReasonOf(ReadDeploymentChoices(*database_, id).status()), "DEPLOYMENT_NOT_STORED");

  auto returned = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(30));
  returned.deployment.choices.logs_enabled = false;
  ASSERT_TRUE(RecordDeploymentTransition(*database_, returned).ok());
  ASSERT_EQ(Load().deployments.size(), 1U);
  const StoredDeployment back = Load().deployments[0];
  EXPECT_EQ(back.id, id);
  EXPECT_FALSE(back.choices.logs_enabled);
  EXPECT_FALSE(back.choices.application);
  EXPECT_THAT(Load().archived_logs_off, IsEmpty());
  EXPECT_THAT(DeploymentHistory(), ElementsAre("10 5", "20 0", "30 5"));
}

TEST_F(WritesTest, ArchivedKeysThatAreOffAreReadNewestFirstUpToTheirBound) {
  ASSERT_TRUE(database_->Execute("BEGIN").ok());
  const int count = static_cast<int>(kMaxArchivedLogsOff) + 5;
  std::string newest;
  for (int i = 0; i < count; ++i) {
    auto one = NewTransition("tgt_1", fmt::format("job{}", i), DEPLOYMENT_STATUS_RUNNING, At(10));
    one.deployment.choices.logs_enabled = i % 2 == 0 || i > 20;
    newest = one.deployment.report.key();
    ASSERT_TRUE(RecordDeploymentTransition(*database_, one).ok());
    ASSERT_TRUE(ArchiveDeployment(*database_, one.deployment.id, At(20 + i)).ok());
  }
  EXPECT_EQ(Load().archived_logs_off.size(), 10U) << "what is on is not listed";
  ASSERT_TRUE(database_->Execute("UPDATE deployments SET logs_enabled=0").ok());
  const std::vector<std::string> keys = Load().archived_logs_off;
  ASSERT_EQ(keys.size(), kMaxArchivedLogsOff);
  EXPECT_EQ(keys.front(), newest);
  ASSERT_TRUE(database_->Execute("COMMIT").ok());
}

// Beyond the bound the agent is no longer told that it is off, and collects: so the store must say on.
TEST_F(WritesTest, DeploymentThatReturnsIsOnOrOffAsTheAgentWasTold) {
  auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10));
  shop.deployment.choices.logs_enabled = false;
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(ArchiveDeployment(*database_, shop.deployment.id, At(20)).ok());
  shop.deployment.choices.logs_enabled = true;
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  EXPECT_TRUE(Load().deployments.at(0).choices.logs_enabled);
}

// ---- what a restarted hub shows

TEST_F(WritesTest, LiveStateIsReadBackAsItWas) {
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10), "fine"), At(9)))
                  .ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(70), .reason = "not reported"}).ok());
  StoredTarget target = Load();
  ASSERT_TRUE(target.silence);
  EXPECT_EQ(target.silence->from, At(70));
  EXPECT_EQ(target.silence->reason, "not reported");
  StoredDeployment shop = target.deployments.at(0);
  EXPECT_EQ(shop.open.status, types::v1::DEPLOYMENT_STATUS_STALE);
  EXPECT_EQ(shop.open.from, At(70));
  EXPECT_EQ(shop.open.message, "not reported");
  EXPECT_EQ(shop.recorded.status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.recorded.application_version, "1.0");
  EXPECT_EQ(shop.recorded.revision, "r1");

  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(90)).ok());
  target = Load();
  EXPECT_FALSE(target.silence);
  shop = target.deployments.at(0);
  EXPECT_EQ(shop.open.status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.open.from, At(90)) << "shown since it was heard of again";
  EXPECT_EQ(shop.open.message, "fine");
  EXPECT_EQ(shop.open.application_version, "1.0");
  EXPECT_EQ(shop.open.revision, "r1");

  ASSERT_TRUE(RecordDeploymentTransition(*database_,
                                         Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(95)), At(94)))
                  .ok());
  EXPECT_EQ(Load().deployments.at(0).open.from, At(95));
}

TEST_F(WritesTest, DeploymentThatAJournalEndedIsShownUntilTheFleetHearsOfIt) {
  ASSERT_TRUE(
      RecordDeploymentTransition(*database_, NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10))).ok());
  ASSERT_TRUE(database_
                  ->Execute("INSERT INTO deployment_changes SELECT deployment_id, at_us+1, 7, 7, 0, '', '', ''"
                            " FROM deployment_changes")
                  .ok());
  const StoredDeployment shop = Load().deployments.at(0);
  EXPECT_EQ(shop.open.status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.recorded.status, types::v1::DEPLOYMENT_STATUS_UNSPECIFIED) << "the next report is news";
}

TEST_F(WritesTest, ReportsDoNotTouchWhatOperatorsChose) {
  auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(10));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(UpdateDeploymentChoices(*database_, shop.deployment.id,
                                      {.logs_enabled = false, .application = "Shop", .application_version = {}})
                  .ok());
  shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_HEALTHY, At(20));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  const auto choices = ReadDeploymentChoices(*database_, shop.deployment.id);
  ASSERT_TRUE(choices.ok()) << choices.status();
  EXPECT_FALSE(choices->logs_enabled);
  EXPECT_EQ(choices->application, "Shop");
  EXPECT_FALSE(choices->application_version);
}

TEST_F(WritesTest, TransitionOfAnUnknownTargetIsRefused) {
  EXPECT_FALSE(
      RecordDeploymentTransition(*database_, NewTransition("tgt_9", "shop", DEPLOYMENT_STATUS_RUNNING, At(1))).ok());
  EXPECT_FALSE(RecordTargetTransition(
                   *database_,
                   {.target_id = "tgt_9", .state = TARGET_STATE_CONNECTED, .at = At(1), .reason = "", .last_seen = {}})
                   .ok());
}

}  // namespace
}  // namespace muster::hub
