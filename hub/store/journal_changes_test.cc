#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/store/journal_writes.h"
#include "hub/store/reads.h"
#include "hub/store/testing/apply_batch_fixture.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

using agent::v1::Record;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_RUNNING;
using types::v1::DeploymentStatus;

// ---- times

TEST_F(ApplyBatchTest, TimesAreCorrected) {
  const auto aged = [](double second, double age) {
    Record record = Change(second, DEPLOYMENT_STATUS_RUNNING);
    *record.mutable_age() = ToProto(absl::Seconds(age));
    return record;
  };
  const struct {
    const char* name;
    absl::Duration skew;
    std::vector<Record> records;
    std::vector<std::string> history;
  } cases[] = {
      {"as told", {}, {Change(100, DEPLOYMENT_STATUS_RUNNING)}, {"100.0|5"}},
      {"clock ahead", absl::Hours(1), {Change(3700, DEPLOYMENT_STATUS_RUNNING)}, {"100.0|5"}},
      {"clock behind", -absl::Seconds(50), {Change(50, DEPLOYMENT_STATUS_RUNNING)}, {"100.0|5"}},
      {"age beats the clock", absl::Hours(1), {aged(7'000'000, 30)}, {"970.0|5"}},
      {"negative age", {}, {aged(100, -30)}, {"1000.0|5"}},
      {"never after now", {}, {Change(2000, DEPLOYMENT_STATUS_RUNNING)}, {"1000.0|5"}},
      {"never before the target", {}, {aged(100, 5000)}, {"0.0|5"}},
      {"never before the record before it", {}, {aged(300, 700), aged(400, 720)}, {"300.0|5", "300.0|5"}},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    origin_.skew = c.skew;
    EXPECT_TRUE(Apply(Batch(1, c.records)).newest) << c.name;
    EXPECT_EQ(History(), c.history) << c.name;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(ApplyBatchTest, OrderHoldsAcrossBatchesWhenTheHubsClockIsSetBack) {
  Apply(Batch(1, {Change(900, DEPLOYMENT_STATUS_RUNNING)}));
  origin_.arrived = At(500);
  Apply(Batch(2, {Change(901, DEPLOYMENT_STATUS_ERROR)}));
  EXPECT_THAT(History(), ElementsAre("900.0|5", "900.0|3"));
}

// ---- deployments

// A batch that was stored before the heartbeat of the same moment: a restart must not change what is shown.
TEST_F(ApplyBatchTest, ADeploymentHasBeenSeenSinceTheLiveFleetSaysSo) {
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_RUNNING)}));
  const auto live = Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(12)), At(10));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, live).ok());
  EXPECT_EQ(LoadTargets(*database_)->front().deployments.front().created, At(12));
  auto later = live;
  later.deployment.created = At(50);
  ASSERT_TRUE(RecordDeploymentTransition(*database_, later).ok());
  EXPECT_EQ(LoadTargets(*database_)->front().deployments.front().created, At(12)) << "as long as it is there";
}

TEST_F(ApplyBatchTest, DeploymentThatOnlyTheJournalKnowsIsNotShownAsPresent) {
  Apply(Batch(1, {Change(1, DEPLOYMENT_STATUS_RUNNING), Removed(20)}));
  EXPECT_THAT(History(), ElementsAre("1.0|5", "20.0|0"));
  EXPECT_EQ(database_.Number("SELECT archived_us FROM deployments"), absl::ToUnixMicros(At(1000)));
  EXPECT_THAT(LoadTargets(*database_)->front().deployments, IsEmpty());
  origin_.arrived = At(2000);
  Apply(Batch(3, {Change(1500, DEPLOYMENT_STATUS_RUNNING), Removed(1600)}));
  EXPECT_EQ(database_.Number("SELECT archived_us FROM deployments"), absl::ToUnixMicros(At(2000)))
      << "no change is later";
  // It is there again, and heard of.
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(2030)), At(2030)))
                  .ok());
  ASSERT_EQ(LoadTargets(*database_)->front().deployments.size(), 1U);
  EXPECT_EQ(LoadTargets(*database_)->front().deployments[0].open.status, DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ApplyBatchTest, SameChangeIsOneRowWhoeverTellsItFirst) {
  const auto live = Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(10), "exited"), At(10));
  for (const bool live_first : {true, false}) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    if (live_first) {
      ASSERT_TRUE(RecordDeploymentTransition(*database_, live).ok());
    }
    EXPECT_EQ(Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_ERROR)})).applied, 1);
    if (!live_first) {
      ASSERT_TRUE(RecordDeploymentTransition(*database_, live).ok());
    }
    EXPECT_THAT(History(), ElementsAre("10.0|3")) << live_first;
    ASSERT_EQ(LoadTargets(*database_)->front().deployments.size(), 1U) << live_first;
    EXPECT_EQ(LoadTargets(*database_)->front().deployments[0].open.status, DEPLOYMENT_STATUS_ERROR) << live_first;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

