// What /metrics is handed of the fleet: that each change is in the next rows, and nothing of before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/time_format.h"
#include "hub/fleet/fleet.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FleetExposureTest : public testing::Test {
 protected:
  // Not in order of id.
  static std::vector<StoredTarget> Stored() {
    return {TestTarget("tgt_2", "host-2", "mst_two"), TestTarget("tgt_1", "host-1", "mst_one")};
  }
  FleetExposureTest() : fleet_("vendor", Stored(), &history_, clock_.Read()) {}

  Fleet::SessionKey Connect(const std::string& id, const std::string& secret) {
    auto admitted = fleet_.Admit(TestHello(id, secret), clock_.Now());
    auto opened = fleet_.OpenSession(std::get<Fleet::Admission>(admitted), "ses", "10.0.0.7:1",
                                     std::make_shared<FakeHandle>(), clock_.Read());
    return std::get<Fleet::SessionKey>(opened);
  }
  ExposedFleet Expose() { return fleet_.Expose(clock_.Now()); }
  void Beat(const Fleet::SessionKey& key, const agent::v1::Heartbeat& heartbeat) {
    ASSERT_FALSE(fleet_.Heartbeat(key, heartbeat, clock_.Read()).has_value());
  }
  double Now() { return absl::ToDoubleSeconds(clock_.Now() - absl::UnixEpoch()); }

  static agent::v1::Heartbeat BeatWithHost(const std::string& container) {
    agent::v1::Heartbeat heartbeat =
        SnapshotBeat(1, 1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY)});
    agent::v1::HostReport& host = *heartbeat.mutable_host();
    host.mutable_sample()->set_memory_total_bytes(100);
    auto* disk = host.mutable_sample()->add_disks();
    disk->set_device("/dev/sda1");
    disk->set_mount_path("/");
    disk->set_filesystem_type("ext4");
    disk->set_total_bytes(7);
    for (const char* device : {"lo", "eth0", "veth12"})
      host.mutable_totals()->add_network_devices()->set_device(device);
    host.mutable_totals()->mutable_network_devices(1)->set_receive_bytes(11);
    for (const char* device : {"sda", "loop0", "dm-1"}) host.mutable_totals()->add_block_devices()->set_device(device);
    for (const std::string& key : {std::string("compose/shop"), std::string("compose/other")}) {
      auto* use = host.add_containers();
      use->set_deployment_key(key);
      use->set_container(container);
      use->set_memory_bytes(3);
    }
    return heartbeat;
  }

  FakeClock clock_;
  FakeHistory history_;
  Fleet fleet_;
};

