// What a target has written into history, and what it counts of its agent's journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/time_format.h"
#include "hub/fleet/testing/target_fixture.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;
using types::DEPLOYMENT_STATUS_ERROR;
using types::DEPLOYMENT_STATUS_HEALTHY;
using types::DEPLOYMENT_STATUS_RUNNING;
using types::TARGET_STATE_CONNECTED;
using types::TARGET_STATE_STALE;

TEST_F(TargetTest, OneSilenceStandsForAllDeployments) {
  Connect(1);
  const auto shop = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY);
  const auto wiki = TestDeployment("compose/wiki", DEPLOYMENT_STATUS_RUNNING);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {shop, wiki})));
  ASSERT_EQ(Of<DeploymentTransition>().size(), 2u);
  clock_.Advance(absl::Seconds(60));
  Tick();
  ASSERT_EQ(Of<SilenceBegan>().size(), 1u);
  EXPECT_EQ(Of<SilenceBegan>()[0].silence.from, clock_.Now());
  clock_.Advance(absl::Seconds(10));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {shop, TestDeployment("compose/wiki", DEPLOYMENT_STATUS_ERROR)})));
  ASSERT_EQ(Of<SilenceEnded>().size(), 1u);
  EXPECT_EQ(Of<SilenceEnded>()[0].at, clock_.Now());
  ASSERT_EQ(Of<DeploymentTransition>().size(), 3u) << "only what has changed";
  EXPECT_EQ(Of<DeploymentTransition>()[2].change->fact.status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(StatusOf("wiki"), DEPLOYMENT_STATUS_ERROR);
}

TEST_F(TargetTest, ChangesAreStoredWithTheAgentsNameAtTheHubsTime) {
  const auto changed = [&](absl::Time agent_time, types::DeploymentStatus status) {
    auto state = TestDeployment("compose/shop", status);
    *state.mutable_change_time() = ToProto(agent_time);
    return state;
  };
  const absl::Time start = clock_.Now();
  const auto last = [&] { return *Of<DeploymentTransition>().back().change; };
  Connect(1);
  auto beat = SnapshotBeat(1, 1, {changed(start - absl::Minutes(50), DEPLOYMENT_STATUS_HEALTHY)});
  *beat.mutable_clock_skew() = ToProto(-absl::Hours(1));
  clock_.Advance(absl::Minutes(20));
  ASSERT_FALSE(Beat(beat));
  EXPECT_EQ(last().name->time, start - absl::Minutes(50));
  EXPECT_EQ(last().at, start + absl::Minutes(10)) << "corrected, before this session";
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.from, start + absl::Minutes(10));

  const absl::Time first_beat = clock_.Now();
  clock_.Advance(absl::Seconds(5));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {changed(start - absl::Minutes(50), DEPLOYMENT_STATUS_HEALTHY)})));
  EXPECT_EQ(Of<DeploymentTransition>().size(), 1u) << "the same change";
  ASSERT_FALSE(Beat(SnapshotBeat(3, 3, {changed(start - absl::Minutes(49), DEPLOYMENT_STATUS_ERROR)})));
  EXPECT_EQ(last().at, first_beat + absl::Seconds(5)) << "the heartbeat before did not show it";
  clock_.Advance(absl::Seconds(5));
  ASSERT_FALSE(Beat(SnapshotBeat(4, 4, {changed(start + absl::Hours(9), DEPLOYMENT_STATUS_RUNNING)})));
  EXPECT_EQ(last().at, clock_.Now()) << "never after now";
  clock_.Advance(absl::Seconds(5));
  ASSERT_FALSE(Beat(SnapshotBeat(5, 5, {changed(start + absl::Hours(10), DEPLOYMENT_STATUS_RUNNING)})));
  EXPECT_EQ(last().name->time, start + absl::Hours(10)) << "it went and came back between two heartbeats";
}

