#include "agent/session/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace muster::agent {
namespace {

Present PresentOf(int count, int resources_each = 0) {
  Present present;
  for (int i = 0; i < count; ++i) {
    v1::DeploymentState& deployment = present.deployments.emplace_back();
    deployment.set_key("compose/" + std::to_string(1000 + i));
    deployment.set_message(std::string(kMaxMessageBytes, 'm'));
    for (int r = 0; r < resources_each; ++r) deployment.add_resources()->set_name(std::string(kMaxNameBytes, 'r'));
  }
  return present;
}

TEST(Snapshot, DigestFollowsTheContentAndNotTheOrder) {
  Present present = PresentOf(3);
  const auto digest = MakeSnapshot(present).digest();
  EXPECT_NE(digest, 0u);
  std::reverse(present.deployments.begin(), present.deployments.end());
  EXPECT_EQ(MakeSnapshot(present).digest(), digest);
  present.deployments[0].set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
  EXPECT_NE(MakeSnapshot(present).digest(), digest);
}

TEST(Snapshot, OmittedIsPartOfTheDigest) {
  Present present = PresentOf(1);
  const auto digest = MakeSnapshot(present).digest();
  present.omitted = 1;
  EXPECT_NE(MakeSnapshot(present).digest(), digest);
}

TEST(Snapshot, DigestIsThatOfTheProtocolPage) {
  // Pinned: a change here is a change of docs/protocol.md. SHA-256 of the empty message.
  EXPECT_EQ(MakeSnapshot(Present()).digest(), 0x141cfc9842c4b0e3u);
}

TEST(Snapshot, KeepsEverythingWithinTheLimits) {
  const auto snapshot = MakeSnapshot(PresentOf(500, 1));
  EXPECT_EQ(snapshot.deployments_size(), 500);
  EXPECT_EQ(snapshot.deployments(0).resources_size(), 1);
  EXPECT_EQ(snapshot.omitted(), 0);
}

TEST(Snapshot, LosesResourcesFirstThenTheLastDeployments) {
  const auto without_resources = MakeSnapshot(PresentOf(500, 10));
  EXPECT_EQ(without_resources.deployments_size(), 500);
  EXPECT_EQ(without_resources.deployments(0).resources_size(), 0);

  Present present = PresentOf(100);
  present.omitted = 7;
  const auto cut = MakeSnapshot(present, 10 * 1024);
  EXPECT_LE(cut.ByteSizeLong(), 10u * 1024 + 32);
  EXPECT_GT(cut.deployments_size(), 10);
  EXPECT_EQ(cut.deployments_size() + cut.omitted(), 107);
  EXPECT_EQ(cut.deployments(0).key(), "compose/1000");
}

TEST(Snapshot, NeverListsMoreThanTheLimit) {
  const auto snapshot = MakeSnapshot(PresentOf(501));
  EXPECT_EQ(snapshot.deployments_size(), 500);
  EXPECT_EQ(snapshot.omitted(), 1);
}

}  // namespace
}  // namespace muster::agent
