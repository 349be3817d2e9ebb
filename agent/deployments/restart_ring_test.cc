#include "agent/deployments/restart_ring.h"

#include <gtest/gtest.h>

#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

TEST(RestartRing, ThreeWithinTheWindowAreALoopUntilTheOldestLeavesIt) {
  FakeClock clock;
  RestartRing ring;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(ring.IsLoop(clock.Monotonic()));
    clock.Advance(absl::Minutes(1));
    ring.Add(clock.Monotonic(), clock.Now());
  }
  EXPECT_TRUE(ring.IsLoop(clock.Monotonic()));
  EXPECT_EQ(ring.Since(), clock.Now());
  EXPECT_EQ(ring.End() - clock.Monotonic(), absl::Minutes(8));
  clock.Advance(absl::Minutes(8));
  EXPECT_FALSE(ring.IsLoop(clock.Monotonic()));
}

TEST(RestartRing, OfThePastOnlyWhatIsInTheWindowCounts) {
  FakeClock clock;
  RestartRing ring;
  ring.AddPast(clock.Now() - kRestartWindow, clock.Read());
  ring.AddPast(clock.Now() - absl::Minutes(5), clock.Read());
  ring.AddPast(clock.Now() + absl::Minutes(5), clock.Read());
  EXPECT_FALSE(ring.IsLoop(clock.Monotonic()));
  ring.AddPast(clock.Now() - absl::Minutes(1), clock.Read());
  EXPECT_TRUE(ring.IsLoop(clock.Monotonic()));
  ring.Clear();
  EXPECT_FALSE(ring.IsLoop(clock.Monotonic()));
  EXPECT_EQ(ring.Since(), absl::InfinitePast());
}

}  // namespace
}  // namespace muster::agent
