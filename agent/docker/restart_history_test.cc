#include "agent/docker/restart_history.h"

#include <gtest/gtest.h>

#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

class RestartHistoryTest : public testing::Test {
 protected:
  void Event(EventAction action, int exit_code = 0) {
    history_.OnEvent({.action = action, .container_id = "c", .exit_code = exit_code, .time = clock_.Now()},
                     clock_.Read());
  }
  void Inspect(std::int64_t restart_count, ContainerState state = ContainerState::kRunning) {
    Container c;
    c.state = state;
    c.restart_count = restart_count;
    c.created = created_;
    c.started = clock_.Now();
    c.finished = clock_.Now();
    history_.OnInspect(c, clock_.Read());
  }
  bool InLoop() const { return history_.Past(clock_.Read()).restart_loop; }

  FakeClock clock_;
  absl::Time created_ = clock_.Now();
  RestartHistory history_;
};

TEST_F(RestartHistoryTest, ThreeRestartsOfTheCounterInTenMinutesAreALoop) {
  Inspect(0);
  for (int count = 1; count <= 3; ++count) {
    EXPECT_FALSE(InLoop());
    clock_.Advance(absl::Minutes(3));
    Inspect(count);
  }
  EXPECT_TRUE(InLoop());
  EXPECT_EQ(history_.Past(clock_.Read()).loop_since, clock_.Now());
}

TEST_F(RestartHistoryTest, SlowRestartsAreNotALoop) {
  Inspect(0);
  for (int count = 1; count <= 10; ++count) {
    clock_.Advance(absl::Minutes(5) + absl::Seconds(1));
    Inspect(count);
    EXPECT_FALSE(InLoop()) << count;
  }
}

TEST_F(RestartHistoryTest, ALoopEndsTenMinutesAfterTheThirdLastRestart) {
  Inspect(0);
  Inspect(3);
  clock_.Advance(kRestartWindow - absl::Milliseconds(1));
  EXPECT_TRUE(InLoop());
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(InLoop());
}

TEST_F(RestartHistoryTest, CounterAndEventsOfOneRestartCountOnce) {
  Inspect(0);
  for (int count = 1; count <= 2; ++count) {
    Event(EventAction::kDie, 1);
    Inspect(count, ContainerState::kRestarting);  // the counter is ahead of the start
    Inspect(count, ContainerState::kRestarting);
    Event(EventAction::kStart);
    Inspect(count);
  }
  EXPECT_FALSE(InLoop());
  Event(EventAction::kDie, 1);
  Event(EventAction::kStart);
  Inspect(3);
  EXPECT_TRUE(InLoop());
}

TEST_F(RestartHistoryTest, CrashesThatSomebodyElseRestartsCountByTheirEvents) {
  Inspect(0);
  for (int i = 0; i < 3; ++i) {
    Event(EventAction::kDie, 1);
    Event(EventAction::kStart);
    Inspect(0);
  }
  EXPECT_TRUE(InLoop());
}

TEST_F(RestartHistoryTest, RestartsByHandAreNotALoop) {
  Inspect(0);
  for (int i = 0; i < 5; ++i) {
    Event(EventAction::kKill);
    Event(EventAction::kDie, 137);
    Event(EventAction::kStart);
    Inspect(0);
  }
  EXPECT_FALSE(InLoop());
}

TEST_F(RestartHistoryTest, AStartByHandGivesANewChance) {
  Inspect(0);
  Inspect(3);
  EXPECT_TRUE(InLoop());
  Event(EventAction::kKill);
  Event(EventAction::kDie, 137);
  Event(EventAction::kStart);
  Inspect(0);
  EXPECT_FALSE(InLoop());
}

TEST_F(RestartHistoryTest, SettingTheWallClockNeitherMakesNorEndsALoop) {
  Inspect(0);
  Inspect(2);
  clock_.StepWall(-absl::Hours(5));
  Inspect(3);
  EXPECT_TRUE(InLoop());
  clock_.StepWall(absl::Hours(50));
  EXPECT_TRUE(InLoop());
}

TEST_F(RestartHistoryTest, FirstLookAtAYoungContainerCountsAllItsRestarts) {
  clock_.Advance(absl::Minutes(9));
  Inspect(40, ContainerState::kRestarting);
  EXPECT_TRUE(InLoop());
}

TEST_F(RestartHistoryTest, FirstLookAtAnOldContainerCountsOnlyWhatIsProven) {
  clock_.Advance(absl::Hours(3));
  Inspect(40, ContainerState::kRestarting);
  EXPECT_FALSE(InLoop());
  Inspect(41);
  EXPECT_FALSE(InLoop());
  Inspect(42);
  EXPECT_TRUE(InLoop()) << "the last one before, and two seen";
}

TEST_F(RestartHistoryTest, AnOomKillIsRememberedForTenMinutes) {
  Inspect(0);
  EXPECT_FALSE(history_.Past(clock_.Read()).oom);
  Event(EventAction::kOom);
  const absl::Time killed = clock_.Now();
  Event(EventAction::kDie, 137);
  Inspect(1, ContainerState::kRestarting);
  Event(EventAction::kStart);
  Inspect(1);
  clock_.Advance(absl::Minutes(9));
  EXPECT_TRUE(history_.Past(clock_.Read()).oom) << "restarted by the engine";
  EXPECT_EQ(history_.Past(clock_.Read()).oom_time, killed);
  EXPECT_EQ(history_.Past(clock_.Read()).last_exit_code, 137);
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(history_.Past(clock_.Read()).oom);
}

TEST_F(RestartHistoryTest, AStartByHandEndsTheMemoryOfAnOomKill) {
  Inspect(0);
  Event(EventAction::kOom);
  Event(EventAction::kDie, 137);
  Inspect(0, ContainerState::kExited);
  Event(EventAction::kStart);
  Inspect(0);
  EXPECT_FALSE(history_.Past(clock_.Read()).oom);
}

TEST_F(RestartHistoryTest, APartialLookChangesNothing) {
  clock_.Advance(absl::Hours(1));
  Inspect(5);
  Container row;
  row.partial = true;
  history_.OnInspect(row, clock_.Read());
  Inspect(5);
  EXPECT_FALSE(InLoop());
}

}  // namespace
}  // namespace muster::agent
