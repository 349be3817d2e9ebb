#include "hub/fleet/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "hub/fleet/testing/target_fixture.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;
using types::DEPLOYMENT_STATUS_ERROR;
using types::DEPLOYMENT_STATUS_HEALTHY;
using types::DEPLOYMENT_STATUS_RUNNING;
using types::DEPLOYMENT_STATUS_STALE;
using types::TARGET_STATE_CONNECTED;
using types::TARGET_STATE_NOT_CONNECTED;
using types::TARGET_STATE_STALE;

TEST_F(TargetTest, SecretDecidesWhoMayConnect) {
  EXPECT_FALSE(target_.CheckIdentity(TestHello("tgt_1", "mst_one")));
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_two"))->reason, agent::v1::FAREWELL_REASON_BAD_SECRET);
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", ""))->reason, agent::v1::FAREWELL_REASON_BAD_SECRET);
  target_.Rotate(HashSecret("mst_two"), 2, clock_.Read(), events_);
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_one"))->reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_FALSE(target_.CheckIdentity(TestHello("tgt_1", "mst_two")));
  target_.Delete(clock_.Read(), events_);
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_two"))->reason, agent::v1::FAREWELL_REASON_TARGET_DELETED);
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_xxx"))->reason, agent::v1::FAREWELL_REASON_BAD_SECRET);
}

TEST_F(TargetTest, RotationsThatArriveInTheOtherOrderKeepTheLaterSecret) {
  target_.Rotate(HashSecret("mst_three"), 3, clock_.Read(), events_);
  target_.Rotate(HashSecret("mst_two"), 2, clock_.Read(), events_);
  EXPECT_FALSE(target_.CheckIdentity(TestHello("tgt_1", "mst_three")));
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_two"))->reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_EQ(target_.CheckIdentity(TestHello("tgt_1", "mst_one"))->reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
}

TEST_F(TargetTest, BecomesStaleAtSixtySecondsAndNotBefore) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  clock_.Advance(absl::Seconds(60) - absl::Milliseconds(1));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY);
  clock_.Advance(absl::Milliseconds(1));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_STALE);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_STALE);
  EXPECT_EQ(target_.Snapshot().deployments[0].last_known_status(), DEPLOYMENT_STATUS_HEALTHY);
  const std::size_t before = events_.size();
  Tick();
  EXPECT_EQ(events_.size(), before) << "one row per change";
}

TEST_F(TargetTest, ClosedStreamIsNotYetStale) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {})));
  target_.CloseSession(1, "the connection was lost", {}, clock_.Read());
  clock_.Advance(absl::Seconds(59));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  EXPECT_FALSE(target_.Describe().has_session());
  EXPECT_EQ(target_.Describe().session_end().reason(), "the connection was lost");
  clock_.Advance(absl::Seconds(1));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_STALE);
  EXPECT_THAT(target_.Describe().state_reason(), testing::HasSubstr("the connection was lost"));
}

TEST_F(TargetTest, NobodyIsStaleBeforeTheHubListenedForSixtySeconds) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  clock_.Advance(absl::Seconds(300));
  listening_.since = clock_.Monotonic();  // the hub stood still
  clock_.Advance(absl::Seconds(59));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY);
  clock_.Advance(absl::Seconds(1));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_STALE);
}

TEST_F(TargetTest, WallClockStepsDoNotMakeStale) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {})));
  clock_.StepWall(absl::Hours(24 * 365));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  clock_.StepWall(-absl::Hours(48 * 365));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
}

TEST_F(TargetTest, DigestConfirmsAndEndsStaleness) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  clock_.Advance(absl::Seconds(61));
  Tick();
  ASSERT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_STALE);
  ASSERT_FALSE(Beat(DigestBeat(2, 7)));
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY);
}

TEST_F(TargetTest, HealthyHeartbeatsWriteNothing) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  events_.clear();
  for (int i = 2; i < 100; ++i) {
    clock_.Advance(absl::Seconds(5));
    ASSERT_FALSE(Beat(DigestBeat(i, 7)));
    Tick();
  }
  EXPECT_TRUE(events_.empty());
}

