// The collector at its limits: rate, back-pressure, sizes of records, number of containers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/loop_fixture.h"
#include "agent/records.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CollectorLimitsTest : public LoopTest {
 protected:
  // Lines that were kept, and lines that markers RATE count, in order: each line is its number.
  struct Sums {
    std::int64_t kept = 0;
    std::int64_t counted = 0;
    std::int64_t markers = 0;
  };
  Sums Check(const std::string& id) {
    Sums sums;
    for (const std::string& text : TextsOf(journal_.records(), id)) {
      if (text.starts_with('<')) {
        EXPECT_TRUE(text.starts_with("<RATE ")) << text;
        sums.counted += std::stoll(text.substr(6));
        ++sums.markers;
      } else {
        EXPECT_EQ(std::stoll(text), sums.kept + sums.counted) << "each line, or a count in its place";
        ++sums.kept;
      }
    }
    return sums;
  }
};

TEST_F(CollectorLimitsTest, AFloodIsCountedExactlyInItsPlace) {
  Add("web");
  StartAgent();
  std::int64_t written = 0;
  // 100,000 lines a second for 6 s.
  for (int i = 0; i < 60; ++i) {
    for (int line = 0; line < 10'000; ++line) Write("web", std::to_string(written++));
    Pass(absl::Milliseconds(100));
    engine_.Rotate("web", 1000);
  }
  Pass(absl::Seconds(2));
  journal_.Commit();
  const Sums sums = Check("web");
  EXPECT_EQ(sums.kept + sums.counted, written);
  EXPECT_GT(sums.kept, 20'000 + 4 * 2000);
  EXPECT_LT(sums.kept, 20'000 + 8 * 2000);
  EXPECT_GE(sums.markers, 4);
  EXPECT_LE(sums.markers, 8) << "at most one a second";
}

// The position must not pass what was refused before a marker tells it.
TEST_F(CollectorLimitsTest, AKillBetweenRefusalAndMarkerLosesNoCount) {
  constexpr std::int64_t kWritten = 800;
  for (const int after_ms : {10, 150, 250, 500, 900, 1100, 1800}) {
    const std::string id = fmt::format("c{}", after_ms);
    containers_.clear();
    Add(id);
    StartAgent();
    // 3.2 MB, and 2.5 MiB are in stock.
    for (int i = 0; i < kWritten; ++i) Write(id, fmt::format("{} {}", i, std::string(4000, 'x')));
    Pass(absl::Milliseconds(after_ms));
    journal_.Commit();
    const Sums before = Check(id);
    EXPECT_GE(before.kept, 640) << after_ms;
    EXPECT_EQ(before.markers, after_ms > 1200 ? 1 : 0) << after_ms;
    KillAgent();
    StartAgent();
    Pass(absl::Seconds(3));
    journal_.Commit();
    const Sums sums = Check(id);
    EXPECT_EQ(sums.kept + sums.counted, kWritten) << after_ms;
  }
}

TEST_F(CollectorLimitsTest, AFloodDoesNotTakeWhatAQuietNeighbourNeeds) {
  Add("flood");
  Add("quiet");
  StartAgent();
  std::int64_t written = 0;
  for (int i = 0; i < 300; ++i) {
    for (int line = 0; line < 200; ++line) Write("flood", std::string(4000, 'x'));
    Write("quiet", std::to_string(written++));
    Pass(absl::Milliseconds(100));
    engine_.Rotate("flood", 100);
  }
  Pass(absl::Seconds(2));
  journal_.Commit();
  EXPECT_EQ(Check("quiet").kept, written);
}

TEST_F(CollectorLimitsTest, WhatTheJournalDoesNotTakeIsNotRead) {
  for (int i = 0; i < 20; ++i) {
    Add(fmt::format("c{}", i));
    for (int line = 0; line < 1000; ++line) Write(fmt::format("c{}", i), std::to_string(line));
  }
  engine_.set_max_read(4096);
  journal_.set_full(true);
  StartAgent();
  Pass(absl::Seconds(3));
  EXPECT_EQ(engine_.paused_streams(), engine_.open_streams());
  const std::int64_t waits = engine_.waits();
  Pass(absl::Seconds(10));
  EXPECT_LE(engine_.waits() - waits, 101) << "asked every 100 ms";
  journal_.set_full(false);
  loop_->Turn();
  EXPECT_LE(journal_.waiting(), 20U) << "one record of each, at most";
  for (const LogContainer& container : containers_) {
    Texts(container.name);
    EXPECT_EQ(Check(container.name).kept, 1000);
  }
}

TEST_F(CollectorLimitsTest, AStreamThatWasNotReadForFiveSecondsIsOpenedAnew) {
  Add("web");
  Write("web", "0");
  StartAgent();
  Texts("web");
  for (const auto& [pause, streams] :
       std::vector<std::pair<absl::Duration, std::size_t>>{{absl::Seconds(4), 0}, {absl::Seconds(6), 1}}) {
    engine_.requests().clear();
    journal_.set_full(true);
    Write("web", std::to_string(Check("web").kept));
    Pass(pause);
    EXPECT_EQ(engine_.paused_streams(), 1U);
    journal_.set_full(false);
    Pass(absl::Seconds(1));
    EXPECT_EQ(Requests("follow=1"), streams) << pause;
    Texts("web");
  }
  EXPECT_EQ(Check("web").kept, 3);
}

TEST_F(CollectorLimitsTest, ALineIsHandedOnWithin700Milliseconds) {
  Add("web");
  StartAgent();
  Pass(absl::Seconds(1));
  Write("web", "0");
  Pass(absl::Milliseconds(600));
  EXPECT_EQ(journal_.waiting(), 0U);
  Write("web", "1");
  Pass(absl::Milliseconds(101));
  EXPECT_EQ(journal_.waiting(), 1U) << "one record for both";
}

TEST_F(CollectorLimitsTest, RecordsStayWithinTheirSizes) {
  Add("web");
  StartAgent();
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const std::size_t size = random() % 3 == 0 ? random() % kMaxMessageTextBytes : random() % 40;
    const char byte = random() % 2 == 0 ? '\xFF' : 'x';
    Write("web", std::string(size, byte), random() % 2 == 0 ? LogStream::kStdout : LogStream::kStderr);
    if (random() % 3 == 0) Pass(absl::Milliseconds(random() % 100));
  }
  Texts("web");
  std::size_t lines = 0;
  for (const v1::Record& record : journal_.records()) {
    EXPECT_LE(record.ByteSizeLong(), kMaxRecordBytes);
    EXPECT_LE(record.log_lines().text().size(), kMaxRecordText + 8);
    EXPECT_EQ(record.log_lines().kinds().size(), record.log_lines().time_delta_us_size() + 1U);
    lines += record.log_lines().kinds().size();
  }
  EXPECT_GT(lines, 300U);
}

TEST_F(CollectorLimitsTest, TheNewestFiveHundredAreFollowed) {
  for (int i = 0; i < 510; ++i) Add(fmt::format("c{:03}", i), absl::Minutes(i));
  StartAgent();
  testing::internal::CaptureStderr();
  Pass(absl::Seconds(1));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("of 510 containers only the 500 newest are followed, not: c500, c501"));
  EXPECT_EQ(engine_.open_streams(), 500U);
  EXPECT_EQ(Requests("/c499/"), 1U);
  EXPECT_EQ(Requests("/c500/"), 0U);

  // One that comes takes the oldest's place; when it goes, the other goes on where it was.
  Write("c499", "a");
  EXPECT_THAT(Texts("c499"), ElementsAre("a"));
  clock_.Advance(absl::Seconds(1));
  Add("young");
  loop_->SetContainers(containers_);
  Pass(absl::Seconds(1));
  Write("c499", "b");
  EXPECT_THAT(Texts("c499"), ElementsAre("a"));
  EXPECT_EQ(engine_.open_streams(), 500U);
  containers_.pop_back();
  engine_.Remove("young");
  loop_->SetContainers(containers_);
  EXPECT_THAT(Texts("c499"), ElementsAre("a", "b"));
}

TEST_F(CollectorLimitsTest, PlacesAreLookedForEightAtATime) {
  for (int i = 0; i < 30; ++i) {
    const std::string id = fmt::format("c{}", i);
    Add(id);
    Write(id, "0");
  }
  StartAgent();
  Texts("c0");
  KillAgent();
  StartAgent();
  engine_.requests().clear();
  engine_.WaitUntil(clock_.Monotonic() + absl::Seconds(1));
  loop_->Turn();
  EXPECT_EQ(engine_.requests().size() - Requests("follow=1"), 8U);
  Pass(absl::Seconds(1));
  EXPECT_EQ(engine_.open_streams(), 30U);
}

}  // namespace
}  // namespace muster::agent
