#include "hub/fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;

class FleetTest : public testing::Test {
 protected:
  FleetTest()
      : fleet_("vendor", {TestTarget("tgt_1", "host-1", "mst_one"), TestTarget("tgt_2", "host-2", "mst_two")},
               &history_, clock_.Read()) {}

  Fleet::SessionKey Connect(const std::string& id, const std::string& secret,
                            std::shared_ptr<FakeHandle> handle = std::make_shared<FakeHandle>()) {
    auto admitted = fleet_.Admit(TestHello(id, secret), clock_.Now());
    auto opened =
        fleet_.OpenSession(std::get<Fleet::Admission>(admitted), "ses", "10.0.0.7:1", std::move(handle), clock_.Read());
    return std::get<Fleet::SessionKey>(opened);
  }

  FakeClock clock_;
  FakeHistory history_;
  Fleet fleet_;
};

TEST_F(FleetTest, AdmissionNamesTheReason) {
  const auto reason = [&](const agent::v1::Hello& hello) {
    auto admitted = fleet_.Admit(hello, clock_.Now());
    const Refusal* refusal = std::get_if<Refusal>(&admitted);
    return refusal == nullptr ? agent::v1::FAREWELL_REASON_UNSPECIFIED : refusal->reason;
  };
  EXPECT_EQ(reason(TestHello("tgt_1", "mst_one")), agent::v1::FAREWELL_REASON_UNSPECIFIED);
  EXPECT_EQ(reason(TestHello("tgt_9", "mst_one")), agent::v1::FAREWELL_REASON_UNKNOWN_TARGET);
  EXPECT_EQ(reason(TestHello("tgt_1", "mst_two")), agent::v1::FAREWELL_REASON_BAD_SECRET);
  agent::v1::Hello old = TestHello("tgt_1", "mst_one");
  old.set_protocol_version(0);
  EXPECT_EQ(reason(old), agent::v1::FAREWELL_REASON_TOO_OLD);
  fleet_.Delete("tgt_1", clock_.Read());
  EXPECT_EQ(reason(TestHello("tgt_1", "mst_one")), agent::v1::FAREWELL_REASON_TARGET_DELETED);
}