// Both transitions are in the journal, the heartbeat shows the second alone.
TEST_F(ApplyBatchTest, JournalFillsInWhatHeartbeatsDidNotShow) {
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(30)), At(30)))
                  .ok());
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_ERROR), Change(30, DEPLOYMENT_STATUS_RUNNING)}));
  EXPECT_THAT(History(), ElementsAre("10.0|3", "30.0|5"));
}

// The hub's judgement came after what the journal tells late: what is heard now must not stay hidden behind it.
// A heartbeat that a slow line delayed stood behind the change after it, which only the journal told.
TEST_F(ApplyBatchTest, LateHeartbeatDoesNotTurnChangesAround) {
  ASSERT_TRUE(RecordDeploymentTransition(*database_,
                                         Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(12)), At(10)))
                  .ok());
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_ERROR), Change(11, DEPLOYMENT_STATUS_RUNNING)}));
  EXPECT_THAT(History(), ElementsAre("12.0|3", "12.0|5"));
}

// A batch that was delayed put an old change behind the one that is shown.
TEST_F(ApplyBatchTest, LateBatchDoesNotTurnChangesAround) {
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_HEALTHY, At(11)), At(11)))
                  .ok());
  Record late = Change(10, DEPLOYMENT_STATUS_ERROR);
  *late.mutable_age() = ToProto(absl::Seconds(985));
  Apply(Batch(1, {late}));
  EXPECT_THAT(History(), ElementsAre("11.0|3", "11.0|6"));
}

// The agent's clock was set back between two runs: the changes of the later one stood before those of the run before.
TEST_F(ApplyBatchTest, LaterRunComesLaterWhateverItsClockSays) {
  for (const double step : {5, 3600}) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    ASSERT_TRUE(RecordDeploymentTransition(
                    *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_HEALTHY, At(11)), At(11 + step)))
                    .ok());
    origin_.run = Run("e2", 15);
    Record after = Change(12, DEPLOYMENT_STATUS_ERROR);
    *after.mutable_age() = ToProto(absl::Seconds(980));
    Apply(Batch(1, {after}, "e2"));
    ASSERT_TRUE(
        RecordDeploymentTransition(
            *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(30)), At(13), origin_.run))
            .ok());
    EXPECT_THAT(History(), ElementsAre("11.0|6", "20.0|3", "30.0|5")) << step;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

// Replayed without an age after a reboot: by the wrong clock it would stand behind what is heard now.
TEST_F(ApplyBatchTest, RecordsOfTheRunBeforeComeBeforeWhatIsHeardNow) {
  origin_.run = Run("e2", 15);
  ASSERT_TRUE(
      RecordDeploymentTransition(
          *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(20)), At(20), origin_.run))
          .ok());
  Apply(Batch(1, {Change(25, DEPLOYMENT_STATUS_ERROR)}));
  EXPECT_THAT(History(), ElementsAre("20.0|3", "20.0|5"));
}

TEST_F(ApplyBatchTest, RunThatBeginsTellsNothingTwice) {
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_RUNNING)}));
  origin_.run = Run("e2", 15);
  EXPECT_EQ(Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_RUNNING)}, "e2")).applied, 1);
  EXPECT_THAT(History(), ElementsAre("10.0|5"));
  Apply(Batch(2, {Change(16, DEPLOYMENT_STATUS_ERROR)}, "e2"));
  EXPECT_THAT(History(), ElementsAre("10.0|5", "16.0|3"));
}

// Docker's times have nanoseconds, the store's have not: each start of an agent was a change, and each start of the hub
// took the latest message and the resources away.
TEST_F(ApplyBatchTest, NanosecondsDoNotMakeAChangeAnother) {
  const absl::Time fine = At(10) + absl::Nanoseconds(789);
  Record started = Change(10, DEPLOYMENT_STATUS_RUNNING);
  *started.mutable_transition()->mutable_deployment()->mutable_change_time() = ToProto(fine);
  Apply(Batch(1, {started}));
  origin_.run = Run("e2", 15);
  Apply(Batch(1, {started}, "e2"));
  EXPECT_THAT(History(), ElementsAre("10.0|5"));
}