TEST_F(TargetTest, ContractBreachesAreRefusedAndChangeNothing) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 7, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  std::vector<agent::v1::DeploymentState> many;
  for (std::size_t i = 0; i <= kMaxDeploymentsPerTarget; ++i) {
    many.push_back(TestDeployment("compose/" + std::to_string(i), DEPLOYMENT_STATUS_HEALTHY));
  }
  const struct {
    const char* name;
    agent::v1::Heartbeat heartbeat;
  } cases[] = {
      {"unknown digest", DigestBeat(2, 8)},
      {"nothing about deployments", agent::v1::Heartbeat()},
      {"too many", SnapshotBeat(2, 9, many)},
      {"no key", SnapshotBeat(2, 9, {TestDeployment("", DEPLOYMENT_STATUS_HEALTHY)})},
      {"the same key twice", SnapshotBeat(2, 9,
                                          {TestDeployment("compose/a", DEPLOYMENT_STATUS_HEALTHY),
                                           TestDeployment("compose/a", DEPLOYMENT_STATUS_ERROR)})},
      {"stale is the hub's word", SnapshotBeat(2, 9, {TestDeployment("compose/a", DEPLOYMENT_STATUS_STALE)})},
      {"unknown status", SnapshotBeat(2, 9, {TestDeployment("compose/a", static_cast<types::DeploymentStatus>(99))})},
  };
  const auto before = events_.size();
  for (const auto& c : cases) {
    const auto refusal = Beat(c.heartbeat);
    ASSERT_TRUE(refusal) << c.name;
    EXPECT_EQ(refusal->reason, agent::v1::FAREWELL_REASON_PROTOCOL_ERROR) << c.name;
  }
  EXPECT_EQ(events_.size(), before);
  EXPECT_FALSE(Beat(DigestBeat(2, 7)));
}

TEST_F(TargetTest, StatusVersionAndRevisionChangesOpenIntervalsWordingDoesNot) {
  Connect(1);
  auto shop = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY, "1.0");
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {shop})));
  const absl::Time first_from = Of<DeploymentTransition>().back().deployment.open.from;
  ASSERT_TRUE(Of<DeploymentTransition>().back().change);
  clock_.Advance(absl::Seconds(5));
  shop.set_message("still fine");
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {shop})));
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.from, first_from);
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.message, "still fine");
  EXPECT_FALSE(Of<DeploymentTransition>().back().change) << "no news for history";
  clock_.Advance(absl::Seconds(5));
  ASSERT_FALSE(Beat(SnapshotBeat(3, 3, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY, "1.1")})));
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.from, clock_.Now());
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.application_version, "1.1");
  EXPECT_EQ(Of<DeploymentTransition>().back().change->at, clock_.Now());
  EXPECT_FALSE(Of<DeploymentTransition>().back().change->name) << "an agent that names no change";
}

TEST_F(TargetTest, GoneDeploymentStaysUntilAnOperatorRemovesItAndReturnsWithItsId) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  const std::string id = target_.Snapshot().deployments[0].id();
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {Gone("compose/shop")})));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(target_.Snapshot().deployments[0].message(), "all containers are gone");
  ASSERT_TRUE(target_.MayForget(id));
  target_.Forget(id, clock_.Read(), events_);
  EXPECT_TRUE(target_.Snapshot().deployments.empty());
  ASSERT_FALSE(Beat(SnapshotBeat(3, 3, {Gone("compose/shop")})));
  EXPECT_TRUE(target_.Snapshot().deployments.empty()) << "removed by an operator, it does not return as gone";
  ASSERT_FALSE(Beat(SnapshotBeat(4, 4, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_RUNNING)})));
  EXPECT_EQ(target_.Snapshot().deployments[0].id(), id);
}

TEST_F(TargetTest, DeploymentUnlistedWithinASessionEndedInGoodOrder) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("container/job", DEPLOYMENT_STATUS_RUNNING)})));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {})));
  EXPECT_TRUE(target_.Snapshot().deployments.empty());
  EXPECT_EQ(Of<DeploymentArchived>().size(), 1u);
}

TEST_F(TargetTest, DeploymentUnlistedByANewSessionIsGone) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)}), 1));
  Connect(2);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 2, {}), 2));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(target_.Snapshot().deployments[0].message(), "all containers are gone");
  ASSERT_FALSE(Beat(SnapshotBeat(2, 3, {}), 2));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_ERROR);
}

TEST_F(TargetTest, OmittedDeploymentsAreNotGone) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  auto cut = SnapshotBeat(2, 2, {});
  cut.mutable_snapshot()->set_omitted(1);
  ASSERT_FALSE(Beat(cut));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(target_.Describe().omitted_deployments(), 1);
}

TEST_F(TargetTest, GoneDeploymentIsArchivedAfterSevenDays) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {Gone("compose/shop")})));
  clock_.Advance(kArchiveGoneAfter - absl::Seconds(1));
  Tick();
  EXPECT_EQ(target_.Snapshot().deployments.size(), 1u);
  clock_.Advance(kHouseInterval);
  Tick();
  EXPECT_TRUE(target_.Snapshot().deployments.empty());
  EXPECT_EQ(Of<DeploymentArchived>().size(), 1u);
}