TEST_F(FleetExposureTest, RowsAreInOrderOfIdAndHaveTheirLabels) {
  const ExposedFleet rows = Expose();
  ASSERT_EQ(rows.targets.size(), 2u);
  EXPECT_EQ(rows.targets[0].labels,
            R"(organization="vendor",customerorganization="",deploymenttarget="host-1",deploymenttargetid="tgt_1")");
  EXPECT_EQ(rows.targets[0].facts->id, "tgt_1");
  EXPECT_EQ(rows.targets[0].facts->place, R"(organization="vendor",customerorganization="",deploymenttarget="host-1")");
  EXPECT_EQ(rows.targets[1].facts->id, "tgt_2");
  EXPECT_EQ(rows.targets[0].state, types::v1::TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(rows.targets[0].last_seen, 0);
  EXPECT_TRUE(std::isnan(rows.targets[0].round_trip));
  EXPECT_TRUE(rows.targets[0].facts->agent.empty());
}

TEST_F(FleetExposureTest, HeartbeatsAreInTheNextRows) {
  const auto key = Connect("tgt_1", "mst_one");
  auto shop = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY);
  for (const char* state : {"running", "running", "dancing"}) {
    shop.add_resources()->set_state(state);
    shop.mutable_resources(shop.resources_size() - 1)->set_restart_count(2);
  }
  agent::v1::Heartbeat heartbeat = SnapshotBeat(1, 1, {shop});
  heartbeat.mutable_round_trip()->set_nanos(12'000'000);
  heartbeat.mutable_journal()->set_records(4);
  heartbeat.mutable_journal()->set_fault("disk full");
  Beat(key, heartbeat);
  const double first = Now();
  ExposedFleet rows = Expose();
  EXPECT_EQ(rows.targets[0].state, types::v1::TARGET_STATE_CONNECTED);
  EXPECT_TRUE(rows.targets[0].has_session);
  EXPECT_EQ(rows.targets[0].last_seen, first);
  EXPECT_EQ(rows.targets[0].round_trip, 0.012);
  EXPECT_EQ(rows.targets[0].journal.records, 4);
  EXPECT_TRUE(rows.targets[0].has_journal_fault);
  EXPECT_EQ(rows.targets[0].facts->agent, R"(version="0.1.0")");
  ASSERT_EQ(rows.deployments.size(), 1u);
  EXPECT_EQ(rows.deployments[0].status, types::v1::DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(rows.deployments[0].reported, first);
  EXPECT_EQ(rows.deployments[0].since, first);
  EXPECT_EQ(rows.deployments[0].restarts, 6);
  EXPECT_EQ(rows.deployments[0].facts->containers[kRunningContainers], 2);
  EXPECT_EQ(rows.deployments[0].facts->containers[ContainerStateOf("other")], 1);
  EXPECT_THAT(std::string(rows.deployments[0].labels), HasSubstr(R"(application="shop",applicationversion="1.0")"));
  EXPECT_EQ(rows.deployments[0].facts->info, R"(deployment="shop",kind="compose_project",revision="rev-1.0")");

  clock_.Advance(absl::Seconds(5));
  Beat(key, DigestBeat(2, 1));
  rows = Expose();
  EXPECT_EQ(rows.targets[0].last_seen, first + 5);
  EXPECT_EQ(rows.deployments[0].reported, first + 5);
  EXPECT_EQ(rows.deployments[0].since, first);

  clock_.Advance(absl::Seconds(60));
  fleet_.CloseSession(key, "GOODBYE", {}, clock_.Read());
  fleet_.Tick(clock_.Read());  // a pause of the hub's, so that it listens from now on
  for (int i = 0; i < 61; ++i) {
    clock_.Advance(absl::Seconds(1));
    fleet_.Tick(clock_.Read());
  }
  rows = Expose();
  EXPECT_FALSE(rows.targets[0].has_session);
  EXPECT_EQ(rows.targets[0].state, types::v1::TARGET_STATE_STALE);
  EXPECT_EQ(rows.deployments[0].status, types::v1::DEPLOYMENT_STATUS_STALE);
}

TEST_F(FleetExposureTest, WhatIsGoneOrRenamedLeavesNoRow) {
  const auto key = Connect("tgt_1", "mst_one");
  Beat(key, SnapshotBeat(1, 1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY)}));
  const std::string id = [&] {
    const ExposedFleet rows = Expose();
    const std::string labels(rows.deployments[0].labels);
    const std::size_t at = labels.find("deploymentid=\"") + 14;
    return labels.substr(at, labels.find('"', at) - at);
  }();

  fleet_.Update("tgt_1", "renamed", true);
  ExposedFleet rows = Expose();
  EXPECT_THAT(std::string(rows.targets[0].labels), HasSubstr("deploymenttarget=\"renamed\""));
  EXPECT_THAT(std::string(rows.deployments[0].labels), HasSubstr("deploymenttarget=\"renamed\""));

  fleet_.SetChoices("tgt_1", id, {.logs_enabled = true, .application = "store", .application_version = "9"},
                    clock_.Read());
  rows = Expose();
  EXPECT_THAT(std::string(rows.deployments[0].labels), HasSubstr(R"(application="store",applicationversion="9")"));
  fleet_.SetChoices("tgt_1", id, {}, clock_.Read());

  Beat(key, SnapshotBeat(2, 2, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY, "2.0")}));
  rows = Expose();
  EXPECT_THAT(std::string(rows.deployments[0].labels), HasSubstr(R"(applicationversion="2.0")"));

  Beat(key, SnapshotBeat(3, 3, {}));
  EXPECT_THAT(Expose().deployments, IsEmpty());

  fleet_.Delete("tgt_1", clock_.Read());
  rows = Expose();
  ASSERT_EQ(rows.targets.size(), 1u);
  EXPECT_EQ(rows.targets[0].facts->id, "tgt_2");
  fleet_.Add(TestTarget("tgt_0", "host-0", "mst_zero"));
  rows = Expose();
  EXPECT_EQ(rows.targets[0].facts->id, "tgt_0");
}

TEST_F(FleetExposureTest, HostsHaveRowsWhileTheyAreThePresent) {
  const auto key = Connect("tgt_1", "mst_one");
  Beat(key, BeatWithHost("web"));
  ExposedFleet rows = Expose();
  ASSERT_EQ(HostRows(rows).size(), 1u);
  EXPECT_EQ(HostRows(rows)[0].numbers.memory_total, 100);
  EXPECT_EQ(HostRows(rows)[0].numbers.taken, Now());
  ASSERT_EQ(FilesystemRows(rows).size(), 1u);
  EXPECT_EQ(FilesystemRows(rows)[0].more, R"(device="/dev/sda1",mountpoint="/",fstype="ext4")");
  EXPECT_EQ(FilesystemRows(rows)[0].numbers.size, 7);
  ASSERT_EQ(NetworkRows(rows).size(), 1u) << "virtual devices have none";
  EXPECT_EQ(NetworkRows(rows)[0].more, R"(device="eth0")");
  EXPECT_EQ(NetworkRows(rows)[0].numbers.in, 11);
  ASSERT_EQ(DiskRows(rows).size(), 1u);
  EXPECT_EQ(DiskRows(rows)[0].more, R"(device="sda")");
  ASSERT_EQ(ContainerRows(rows).size(), 1u) << "that of a deployment nobody knows has none";
  EXPECT_EQ(ContainerRows(rows)[0].more, R"(container="web")");
  EXPECT_EQ(ContainerRows(rows)[0].labels, rows.deployments[0].labels);
  EXPECT_EQ(ContainerRows(rows)[0].numbers.memory, 3);

  Beat(key, BeatWithHost("web-2"));
  rows = Expose();
  ASSERT_EQ(ContainerRows(rows).size(), 1u);
  EXPECT_EQ(ContainerRows(rows)[0].more, R"(container="web-2")");

  fleet_.Update("tgt_1", "host-1", false);
  rows = Expose();
  EXPECT_THAT(HostRows(rows), IsEmpty());
  EXPECT_THAT(FilesystemRows(rows), IsEmpty());
  EXPECT_THAT(ContainerRows(rows), IsEmpty());
}