TEST_F(TargetTest, HubsOwnJudgementsHaveNoName) {
  Connect(1);
  auto shop = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY);
  *shop.mutable_change_time() = ToProto(clock_.Now());
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {shop}), 1));
  const std::string id = target_.Snapshot().deployments[0].id();
  clock_.Advance(absl::Seconds(5));
  target_.SetChoices(id, {.logs_enabled = true, .application = {}, .application_version = "9"}, clock_.Read(), events_);
  EXPECT_FALSE(Of<DeploymentTransition>().back().change->name);
  EXPECT_EQ(Of<DeploymentTransition>().back().change->fact.application_version, "9");
  EXPECT_EQ(Of<DeploymentTransition>().back().change->at, clock_.Now());
  Connect(2);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 2, {}), 2));
  EXPECT_FALSE(Of<DeploymentTransition>().back().change->name);
  EXPECT_EQ(Of<DeploymentTransition>().back().change->fact.status, DEPLOYMENT_STATUS_ERROR);
}

TEST_F(TargetTest, SkewOfHelloHoldsUntilTheAgentHasMeasured) {
  Connect(1);
  EXPECT_EQ(target_.ClockSkew(), absl::Seconds(7));
  auto beat = SnapshotBeat(1, 1, {});
  *beat.mutable_clock_skew() = ToProto(absl::Seconds(8));
  ASSERT_FALSE(Beat(beat));
  EXPECT_EQ(target_.ClockSkew(), absl::Seconds(8));
}

TEST_F(TargetTest, TargetThatWasNotHeardSinceTheHubListensIsUnknownUntilItIsStale) {
  StoredTarget stored = TestTarget("tgt_2", "host-2", "mst_x");
  stored.open.state = TARGET_STATE_CONNECTED;
  Target restored(std::move(stored));
  clock_.Advance(absl::Seconds(60));
  restored.Tick(clock_.Read(), listening_, events_);
  ASSERT_EQ(Of<TargetTransition>().size(), 1u);
  EXPECT_EQ(Of<TargetTransition>()[0].state, TARGET_STATE_STALE);
  EXPECT_EQ(Of<TargetTransition>()[0].unknown_from, listening_.deaf_from);
}

TEST_F(TargetTest, TargetThatWasHeardIsNotUnknown) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {})));
  clock_.Advance(absl::Seconds(60));
  Tick();
  EXPECT_FALSE(Of<TargetTransition>().back().unknown_from);
}

TEST_F(TargetTest, PauseOfTheHubIsUnknownForWhoFellSilentInIt) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {})));
  clock_.Advance(absl::Seconds(5));
  const absl::Time paused = clock_.Now();
  clock_.Advance(absl::Seconds(100));
  listening_ = {.since = clock_.Monotonic(), .deaf_from = paused};
  clock_.Advance(absl::Seconds(60));
  Tick();
  EXPECT_EQ(Of<TargetTransition>().back().unknown_from, paused);
}

TEST_F(TargetTest, JournalIsShownOnceTheAgentTellsOfIt) {
  Connect(1);
  EXPECT_FALSE(target_.Describe().has_journal());
  auto beat = SnapshotBeat(1, 1, {});
  beat.mutable_journal()->set_records(7);
  beat.mutable_journal()->set_bytes(-1);
  beat.mutable_journal()->set_fault(std::string(1000, 'x'));
  beat.mutable_journal()->mutable_oldest_age()->set_seconds(9);
  ASSERT_FALSE(Beat(beat));
  BatchOutcome outcome;
  outcome.gaps = 1;
  outcome.duplicates = 3;
  outcome.newest = clock_.Now();
  target_.NoteBatch(outcome);
  target_.NoteBatch(outcome);
  const fleet::v1::Journal journal = target_.Describe().journal();
  EXPECT_EQ(journal.records(), 7);
  EXPECT_EQ(journal.bytes(), 0);
  EXPECT_LE(journal.fault().size(), 512u);
  EXPECT_EQ(journal.oldest_age().seconds(), 9);
  EXPECT_EQ(journal.gap_records(), 2);
  EXPECT_EQ(journal.duplicate_records(), 6);
  EXPECT_TRUE(journal.has_newest_applied_time());
}

}  // namespace
}  // namespace muster::hub