// The run before was told only after the heartbeat of the next one.
TEST_F(ApplyBatchTest, WhatGoesOnIsOneRowWhicheverRunIsHeardFirst) {
  const absl::Time earlier = Run("e2", 15);
  origin_.run = Run("e3", 16);
  ASSERT_LT(earlier, origin_.run);
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_RUNNING)}, "e3"));
  Apply(Batch(1, {Change(9, DEPLOYMENT_STATUS_ERROR), Change(10, DEPLOYMENT_STATUS_RUNNING)}, "e2"));
  EXPECT_THAT(History(), ElementsAre("9.0|3", "10.0|5"));
}

// A journal that took long to open was not in Hello: its runs got numbers behind the one that has the session, and what
// they told stood last.
TEST_F(ApplyBatchTest, RunsThatHelloDidNotNameAreOlder) {
  origin_.run = Run("e4", 30);
  ASSERT_TRUE(
      RecordDeploymentTransition(
          *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_HEALTHY, At(31)), At(31), origin_.run))
          .ok());
  Apply(Batch(1, {Change(40, DEPLOYMENT_STATUS_ERROR)}, "e2"));
  Apply(Batch(1, {Change(20, DEPLOYMENT_STATUS_RUNNING)}, "e3"));
  EXPECT_THAT(History(), ElementsAre("31.0|3", "31.0|5", "31.0|6"));
  EXPECT_THAT(database_.Rows("SELECT epoch FROM agent_runs ORDER BY run_us"), ElementsAre("e1", "e2", "e3", "e4"));
}

TEST_F(ApplyBatchTest, RunsDoNotGrowWithoutBound) {
  std::vector<std::string> epochs;
  for (int i = 0; i < kKeptRuns + 5; ++i) epochs.push_back("run" + std::to_string(i));
  Apply(Changes(1, 1));
  ASSERT_TRUE(EnsureAgentRuns(*database_, "tgt_1", epochs, At(20)).ok());
  EXPECT_EQ(database_.Number("SELECT count(*) FROM agent_runs"), kKeptRuns + 1) << "e1 has a position";
  EXPECT_EQ(Run("run" + std::to_string(kKeptRuns + 4), 5000), At(20) + (kKeptRuns + 4) * absl::Milliseconds(1));
}

// Two machines with one identity take turns: each one's changes are told once, and a restart shows one of them whole.
TEST_F(ApplyBatchTest, CopiesOfAMachineTakeTurns) {
  const absl::Time copy = Run("e2", 15);
  const auto tell = [&](DeploymentStatus status, double second, double changed, absl::Time run,
                        const std::string& message) {
    auto told = Named(NewTransition("tgt_1", "shop", status, At(second), message), At(changed), run);
    *told.deployment.report.mutable_change_time() = ToProto(At(changed));
    ASSERT_TRUE(RecordDeploymentTransition(*database_, told).ok());
  };
  tell(DEPLOYMENT_STATUS_RUNNING, 10, 10, origin_.run, "original");
  tell(DEPLOYMENT_STATUS_ERROR, 20, 20, copy, "copy");
  tell(DEPLOYMENT_STATUS_RUNNING, 30, 10, origin_.run, "original");
  tell(DEPLOYMENT_STATUS_ERROR, 40, 20, copy, "copy");
  EXPECT_THAT(History(), ElementsAre("10.0|5", "20.0|3"));
  const auto targets = LoadTargets(*database_);
  ASSERT_TRUE(targets.ok()) << targets.status();
  const StoredDeployment& shop = targets->front().deployments.at(0);
  EXPECT_EQ(shop.open.status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(shop.open.message, "copy");
}

// While a copy of the machine had the session the rest of a run was replayed, and stood before what it had told itself.
TEST_F(ApplyBatchTest, OrderHoldsWithinARunWhateverCopiesTell) {
  const absl::Time copy = Run("e2", 15);
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(20)), At(20), copy))
                  .ok());
  Apply(Batch(1, {Change(30, DEPLOYMENT_STATUS_RUNNING)}));
  origin_.run = copy;
  Apply(Batch(2, {Change(31, DEPLOYMENT_STATUS_HEALTHY)}));
  EXPECT_THAT(History(), ElementsAre("20.0|3", "30.0|5", "30.0|6"));
}

// After a restart the hub showed the status of the newest record beside the message of an older report.
TEST_F(ApplyBatchTest, StatusAndMessageAreOfOneTimeAfterARestart) {
  auto live = Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(10), "exited"), At(10));
  *live.deployment.report.mutable_change_time() = ToProto(At(10));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, live).ok());
  Record newer = Change(20, DEPLOYMENT_STATUS_RUNNING);
  newer.mutable_transition()->mutable_deployment()->set_message("started");
  Apply(Batch(1, {newer}));
  const auto targets = LoadTargets(*database_);
  ASSERT_TRUE(targets.ok()) << targets.status();
  const StoredDeployment& shop = targets->front().deployments.at(0);
  EXPECT_EQ(shop.open.status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.report.status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.report.message(), "started");
}

