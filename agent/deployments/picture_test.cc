#include "agent/deployments/picture.h"

#include <gtest/gtest.h>

#include <string>

namespace muster::agent {
namespace {

v1::DeploymentState Deployment(int resources, std::size_t name_bytes) {
  v1::DeploymentState state;
  state.set_key(std::string(name_bytes, 'k'));
  for (int i = 0; i < resources; ++i) state.add_resources()->set_id(std::string(100, 'r'));
  return state;
}

TEST(KeepWithinPictureSize, LeavesSmallOnesAlone) {
  Present present;
  present.deployments = {Deployment(200, 10), Deployment(3, 10)};
  KeepWithinPictureSize(present);
  EXPECT_EQ(present.deployments.front().resources_size(), 200);
  EXPECT_EQ(present.omitted, 0);
}

TEST(KeepWithinPictureSize, ResourcesGoBeforeDeployments) {
  Present present;
  for (int i = 0; i < 500; ++i) present.deployments.push_back(Deployment(200, 10));
  KeepWithinPictureSize(present);
  EXPECT_EQ(present.deployments.size(), 500U);
  EXPECT_EQ(present.deployments.front().resources_size(), 10);
  present.deployments.assign(500, Deployment(200, 3000));
  KeepWithinPictureSize(present);
  EXPECT_LT(present.deployments.size(), 500U);
  EXPECT_EQ(present.deployments.size() + static_cast<std::size_t>(present.omitted), 500U);
}

TEST(GoneDeploymentsBeside, LivingOnesHaveTheRoomFirst) {
  EXPECT_EQ(GoneDeploymentsBeside(0), kMaxGoneDeployments);
  EXPECT_EQ(GoneDeploymentsBeside(450), 50U);
  EXPECT_EQ(GoneDeploymentsBeside(900), 0U);
}

}  // namespace
}  // namespace muster::agent
