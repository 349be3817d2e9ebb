// The newest report about a target's host: when it is shown, and when not.
#include <gtest/gtest.h>

#include "common/time_format.h"
#include "hub/fleet/testing/target_fixture.h"

namespace muster::hub {
namespace {

class TargetHostTest : public TargetTest {
 protected:
  TargetHostTest() { Connect(1); }
  void BeatWithHost(absl::Duration age, std::int64_t memory) {
    agent::v1::Heartbeat heartbeat = SnapshotBeat(1, 1, {});
    *heartbeat.mutable_host()->mutable_age() = ToProto(age);
    heartbeat.mutable_host()->mutable_sample()->set_memory_total_bytes(memory);
    ASSERT_FALSE(Beat(heartbeat).has_value());
  }
};

TEST_F(TargetHostTest, TheNewestReportIsShownWithTheTimeOfItsSample) {
  EXPECT_FALSE(target_.Host().has_value());
  BeatWithHost(absl::Seconds(2), 100);
  BeatWithHost(absl::Seconds(3), 200);
  ASSERT_TRUE(target_.Host().has_value());
  EXPECT_EQ(target_.Host()->report.sample().memory_total_bytes(), 200);
  EXPECT_EQ(target_.Host()->taken, clock_.Now() - absl::Seconds(3));
  ASSERT_FALSE(Beat(DigestBeat(2, 1)).has_value());
  EXPECT_TRUE(target_.Host().has_value()) << "a heartbeat without one changes nothing";
}

TEST_F(TargetHostTest, ASampleIsThePresentForThreeIntervals) {
  BeatWithHost(absl::Seconds(10), 100);
  for (int i = 0; i < 15; ++i) {
    clock_.Advance(absl::Seconds(5));
    ASSERT_FALSE(Beat(DigestBeat(2, 1)).has_value());
    Tick();
    EXPECT_TRUE(target_.Host().has_value()) << i;
  }
  clock_.Advance(absl::Seconds(5));
  Tick();
  EXPECT_FALSE(target_.Host().has_value());
  BeatWithHost(absl::Seconds(90), 100);
  EXPECT_FALSE(target_.Host().has_value()) << "it was old when it came";
}

TEST_F(TargetHostTest, ATargetThatIsNotConnectedShowsNone) {
  BeatWithHost(absl::ZeroDuration(), 100);
  clock_.Advance(kStaleAfter);
  Tick();
  EXPECT_FALSE(target_.Host().has_value()) << "stale";
  ASSERT_FALSE(Beat(DigestBeat(2, 1)).has_value());
  EXPECT_TRUE(target_.Host().has_value());
  target_.Rotate(HashSecret("mst_new"), 2, clock_.Read(), events_);
  EXPECT_FALSE(target_.Host().has_value()) << "not connected";
}

TEST_F(TargetHostTest, SwitchedOffItIsGoneAtOnceAndNothingLateBringsItBack) {
  BeatWithHost(absl::ZeroDuration(), 100);
  target_.Update("host-1", false);
  EXPECT_FALSE(target_.Host().has_value());
  BeatWithHost(absl::ZeroDuration(), 100);
  EXPECT_FALSE(target_.Host().has_value());
  target_.Update("host-1", true);
  EXPECT_FALSE(target_.Host().has_value());
  BeatWithHost(absl::ZeroDuration(), 100);
  EXPECT_TRUE(target_.Host().has_value());
}

TEST_F(TargetHostTest, ADeletedTargetHasNone) {
  BeatWithHost(absl::ZeroDuration(), 100);
  target_.Delete(clock_.Read(), events_);
  EXPECT_FALSE(target_.Host().has_value());
}

}  // namespace
}  // namespace muster::hub