TEST_F(FleetExposureTest, NamesThatAreCutAlikeHaveOneRow) {
  const auto key = Connect("tgt_1", "mst_one");
  agent::v1::Heartbeat heartbeat = BeatWithHost("web");
  for (const char* end : {"a", "b"}) {
    heartbeat.mutable_host()->mutable_sample()->add_disks()->set_device(std::string(200, 'd') + end);
    heartbeat.mutable_host()->mutable_totals()->add_network_devices()->set_device(std::string(200, 'n') + end);
    auto* use = heartbeat.mutable_host()->add_containers();
    use->set_deployment_key("compose/shop");
    use->set_container(std::string(200, 'c') + end);
  }
  Beat(key, heartbeat);
  const ExposedFleet rows = Expose();
  EXPECT_EQ(FilesystemRows(rows).size(), 2u);
  EXPECT_EQ(NetworkRows(rows).size(), 2u);
  EXPECT_EQ(ContainerRows(rows).size(), 2u);
}

TEST_F(FleetExposureTest, HostileNamesStayInsideTheirQuotes) {
  const auto key = Connect("tgt_1", "mst_one");
  auto shop = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY);
  shop.set_application("a\"} 1\nevil 1");
  Beat(key, SnapshotBeat(1, 1, {shop}));
  const std::string labels(Expose().deployments[0].labels);
  EXPECT_THAT(labels, HasSubstr(R"(application="a\"} 1\nevil 1")"));
  EXPECT_THAT(labels, Not(HasSubstr("\n")));
}

TEST_F(FleetExposureTest, RowsOutliveWhatTheyShow) {
  const auto key = Connect("tgt_1", "mst_one");
  Beat(key, BeatWithHost("web"));
  const ExposedFleet rows = Expose();
  fleet_.Delete("tgt_1", clock_.Read());
  Expose();
  EXPECT_THAT(std::string(rows.targets[0].labels), HasSubstr("tgt_1"));
  EXPECT_EQ(FilesystemRows(rows)[0].numbers.size, 7);
}

TEST_F(FleetExposureTest, OneTargetsHostIsFoundByIdOrNameOrItIsSaidWhyNot) {
  EXPECT_EQ(ReasonOf(fleet_.PresentHost("nobody").status()), "TARGET_NOT_FOUND");
  EXPECT_THAT(MessageOf(fleet_.PresentHost("tgt_1").status()), HasSubstr("not connected"));
  const auto key = Connect("tgt_1", "mst_one");
  EXPECT_THAT(MessageOf(fleet_.PresentHost("tgt_1").status()), HasSubstr("no sample"));
  Beat(key, BeatWithHost("web"));
  ASSERT_TRUE(fleet_.PresentHost("tgt_1").ok());
  EXPECT_EQ(fleet_.PresentHost("host-1")->host.report.sample().memory_total_bytes(), 100);
  EXPECT_EQ(fleet_.PresentHost("host-1")->machine.hostname(), "customer-host");
  fleet_.Update("tgt_1", "host-1", false);
  EXPECT_THAT(MessageOf(fleet_.PresentHost("tgt_1").status()), HasSubstr("switched off"));
  fleet_.Delete("tgt_1", clock_.Read());
  EXPECT_EQ(ReasonOf(fleet_.PresentHost("tgt_1").status()), "TARGET_NOT_FOUND");
}

TEST_F(FleetExposureTest, ListsTargetsForDiscovery) {
  fleet_.Update("tgt_2", "quiet", false);
  std::vector<std::string> names;
  for (const Fleet::TargetName& target : fleet_.TargetNames()) {
    names.push_back(target.id + " " + target.name + (target.metrics_enabled ? "" : " off"));
  }
  EXPECT_THAT(names, ElementsAre("tgt_1 host-1", "tgt_2 quiet off"));
}

}  // namespace
}  // namespace muster::hub
