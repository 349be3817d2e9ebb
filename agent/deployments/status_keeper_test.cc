#include "agent/deployments/status_keeper.h"

#include <gtest/gtest.h>

#include "common/time_format.h"

namespace muster::agent {
namespace {

using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TEST(StatusKeeper, TimeIsThatOfTheChangeAndStaysWithTheStatus) {
  v1::DeploymentState state;
  StatusKeeper keeper;
  keeper.Set(DEPLOYMENT_STATUS_HEALTHY, "", kNow - absl::Hours(5), false, kNow, state);
  EXPECT_EQ(FromProto(state.status_time()), kNow - absl::Hours(5));
  keeper.Set(DEPLOYMENT_STATUS_HEALTHY, "as before", kNow, false, kNow, state);
  EXPECT_EQ(FromProto(state.status_time()), kNow - absl::Hours(5));
  EXPECT_EQ(state.message(), "as before");
  // Before the last change: it cannot be the time of this one.
  keeper.Set(DEPLOYMENT_STATUS_ERROR, "", kNow - absl::Hours(6), false, kNow, state);
  EXPECT_EQ(FromProto(state.status_time()), kNow);
}

TEST(StatusKeeper, UnknownAndFutureTimesAndTheEndOfAWindowAreNow) {
  for (const absl::Time since : {absl::InfinitePast(), kNow + absl::Hours(1)}) {
    v1::DeploymentState state;
    StatusKeeper().Set(DEPLOYMENT_STATUS_ERROR, "", since, false, kNow, state);
    EXPECT_EQ(FromProto(state.status_time()), kNow);
  }
  v1::DeploymentState state;
  StatusKeeper keeper;
  keeper.Set(DEPLOYMENT_STATUS_ERROR, "", kNow - absl::Minutes(20), true, kNow, state);
  keeper.Set(DEPLOYMENT_STATUS_HEALTHY, "", kNow - absl::Minutes(15), false, kNow, state);
  EXPECT_EQ(FromProto(state.status_time()), kNow);
}

}  // namespace
}  // namespace muster::agent