TEST_F(TargetTest, GoneDeploymentsAreBounded) {
  for (int wave = 0; wave < 4; ++wave) {
    Connect(wave + 1);
    std::vector<agent::v1::DeploymentState> batch;
    for (int i = 0; i < 500; ++i) {
      batch.push_back(
          TestDeployment("container/" + std::to_string(wave) + "-" + std::to_string(i), DEPLOYMENT_STATUS_RUNNING));
    }
    ASSERT_FALSE(Beat(SnapshotBeat(1, 1, batch), wave + 1));
    clock_.Advance(kHouseInterval);
    Tick();
  }
  EXPECT_LE(target_.Snapshot().deployments.size(), kMaxKnownDeployments);
  EXPECT_EQ(StatusOf("3-0"), DEPLOYMENT_STATUS_RUNNING) << "what runs is never archived";
}

TEST_F(TargetTest, ObserverFaultLetsDeploymentsAgeButNotTheTarget) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  for (int i = 2; i <= 14; ++i) {
    clock_.Advance(absl::Seconds(5));
    ASSERT_FALSE(Beat(FaultBeat(i, "docker socket: permission denied")));
    Tick();
  }
  EXPECT_EQ(target_.state(), TARGET_STATE_CONNECTED);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_STALE);
  EXPECT_THAT(Of<SilenceBegan>().back().silence.reason, testing::HasSubstr("permission denied"));
  EXPECT_EQ(target_.Describe().observer_fault(), "docker socket: permission denied");
  EXPECT_TRUE(Beat(DigestBeat(15, 1))) << "after a fault comes a snapshot";
  ASSERT_FALSE(Beat(SnapshotBeat(15, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_TRUE(target_.Describe().observer_fault().empty());
}

TEST_F(TargetTest, NewestSessionWinsAndTheOldOneIsRefused) {
  auto first = Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {}), 1));
  Connect(2);
  EXPECT_EQ(Beat(DigestBeat(2, 1), 1)->reason, agent::v1::FAREWELL_REASON_SUPERSEDED);
  target_.CloseSession(1, "late end of the old one", {}, clock_.Read());
  EXPECT_TRUE(target_.has_session());
  EXPECT_TRUE(Beat(DigestBeat(1, 1), 2)) << "a session's digest means nothing in the next";
  EXPECT_FALSE(Beat(SnapshotBeat(1, 1, {}), 2));
}

TEST_F(TargetTest, OutdatedSessionCounterIsReportedOnceTheNewerOneWasInUse) {
  Connect(1);
  EXPECT_TRUE(target_.Describe().identity_warning().empty());
  Connect(2, 0);
  EXPECT_TRUE(target_.Describe().identity_warning().empty()) << "the first Welcome may have been lost";
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {}), 2));  // the agent holds counter 2 now
  Connect(3, 2);
  EXPECT_TRUE(target_.Describe().identity_warning().empty());
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {}), 3));
  Connect(4, 2);
  EXPECT_THAT(target_.Describe().identity_warning(), testing::HasSubstr("counter 2 after 3"));
  target_.Rotate(HashSecret("mst_two"), 2, clock_.Read(), events_);
  EXPECT_TRUE(target_.Describe().identity_warning().empty()) << "a new secret is a new identity";
}

TEST_F(TargetTest, RotationEndsTheSessionAndKeepsDeployments) {
  auto handle = Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  EXPECT_EQ(target_.Rotate(HashSecret("mst_two"), 2, clock_.Read(), events_), handle);
  EXPECT_EQ(target_.state(), TARGET_STATE_NOT_CONNECTED);
  EXPECT_TRUE(Beat(DigestBeat(2, 1)));
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_HEALTHY) << "last known for 60 s";
  clock_.Advance(absl::Seconds(60));
  Tick();
  EXPECT_EQ(target_.state(), TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(StatusOf("shop"), DEPLOYMENT_STATUS_STALE);
}

TEST_F(TargetTest, OperatorsChoiceOfVersionOverridesTheLabelsAndMakesAnInterval) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  const std::string id = target_.Snapshot().deployments[0].id();
  target_.SetChoices(id, {.logs_enabled = false, .application = "Store", .application_version = "2026.1"},
                     clock_.Read(), events_);
  EXPECT_EQ(target_.FindDeployment(id)->application(), "Store");
  EXPECT_EQ(Of<DeploymentTransition>().back().deployment.open.application_version, "2026.1");
  EXPECT_THAT(target_.SettingsForAgent().logs_disabled_keys(), testing::ElementsAre("compose/shop"));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_ERROR, "1.1")})));
  EXPECT_EQ(target_.FindDeployment(id)->application_version(), "2026.1");
}

