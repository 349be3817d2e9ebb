#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace muster::log {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class RecordingTap : public Tap {
 public:
  void OnLine(Level level, std::string_view text) override {
    lines.emplace_back(level, std::string(text));
    if (talks) Info("about {}", text);
  }

  std::vector<std::pair<Level, std::string>> lines;
  bool talks = false;
};

class LogTest : public testing::Test {
 protected:
  LogTest() { SetTap(&tap_); }
  ~LogTest() override {
    SetTap(nullptr);
    SetLevel(Level::kInfo);
  }

  RecordingTap tap_;
};

TEST_F(LogTest, TapGetsWhatIsWrittenAndNothingBelowTheLevel) {
  Debug("hidden");
  Info("number {}", 1);
  SetLevel(Level::kWarning);
  Info("hidden");
  Error("broken");
  SetLevel(Level::kDebug);
  Debug("detail");
  Warning("careful");
  EXPECT_THAT(tap_.lines, ElementsAre(Pair(Level::kInfo, "number 1"), Pair(Level::kError, "broken"),
                                      Pair(Level::kDebug, "detail"), Pair(Level::kWarning, "careful")));
}

TEST_F(LogTest, TapGetsOneLineWhateverTheMessageHolds) {
  Info("{}", "a\nb\x1b[31m");
  ASSERT_EQ(tap_.lines.size(), 1U);
  EXPECT_EQ(tap_.lines[0].second, "a\\nb\\x1b[31m");
}

TEST_F(LogTest, TapThatLogsIsNotGivenItsOwnLines) {
  tap_.talks = true;
  Info("one");
  Info("two");
  EXPECT_THAT(tap_.lines, ElementsAre(Pair(Level::kInfo, "one"), Pair(Level::kInfo, "two")));
}

TEST_F(LogTest, TapIsCalledByOneThreadAtATimeAndNotAfterItWasTakenOff) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) Info("x");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tap_.lines.size(), 400U);
  SetTap(nullptr);
  tap_.lines.clear();
  Info("nobody hears it");
  EXPECT_THAT(tap_.lines, IsEmpty());
}

}  // namespace
}  // namespace muster::log
