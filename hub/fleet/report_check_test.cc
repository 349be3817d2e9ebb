#include "hub/fleet/report_check.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/text.h"
#include "common/time_format.h"
#include "hub/fleet/target.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

using types::v1::DEPLOYMENT_STATUS_RUNNING;

agent::v1::DeploymentSnapshot SnapshotOf(int deployments) {
  agent::v1::DeploymentSnapshot snapshot;
  for (int i = 0; i < deployments; ++i) {
    *snapshot.add_deployments() = TestDeployment("compose/" + std::to_string(i), DEPLOYMENT_STATUS_RUNNING);
  }
  return snapshot;
}

TEST(FindDefect, TakesWhatKeepsTheContract) {
  EXPECT_EQ(FindDefect(SnapshotOf(0)), "");
  EXPECT_EQ(FindDefect(SnapshotOf(static_cast<int>(kMaxDeploymentsPerTarget))), "");
}

TEST(FindDefect, NamesWhatBreaksTheContract) {
  EXPECT_NE(FindDefect(SnapshotOf(static_cast<int>(kMaxDeploymentsPerTarget) + 1)), "");
  auto snapshot = SnapshotOf(2);
  snapshot.mutable_deployments(1)->set_key("compose/0");
  EXPECT_NE(FindDefect(snapshot).find("same key"), std::string::npos);
  snapshot.mutable_deployments(1)->set_key("");
  EXPECT_NE(FindDefect(snapshot), "");
  snapshot.mutable_deployments(1)->set_key(std::string(kMaxNameBytes * 2 + 1, 'k'));
  EXPECT_NE(FindDefect(snapshot), "");
  snapshot.mutable_deployments(1)->set_key(std::string(kMaxNameBytes * 2, 'k'));
  EXPECT_EQ(FindDefect(snapshot), "");
}

TEST(FindDefect, AgentsReportFourStatusesOnly) {
  for (int status = -1; status <= 8; ++status) {
    auto snapshot = SnapshotOf(1);
    snapshot.mutable_deployments(0)->set_status(static_cast<types::v1::DeploymentStatus>(status));
    EXPECT_EQ(FindDefect(snapshot).empty(), status >= 3 && status <= 6) << status;
  }
}

// Below zero nothing was ever called gone again.
TEST(FindDefect, OmissionsAreNotNegative) {
  auto snapshot = SnapshotOf(1);
  snapshot.set_omitted(-1);
  EXPECT_NE(FindDefect(snapshot), "");
}

TEST(CleanReport, BringsEveryTextWithinItsLimit) {
  auto raw = TestDeployment("compose/shop", DEPLOYMENT_STATUS_RUNNING);
  const std::string flood = "\xFF\xFE" + std::string(10'000, 'x');
  raw.set_name(flood);
  raw.set_message(flood);
  raw.set_application(flood);
  raw.set_application_version(flood);
  raw.set_revision(flood);
  types::v1::Resource* resource = raw.add_resources();
  resource->set_id(flood);
  resource->set_name(flood);
  resource->set_image(flood);
  resource->set_image_id(flood);
  resource->set_state(flood);
  resource->set_health(flood);
  const auto clean = CleanReport(raw);
  for (const std::string& text :
       {clean.name(), clean.application(), clean.application_version(), clean.revision(), clean.resources(0).id(),
        clean.resources(0).name(), clean.resources(0).image(), clean.resources(0).image_id(),
        clean.resources(0).state(), clean.resources(0).health()}) {
    EXPECT_LE(text.size(), kMaxNameBytes);
    EXPECT_GT(text.size(), kMaxNameBytes - 5);
    EXPECT_TRUE(IsValidUtf8(text));
  }
  EXPECT_LE(clean.message().size(), kMaxMessageBytes);
  EXPECT_TRUE(IsValidUtf8(clean.message()));
  EXPECT_EQ(clean.key(), "compose/shop");
  EXPECT_EQ(clean.status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST(CleanReport, CutsResourcesToTheirLimit) {
  auto raw = TestDeployment("compose/shop", DEPLOYMENT_STATUS_RUNNING);
  for (std::size_t i = 0; i < kMaxResourcesPerDeployment + 50; ++i) raw.add_resources()->set_name(std::to_string(i));
  const auto clean = CleanReport(raw);
  ASSERT_EQ(static_cast<std::size_t>(clean.resources_size()), kMaxResourcesPerDeployment);
  EXPECT_EQ(clean.resources(0).name(), "0");
}

// One container with an impossible start time made every list of deployments fail as JSON.
TEST(CleanReport, BringsTimesIntoWhatJsonCanHold) {
  auto raw = TestDeployment("compose/shop", DEPLOYMENT_STATUS_RUNNING);
  raw.mutable_status_time()->set_seconds(std::numeric_limits<std::int64_t>::min());
  auto* start = raw.add_resources()->mutable_start_time();
  start->set_seconds(std::numeric_limits<std::int64_t>::max());
  start->set_nanos(-5);
  raw.add_resources();
  const auto clean = CleanReport(raw);
  EXPECT_EQ(FormatRfc3339(FromProto(clean.resources(0).start_time())), "9999-12-31T23:59:59Z");
  EXPECT_EQ(clean.resources(0).start_time().seconds(), 253402300799);
  EXPECT_EQ(clean.resources(0).start_time().nanos(), 0);
  EXPECT_EQ(clean.status_time().seconds(), -62135596800);
  EXPECT_FALSE(clean.resources(1).has_start_time()) << "what is absent stays absent";
}

TEST(CleanMachine, BringsEveryTextWithinItsLimit) {
  types::v1::MachineFacts raw;
  const std::string flood = std::string(10'000, 'x') + "\xC3";
  raw.set_hostname(flood);
  raw.set_os(flood);
  raw.set_kernel(flood);
  raw.set_architecture(flood);
  raw.set_runtime(flood);
  raw.set_cpu_cores(4);
  const auto clean = CleanMachine(raw);
  for (const std::string& text :
       {clean.hostname(), clean.os(), clean.kernel(), clean.architecture(), clean.runtime()}) {
    EXPECT_LE(text.size(), kMaxNameBytes);
    EXPECT_TRUE(IsValidUtf8(text));
  }
  EXPECT_EQ(clean.cpu_cores(), 4);
}

}  // namespace
}  // namespace muster::hub