TEST_F(TargetTest, DeploymentThatWasArchivedWithItsLogsOffStaysOffAndReturnsOff) {
  Connect(1);
  const auto shop = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {shop, TestDeployment("compose/wiki", DEPLOYMENT_STATUS_HEALTHY)})));
  const std::string id = target_.Snapshot().deployments[0].id();
  target_.SetChoices(id, {.logs_enabled = false, .application = {}, .application_version = {}}, clock_.Read(), events_);
  const auto off = [&] {
    const agent::v1::Settings settings = target_.SettingsForAgent();
    return std::vector<std::string>(settings.logs_disabled_keys().begin(), settings.logs_disabled_keys().end());
  };
  // Ended in good order, with nothing to hold on to; gone for a week; removed by an operator.
  const auto ends = [&] { ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {}))); };
  const auto expires = [&] {
    ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {Gone("compose/shop")})));
    clock_.Advance(kArchiveGoneAfter);
    Tick();
  };
  const auto removed = [&] {
    ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {Gone("compose/shop")})));
    target_.Forget(id, clock_.Read(), events_);
  };
  for (const std::function<void()>& archive : {std::function<void()>(ends), {expires}, {removed}}) {
    archive();
    ASSERT_FALSE(target_.FindDeployment(id));
    EXPECT_THAT(off(), testing::ElementsAre("compose/shop"));
    ASSERT_FALSE(Beat(SnapshotBeat(3, 3, {shop})));
    EXPECT_THAT(off(), testing::ElementsAre("compose/shop")) << "once";
    EXPECT_FALSE(target_.FindDeployment(id)->logs_enabled());
    EXPECT_FALSE(Of<DeploymentTransition>().back().deployment.choices.logs_enabled);
  }
  target_.SetChoices(id, {.logs_enabled = true, .application = {}, .application_version = {}}, clock_.Read(), events_);
  ends();
  EXPECT_THAT(off(), testing::IsEmpty());
}

TEST_F(TargetTest, ArchivedKeysThatAreOffSurviveARestartAndHaveABound) {
  StoredTarget stored = TestTarget("tgt_2", "host-2", "mst_x");
  for (std::size_t i = 0; i < kMaxArchivedLogsOff; ++i) stored.archived_logs_off.push_back("old/" + std::to_string(i));
  stored.deployments.push_back({.id = "dep_1",
                                .created = clock_.Now(),
                                .revision_since = clock_.Now(),
                                .gone_since = {},
                                .choices = {.logs_enabled = false, .application = {}, .application_version = {}},
                                .report = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY),
                                .open = {}});
  Target target(std::move(stored));
  EXPECT_EQ(target.SettingsForAgent().logs_disabled_keys_size(), static_cast<int>(kMaxArchivedLogsOff) + 1);
  target.Forget("dep_1", clock_.Read(), events_);
  const agent::v1::Settings settings = target.SettingsForAgent();
  ASSERT_EQ(settings.logs_disabled_keys_size(), static_cast<int>(kMaxArchivedLogsOff));
  EXPECT_EQ(settings.logs_disabled_keys(0), "compose/shop") << "the oldest goes";
}

TEST_F(TargetTest, OnlyGoneOrUnreportedDeploymentsMayBeForgotten) {
  Connect(1);
  ASSERT_FALSE(Beat(SnapshotBeat(1, 1, {TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY)})));
  const std::string id = target_.Snapshot().deployments[0].id();
  EXPECT_FALSE(target_.MayForget(id));
  EXPECT_FALSE(target_.MayForget("dep_none"));
  ASSERT_FALSE(Beat(SnapshotBeat(2, 2, {Gone("compose/shop")})));
  EXPECT_TRUE(target_.MayForget(id));
}

TEST_F(TargetTest, RestoredTargetIsAsBeforeAndAgesFromTheHubsStart) {
  StoredTarget stored = TestTarget("tgt_2", "host-2", "mst_x");
  stored.open.state = TARGET_STATE_CONNECTED;
  stored.deployments.push_back({.id = "dep_1",
                                .created = clock_.Now(),
                                .revision_since = clock_.Now(),
                                .gone_since = {},
                                .choices = {},
                                .report = TestDeployment("compose/shop", DEPLOYMENT_STATUS_HEALTHY),
                                .open = {.status = DEPLOYMENT_STATUS_HEALTHY,
                                         .from = clock_.Now() - absl::Hours(1),
                                         .to = {},
                                         .message = "",
                                         .application_version = "1.0",
                                         .revision = "rev-1.0"}});
  Target target(std::move(stored));
  clock_.Advance(absl::Seconds(59));
  target.Tick(clock_.Read(), listening_, events_);
  EXPECT_EQ(target.state(), TARGET_STATE_CONNECTED);
  EXPECT_EQ(target.Snapshot().deployments[0].status(), DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_FALSE(target.Snapshot().deployments[0].has_reported_time());
  clock_.Advance(absl::Seconds(1));
  target.Tick(clock_.Read(), listening_, events_);
  EXPECT_EQ(target.state(), TARGET_STATE_STALE);
  EXPECT_EQ(target.Snapshot().deployments[0].status(), DEPLOYMENT_STATUS_STALE);
}

}  // namespace
}  // namespace muster::hub