TEST_F(FleetTest, RotationBetweenAdmissionAndOpeningRefuses) {
  auto admitted = fleet_.Admit(TestHello("tgt_1", "mst_one"), clock_.Now());
  fleet_.Rotate("tgt_1", HashSecret("mst_new"), 2, clock_.Read());
  auto opened = fleet_.OpenSession(std::get<Fleet::Admission>(admitted), "ses", "peer", std::make_shared<FakeHandle>(),
                                   clock_.Read());
  ASSERT_TRUE(std::holds_alternative<Refusal>(opened));
  EXPECT_EQ(std::get<Refusal>(opened).reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
}

TEST_F(FleetTest, SecondSessionEndsTheFirst) {
  auto first = std::make_shared<FakeHandle>();
  Connect("tgt_1", "mst_one", first);
  Connect("tgt_1", "mst_one");
  ASSERT_EQ(first->ended.size(), 1u);
  EXPECT_EQ(first->ended[0].reason, agent::v1::FAREWELL_REASON_SUPERSEDED);
}

TEST_F(FleetTest, RotationAndDeletionTellTheLiveSession) {
  auto one = std::make_shared<FakeHandle>();
  auto two = std::make_shared<FakeHandle>();
  Connect("tgt_1", "mst_one", one);
  Connect("tgt_2", "mst_two", two);
  fleet_.Rotate("tgt_1", HashSecret("mst_new"), 2, clock_.Read());
  fleet_.Delete("tgt_2", clock_.Read());
  EXPECT_EQ(one->ended.at(0).reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_EQ(two->ended.at(0).reason, agent::v1::FAREWELL_REASON_TARGET_DELETED);
  EXPECT_EQ(fleet_.Snapshot(clock_.Now()).targets.size(), 1u);
}

TEST_F(FleetTest, PausedHubCallsNobodyStale) {
  const auto key = Connect("tgt_1", "mst_one");
  ASSERT_FALSE(fleet_.Heartbeat(key, SnapshotBeat(1, 1, {}), clock_.Read()));
  fleet_.Tick(clock_.Read());
  clock_.Advance(absl::Seconds(70));  // no tick: SIGSTOP, a frozen virtual machine
  fleet_.Tick(clock_.Read());
  EXPECT_EQ(fleet_.FindTarget("host-1", "")->target.state(), types::TARGET_STATE_CONNECTED);
  EXPECT_TRUE(fleet_.GraceUntil(clock_.Read()).has_value());
  for (int i = 0; i < 59; ++i) {
    clock_.Advance(absl::Seconds(1));
    fleet_.Tick(clock_.Read());
  }
  EXPECT_EQ(fleet_.FindTarget("host-1", "")->target.state(), types::TARGET_STATE_CONNECTED);
  clock_.Advance(absl::Seconds(1));
  fleet_.Tick(clock_.Read());
  EXPECT_EQ(fleet_.FindTarget("host-1", "")->target.state(), types::TARGET_STATE_STALE);
  EXPECT_FALSE(fleet_.GraceUntil(clock_.Read()).has_value());
}

TEST_F(FleetTest, FindsByIdAndNameWithinTheCustomer) {
  StoredTarget acme = TestTarget("tgt_3", "acme-1", "mst_three");
  acme.customer = "acme";
  fleet_.Add(std::move(acme));
  EXPECT_EQ(fleet_.FindTarget("tgt_3", "")->target.name(), "acme-1");
  EXPECT_EQ(fleet_.FindTarget("acme-1", "acme")->target.id(), "tgt_3");
  EXPECT_EQ(ReasonOf(fleet_.FindTarget("host-1", "acme").status()), "TARGET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(fleet_.FindTarget("nobody", "").status()), "TARGET_NOT_FOUND");
}

TEST_F(FleetTest, DeploymentReferencesByIdByPathAndByUniqueName) {
  const auto one = Connect("tgt_1", "mst_one");
  const auto two = Connect("tgt_2", "mst_two");
  const auto shop = TestDeployment("compose/shop", types::DEPLOYMENT_STATUS_HEALTHY);
  const auto wiki = TestDeployment("compose/wiki", types::DEPLOYMENT_STATUS_RUNNING);
  ASSERT_FALSE(fleet_.Heartbeat(one, SnapshotBeat(1, 1, {shop, wiki}), clock_.Read()));
  ASSERT_FALSE(fleet_.Heartbeat(two, SnapshotBeat(1, 1, {shop}), clock_.Read()));
  EXPECT_EQ(fleet_.FindDeployment("wiki", "")->target_name(), "host-1");
  EXPECT_EQ(ReasonOf(fleet_.FindDeployment("shop", "").status()), "DEPLOYMENT_AMBIGUOUS");
  const auto found = fleet_.FindDeployment("host-2/shop", "");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->target_id(), "tgt_2");
  EXPECT_EQ(fleet_.FindDeployment(found->id(), "")->target_id(), "tgt_2");
  EXPECT_EQ(ReasonOf(fleet_.FindDeployment("blog", "").status()), "DEPLOYMENT_NOT_FOUND");
}

TEST_F(FleetTest, VersionGrowsWithChangesAndNotWithMereHeartbeats) {
  const auto key = Connect("tgt_1", "mst_one");
  const auto shop = TestDeployment("compose/shop", types::DEPLOYMENT_STATUS_HEALTHY);
  ASSERT_FALSE(fleet_.Heartbeat(key, SnapshotBeat(1, 1, {shop}), clock_.Read()));
  const std::int64_t before = fleet_.version();
  for (int i = 2; i < 10; ++i) ASSERT_FALSE(fleet_.Heartbeat(key, DigestBeat(i, 1), clock_.Read()));
  EXPECT_EQ(fleet_.version(), before);
  ASSERT_FALSE(fleet_.Heartbeat(key, SnapshotBeat(10, 2, {}), clock_.Read()));
  EXPECT_GT(fleet_.version(), before);
}

TEST_F(FleetTest, SettingsReachTheLiveSession) {
  auto handle = std::make_shared<FakeHandle>();
  Connect("tgt_1", "mst_one", handle);
  fleet_.Update("tgt_1", "renamed", false);
  ASSERT_EQ(handle->settings.size(), 1u);
  EXPECT_FALSE(handle->settings[0].metrics_enabled());
  EXPECT_EQ(fleet_.FindTarget("tgt_1", "")->target.name(), "renamed");
}

}  // namespace
}  // namespace muster::hub
