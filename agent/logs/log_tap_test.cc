#include "agent/logs/log_tap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

using ::testing::IsEmpty;

class LogTapTest : public testing::Test {
 protected:
  LogTapTest() {
    tap_.SetWake([this] { ++wakes_; });
  }

  FakeClock clock_;
  LogTap tap_{&clock_};
  int wakes_ = 0;
};

TEST_F(LogTapTest, GivesLinesInOrderWithTimeAndLevel) {
  const absl::Time begin = clock_.Now();
  const std::vector<std::pair<log::Level, LogLevel>> levels = {{log::Level::kDebug, LogLevel::kDebug},
                                                               {log::Level::kInfo, LogLevel::kInfo},
                                                               {log::Level::kWarning, LogLevel::kWarn},
                                                               {log::Level::kError, LogLevel::kError}};
  for (const auto& [level, expected] : levels) {
    tap_.OnLine(level, "text");
    clock_.Advance(absl::Seconds(1));
  }
  const OwnLog taken = tap_.Take();
  ASSERT_EQ(taken.lines.size(), levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    EXPECT_EQ(taken.lines[i].level, levels[i].second);
    EXPECT_EQ(taken.lines[i].time, begin + absl::Seconds(static_cast<int>(i)));
    EXPECT_EQ(taken.lines[i].text, "text");
  }
  EXPECT_EQ(taken.dropped, 0);
  EXPECT_THAT(tap_.Take().lines, IsEmpty());
}

TEST_F(LogTapTest, CountsWhatFindsNoRoomFromTheFirstToTheLast) {
  const std::string kilobyte(1024, 'x');
  int kept = 0;
  for (std::size_t held = kilobyte.size() + sizeof(OwnLogLine); held <= kMaxOwnLogBytes;
       held += kilobyte.size() + sizeof(OwnLogLine)) {
    tap_.OnLine(log::Level::kInfo, kilobyte);
    ++kept;
  }
  clock_.Advance(absl::Seconds(1));
  const absl::Time first = clock_.Now();
  tap_.OnLine(log::Level::kInfo, kilobyte);
  clock_.Advance(absl::Seconds(1));
  tap_.OnLine(log::Level::kInfo, "a short one would find room, but stands behind the gap");
  const OwnLog taken = tap_.Take();
  EXPECT_EQ(taken.lines.size(), static_cast<std::size_t>(kept));
  EXPECT_EQ(taken.dropped, 2);
  EXPECT_EQ(taken.dropped_from, first);
  EXPECT_EQ(taken.dropped_to, first + absl::Seconds(1));

  tap_.OnLine(log::Level::kInfo, "room again");
  const OwnLog next = tap_.Take();
  ASSERT_EQ(next.lines.size(), 1U);
  EXPECT_EQ(next.dropped, 0);
}

TEST_F(LogTapTest, ALineBeyondAllRoomIsCountedAndWakes) {
  tap_.OnLine(log::Level::kError, std::string(kMaxOwnLogBytes, 'x'));
  EXPECT_EQ(wakes_, 1);
  const OwnLog taken = tap_.Take();
  EXPECT_THAT(taken.lines, IsEmpty());
  EXPECT_EQ(taken.dropped, 1);
}

TEST_F(LogTapTest, WakesOnceUntilItIsTaken) {
  for (int i = 0; i < 3; ++i) tap_.OnLine(log::Level::kInfo, "x");
  EXPECT_EQ(wakes_, 1);
  tap_.Take();
  tap_.Take();
  EXPECT_EQ(wakes_, 1);
  tap_.OnLine(log::Level::kInfo, "x");
  EXPECT_EQ(wakes_, 2);
}

TEST_F(LogTapTest, WhatWasLoggedBeforeSomebodyListenedWakesHim) {
  tap_.SetWake(nullptr);
  tap_.OnLine(log::Level::kInfo, "early");
  EXPECT_EQ(wakes_, 0);
  tap_.SetWake([this] { ++wakes_; });
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(tap_.Take().lines.size(), 1U);
  tap_.SetWake([this] { ++wakes_; });
  EXPECT_EQ(wakes_, 1) << "nothing waits";
}

TEST_F(LogTapTest, TakesTheProcessesOwnLogFromAllThreads) {
  tap_.SetWake(nullptr);
  log::SetTap(&tap_);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 50; ++i) log::Info("line {}", i);
    });
  }
  std::size_t taken = 0;
  while (taken < 100) taken += tap_.Take().lines.size();
  for (std::thread& thread : threads) thread.join();
  log::SetTap(nullptr);
  taken += tap_.Take().lines.size();
  EXPECT_EQ(taken, 200U);
}

}  // namespace
}  // namespace muster::agent