TEST_F(ApplyBatchTest, HubsJudgementDoesNotHideWhatIsHeardLater) {
  const auto gone = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_ERROR, At(50), kGoneMessage);
  ASSERT_TRUE(RecordDeploymentTransition(*database_, gone).ok());
  Apply(Batch(1, {Change(40, DEPLOYMENT_STATUS_RUNNING)}));
  ASSERT_TRUE(RecordDeploymentTransition(
                  *database_, Named(NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(60)), At(40)))
                  .ok());
  EXPECT_THAT(History(), ElementsAre("40.0|5", "50.0|3", "60.0|5"));
}

TEST_F(ApplyBatchTest, GoneIsAnError) {
  Record gone = Change(10, types::v1::DEPLOYMENT_STATUS_UNSPECIFIED);
  gone.mutable_transition()->mutable_deployment()->set_gone(true);
  Apply(Batch(1, {gone}));
  EXPECT_THAT(database_.Rows("SELECT status, message FROM deployment_changes"),
              ElementsAre("3|all containers are gone"));
}

TEST_F(ApplyBatchTest, OperatorsChoiceOfVersionHoldsForRecords) {
  const auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(1));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(UpdateDeploymentChoices(*database_, shop.deployment.id,
                                      {.logs_enabled = true, .application = {}, .application_version = "2026.1"})
                  .ok());
  Apply(Batch(1, {Change(10, DEPLOYMENT_STATUS_ERROR)}));
  EXPECT_THAT(database_.Rows("SELECT application_version FROM deployment_changes ORDER BY at_us"),
              ElementsAre("1.0", "2026.1"));
}

TEST_F(ApplyBatchTest, TextsAreCut) {
  Record record = Change(1, DEPLOYMENT_STATUS_ERROR);
  agent::v1::DeploymentState* state = record.mutable_transition()->mutable_deployment();
  state->set_message(std::string(100'000, 'm'));
  state->set_revision(std::string(100'000, 'r'));
  Apply(Batch(1, {record}));
  EXPECT_EQ(database_.Number("SELECT length(CAST(message AS BLOB)) FROM deployment_changes"), 512);
  EXPECT_EQ(database_.Number("SELECT length(CAST(revision AS BLOB)) FROM deployment_changes"), 255);
}

// ---- presence

TEST_F(ApplyBatchTest, PresenceGrowsTogether) {
  const struct {
    const char* name;
    std::vector<Record> records;
    std::vector<std::string> rows;
  } cases[] = {
      {"adjacent", {Presence(0, 60), Presence(60, 120), Presence(120, 180)}, {"0|180|1"}},
      {"nearly", {Presence(0, 60), Presence(61, 120)}, {"0|120|1"}},
      {"overlapping", {Presence(0, 60), Presence(59, 120)}, {"0|120|1"}},
      {"apart", {Presence(0, 60), Presence(63, 120)}, {"0|60|1", "63|120|1"}},
      {"the runtime went", {Presence(0, 60), Presence(60, 120, false)}, {"0|60|1", "60|120|0"}},
      {"nothing", {Presence(60, 60)}, {}},
      {"late", {Presence(500, 560)}, {"500|560|1"}},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    std::int64_t sequence = 1;
    for (const Record& record : c.records) {
      EXPECT_EQ(Apply(Batch(sequence++, {record})).applied, 1) << c.name;
    }
    EXPECT_EQ(PresenceRows(), c.rows) << c.name;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(ApplyBatchTest, PresenceOfAnOlderEpochComesBeside) {
  Apply(Batch(1, {Presence(500, 560)}, "new"));
  Apply(Batch(1, {Presence(100, 160), Presence(160, 220)}, "old"));
  EXPECT_THAT(PresenceRows(), ElementsAre("100|220|1", "500|560|1"));
  Apply(Batch(1, {Presence(500, 580, false)}, "copy"));
  EXPECT_THAT(PresenceRows(), ElementsAre("100|220|1", "500|580|0")) << "two machines with one identity";
}

TEST_F(ApplyBatchTest, PresenceLastsAsLongAsTheAgentMeasured) {
  origin_.skew = absl::Hours(2);
  Record record = Presence(7200 + 100, 7200 + 160);
  *record.mutable_age() = ToProto(absl::Seconds(500));
  Apply(Batch(1, {record}));
  EXPECT_THAT(PresenceRows(), ElementsAre("440|500|1"));
}

}  // namespace
}  // namespace muster::hub
