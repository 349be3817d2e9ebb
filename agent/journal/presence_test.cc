#include "agent/journal/presence.h"

#include <gtest/gtest.h>

#include "common/testing/fake_clock.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

class PresenceTest : public testing::Test {
 protected:
  // Second by second.
  void Pass(absl::Duration duration, bool connected, bool observed = true) {
    for (absl::Duration passed; passed < duration; passed += absl::Seconds(1)) {
      clock_.Advance(absl::Seconds(1));
      Tick(connected, observed);
    }
  }
  void Tick(bool connected, bool observed = true) {
    for (v1::Record& record : presence_.OnTick(
             {.now = clock_.Read(), .connected = connected, .heard_at = heard_at_, .observed = observed})) {
      records_.push_back(std::move(record));
    }
  }
  void Heard() { heard_at_ = clock_.Monotonic(); }
  absl::Time From(std::size_t i) const { return FromProto(records_.at(i).presence().from()); }
  absl::Time To(std::size_t i) const { return FromProto(records_.at(i).presence().to()); }

  FakeClock clock_;
  Presence presence_;
  std::optional<Instant> heard_at_;
  std::vector<v1::Record> records_;
};

TEST_F(PresenceTest, RecordsEachMinuteWhileNobodyHears) {
  const absl::Time start = clock_.Now();
  Tick(false);
  Pass(absl::Seconds(59), false);
  EXPECT_TRUE(records_.empty());
  Pass(absl::Seconds(1), false);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(From(0), start);
  EXPECT_EQ(To(0), start + absl::Minutes(1));
  EXPECT_EQ(FromProto(records_[0].observed_at()), To(0));
  EXPECT_TRUE(records_[0].presence().deployments_observed());
  Pass(absl::Minutes(1), false);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(From(1), To(0)) << "without a hole";
}

TEST_F(PresenceTest, RecordsTheRestWhenItIsConnectedAgain) {
  Tick(false);
  Pass(absl::Seconds(20), false);
  Heard();
  Tick(true);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(To(0) - From(0), absl::Seconds(20));
  Pass(absl::Minutes(10), true);
  EXPECT_EQ(records_.size(), 1u) << "the hub hears it";
}

TEST_F(PresenceTest, BeginsAtTheLastAcknowledgedHeartbeat) {
  Tick(true);
  Heard();
  const absl::Time heard = clock_.Now();
  Pass(absl::Seconds(75), true);
  Pass(absl::Seconds(1), false);
  ASSERT_EQ(records_.size(), 1u) << "more than a minute has passed since then";
  EXPECT_EQ(From(0), heard);
  EXPECT_EQ(To(0), clock_.Now());
}

TEST_F(PresenceTest, APauseOfItsOwnIsNoPresence) {
  Tick(false);
  Pass(absl::Seconds(20), false);
  const absl::Time paused = clock_.Now();
  clock_.Advance(absl::Minutes(30));
  Tick(false);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(To(0), paused);
  EXPECT_EQ(To(0) - From(0), absl::Seconds(20));
  const absl::Time resumed = clock_.Now();
  Pass(absl::Minutes(1), false);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(From(1), resumed);
}

TEST_F(PresenceTest, APauseBeforeTheLossWasNoticedIsNoPresenceEither) {
  Tick(true);
  Heard();
  const absl::Time heard = clock_.Now();
  Pass(absl::Seconds(5), true);
  const absl::Time paused = clock_.Now();
  clock_.Advance(absl::Minutes(30));
  const absl::Time resumed = clock_.Now();
  Tick(true);
  Pass(absl::Seconds(3), true);
  Pass(absl::Seconds(10), false);
  Heard();
  Tick(true);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(From(0), heard);
  EXPECT_EQ(To(0), paused);
  EXPECT_EQ(From(1), resumed);
  EXPECT_EQ(To(1), clock_.Now());
}

TEST_F(PresenceTest, AShortStallIsNoPause) {
  Tick(false);
  clock_.Advance(kMaxTickGap);
  Tick(false);
  Heard();
  Tick(true);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(To(0) - From(0), kMaxTickGap);
}

TEST_F(PresenceTest, OneBlindMomentMakesItBlind) {
  Tick(false);
  Pass(absl::Seconds(30), false);
  Pass(absl::Seconds(1), false, /*observed=*/false);
  Pass(absl::Seconds(29), false);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_FALSE(records_[0].presence().deployments_observed());
  Pass(absl::Minutes(1), false);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_TRUE(records_[1].presence().deployments_observed());
}

TEST_F(PresenceTest, BlindnessSinceTheLastAcknowledgedHeartbeatCounts) {
  Tick(true);
  Heard();
  Pass(absl::Seconds(5), true);
  Pass(absl::Seconds(1), true, /*observed=*/false);
  Pass(absl::Seconds(1), false);
  Heard();
  Tick(true);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_FALSE(records_[0].presence().deployments_observed());
}

TEST_F(PresenceTest, TheLengthIsByTheMonotonicClock) {
  Tick(false);
  Pass(absl::Seconds(30), false);
  clock_.StepWall(absl::Hours(5));
  Pass(absl::Seconds(30), false);
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(To(0), clock_.Now());
  EXPECT_EQ(To(0) - From(0), absl::Minutes(1));
}

TEST_F(PresenceTest, StoppingRecordsTheRest) {
  Tick(false);
  Pass(absl::Seconds(10), false);
  const auto last = presence_.Finish(clock_.Read());
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(FromProto(last[0].presence().to()) - FromProto(last[0].presence().from()), absl::Seconds(10));
  EXPECT_TRUE(presence_.Finish(clock_.Read()).empty());
}

}  // namespace
}  // namespace muster::agent
