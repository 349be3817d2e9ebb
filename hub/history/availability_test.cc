#include "hub/history/availability.h"

#include <gtest/gtest.h>

namespace muster::hub {
namespace {

absl::Time At(int second) { return absl::FromUnixSeconds(1'800'000'000 + second); }

TEST(Availability, OfATargetCountsConnectedAndStale) {
  Availability availability({.from = At(0), .to = At(100)});
  const auto add = [&](types::v1::TargetState state, absl::Time from, absl::Time to) {
    availability.Add(TargetPeriod{.state = state, .from = from, .to = to, .reason = ""});
  };
  add(types::v1::TARGET_STATE_NOT_CONNECTED, At(0), At(10));
  add(types::v1::TARGET_STATE_CONNECTED, At(10), At(40));
  add(types::v1::TARGET_STATE_STALE, At(40), At(50));
  add(types::v1::TARGET_STATE_UNKNOWN, At(50), At(60));
  EXPECT_EQ(availability.available(), absl::Seconds(30));
  EXPECT_EQ(availability.unavailable(), absl::Seconds(10));
  EXPECT_EQ(availability.unknown(), absl::Seconds(60)) << "also what no period covers";
  EXPECT_DOUBLE_EQ(availability.Ratio().value(), 0.75);
}

TEST(Availability, OfADeploymentCountsUpAndDown) {
  using namespace types::v1;  // NOLINT(google-build-using-namespace)
  Availability availability({.from = At(0), .to = At(70)});
  int second = 0;
  for (const DeploymentStatus status :
       {DEPLOYMENT_STATUS_RUNNING, DEPLOYMENT_STATUS_HEALTHY, DEPLOYMENT_STATUS_ERROR, DEPLOYMENT_STATUS_PROGRESSING,
        DEPLOYMENT_STATUS_STALE, DEPLOYMENT_STATUS_NO_STATUS, DEPLOYMENT_STATUS_UNKNOWN}) {
    DeploymentPeriod period;
    period.status = status;
    period.from = At(second);
    period.to = At(second += 10);
    availability.Add(period);
  }
  EXPECT_EQ(availability.available(), absl::Seconds(20));
  EXPECT_EQ(availability.unavailable(), absl::Seconds(20));
  EXPECT_EQ(availability.unknown(), absl::Seconds(30));
  EXPECT_DOUBLE_EQ(availability.Ratio().value(), 0.5);
}

TEST(Availability, CountsOnlyWhatLiesInTheWindow) {
  Availability availability({.from = At(10), .to = At(20)});
  const TargetPeriod whole{
      .state = types::v1::TARGET_STATE_CONNECTED, .from = At(0), .to = absl::InfiniteFuture(), .reason = ""};
  TargetPeriod outside = whole;
  outside.to = At(5);
  availability.Add(outside);
  EXPECT_EQ(availability.available(), absl::ZeroDuration());
  availability.Add(whole);
  EXPECT_EQ(availability.available(), absl::Seconds(10));
  EXPECT_EQ(availability.unknown(), absl::ZeroDuration());
  EXPECT_DOUBLE_EQ(availability.Ratio().value(), 1.0);
}

TEST(Availability, HasNoRatioWhenNothingIsKnown) {
  Availability availability({.from = At(0), .to = At(10)});
  availability.Add(TargetPeriod{.state = types::v1::TARGET_STATE_UNKNOWN, .from = At(0), .to = At(10), .reason = ""});
  EXPECT_EQ(availability.Ratio(), std::nullopt);
  EXPECT_EQ(availability.unknown(), absl::Seconds(10));
}

}  // namespace
}  // namespace muster::hub
