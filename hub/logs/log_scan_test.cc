#include "hub/logs/log_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr LogOrder kOrders[] = {LogOrder::kOldestFirst, LogOrder::kNewestFirst};
// One unit a call.
constexpr ScanLimits kLeastLimits = {.max_bytes = 1, .max_time = absl::ZeroDuration()};

TEST_F(LogScanTest, PagesJoinedAreOneBigPage) {
  const LogFilter needle = *LogFilter::ForExpression("^needle [0-9]+$");
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    Seed(seed);
    for (int step = 0; step < 15; ++step) {
      if (step % 3 == 2) {
        AnyUpkeep(false);
      } else {
        StoreLines({RandomLines(step * 8), RandomLines(step * 5), RandomLines(step * 8)});
      }
    }
    for (int question = 0; question < 10; ++question) {
      const LogSelection selection = RandomSelection(&needle);
      for (const LogOrder order : kOrders) {
        const std::vector<std::string> expected = Expected(selection, order);
        EXPECT_EQ(Show(AllPages(selection, {.order = order, .lines = 100'000})), expected) << "seed " << seed;
        for (const std::size_t lines : {1, 2, 9, 100}) {
          if (lines < 9 && question % 5 != 0) continue;
          const LogPageRequest request{.order = order, .lines = lines};
          ASSERT_EQ(Show(AllPages(selection, request)), expected) << "seed " << seed << ", pages of " << lines;
        }
        const LogPageRequest least{.order = order, .lines = 50, .limits = kLeastLimits};
        ASSERT_EQ(Show(AllPages(selection, least)), expected) << "seed " << seed << ", one unit a call";
      }
    }
  }
}

TEST_F(LogScanTest, WhileMergesAndDeletionsRunEachLineComesOnceAndNoneIsMissed) {
  const LogFilter needle = *LogFilter::ForText("NEEDLE");
  for (std::uint32_t seed = 11; seed <= 14; ++seed) {
    Seed(seed);
    for (int step = 0; step < 20; ++step) {
      StoreLines({RandomLines(step * 8), RandomLines(step * 8), RandomLines(step * 4)});
      if (step % 4 == 3) AnyUpkeep(false);
    }
    for (const LogOrder order : kOrders) {
      const LogSelection selection = RandomSelection(&needle);
      const std::vector<std::string> before = Expected(selection, order);
      LogPageRequest request{.order = order, .lines = 15};
      if (random_() % 2 == 0) request.limits = kLeastLimits;
      const std::vector<FoundEntry> found = AllPages(selection, request, [&] { AnyUpkeep(true); });
      std::vector<std::string> shown;
      for (const FoundEntry& entry : found) {
        const auto* gap = std::get_if<FoundGap>(&entry);
        if (gap == nullptr || gap->reason != "RETENTION") shown.push_back(Show(entry));
      }
      const std::vector<std::string> after = Expected(selection, order);
      // What is still there was found, in its order; what was found was there.
      std::vector<std::string> still_there;
      const std::set<std::string> kept(after.begin(), after.end());
      for (const std::string& entry : shown) {
        if (kept.contains(entry)) still_there.push_back(entry);
      }
      EXPECT_EQ(still_there, after) << "seed " << seed;
      const std::set<std::string> once(shown.begin(), shown.end());
      EXPECT_EQ(once.size(), shown.size()) << "seed " << seed;
      const std::set<std::string> known(before.begin(), before.end());
      for (const std::string& entry : shown) EXPECT_TRUE(known.contains(entry)) << entry;
    }
  }
}

// Many sources, so that much of a question's time lies between its looks at the tail's index and at the tables.
TEST_F(LogScanTest, ARowThatBecomesAChunkBetweenTwoLooksIsFoundOnce) {
  constexpr std::int64_t kSources = 300;
  std::vector<std::vector<ModelLine>> records;
  for (std::int64_t i = 0; i < kSources; ++i) {
    records.push_back(Plain(static_cast<double>(i), {"x"}));
    records.back().front().resource = "web-" + std::to_string(i);
  }
  StoreLines(records);
  scanner();
  std::atomic<bool> is_done = false;
  std::thread merger([&] {
    for (std::int64_t source = 1; source <= kSources; ++source) MergeRows(source);
    is_done = true;
  });
  while (!is_done) {
    EXPECT_THAT(*scanner().ListResources(selection_.target_id, selection_.deployment_id), SizeIs(kSources));
    EXPECT_THAT(Page(selection_, {.lines = 1000}), SizeIs(kSources));
  }
  merger.join();
}

TEST_F(LogScanTest, LinesOfOneMomentAreInTheOrderOfTheirNumbers) {
  StoreTexts(1, {"a", "b", "c"}, 0);
  StoreTexts(1, {"d", "e"}, 0);
  MergeRows(1, 1);
  for (const std::size_t lines : {1, 2, 10}) {
    EXPECT_EQ(Show(AllPages(selection_, {.lines = lines})), Expected(selection_, LogOrder::kOldestFirst));
    EXPECT_EQ(Show(AllPages(selection_, {.order = LogOrder::kNewestFirst, .lines = lines})),
              Expected(selection_, LogOrder::kNewestFirst));
  }
}

TEST_F(LogScanTest, APageEndsAtItsBytes) {
  std::vector<std::string> texts;
  texts.reserve(300);
  for (int i = 0; i < 300; ++i) texts.emplace_back(kMaxLineBytes, static_cast<char>('a' + i % 26));
  for (int i = 0; i < 6; ++i) {
    StoreLines({Plain(i * 100, std::vector<std::string>(texts.begin() + i * 50, texts.begin() + (i + 1) * 50))});
  }
  const auto page = scanner().ReadPage(selection_, {.lines = 1000});
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->entries, SizeIs(kMaxPageBytes / kMaxLineBytes));
  EXPECT_EQ(page->report.end, ScanEnd::kPage);
  EXPECT_EQ(Show(AllPages(selection_, {.lines = 1000})), Expected(selection_, LogOrder::kOldestFirst));
}

TEST_F(LogScanTest, AStopSaysWhyAndHowFarItIs) {
  for (int i = 0; i < 4; ++i) StoreTexts(i * 100, {"straw", "straw", "straw"});
  const LogFilter needle = *LogFilter::ForText("needle");
  selection_.filter = &needle;
  auto page = scanner().ReadPage(selection_, {.limits = {.max_bytes = 20}});
  EXPECT_THAT(page->entries, IsEmpty());
  EXPECT_EQ(page->report.end, ScanEnd::kBytes);
  EXPECT_EQ(page->report.reached_us, UsAt(200));
  EXPECT_EQ(page->report.scanned_bytes, 36);
  EXPECT_EQ(page->report.scanned_lines, 6);
  page =
      scanner().ReadPage(selection_, {.order = LogOrder::kNewestFirst, .limits = {.max_time = absl::ZeroDuration()}});
  EXPECT_EQ(page->report.end, ScanEnd::kTime);
  EXPECT_EQ(page->report.reached_us, UsAt(202));
  ASSERT_TRUE(page->next);
  page = scanner().ReadPage(selection_, {.after = page->next});
  EXPECT_EQ(page->report.end, ScanEnd::kAll);
  EXPECT_FALSE(page->next);
}

TEST_F(LogScanTest, AChunkWithoutTheWantedLevelsIsNotRead) {
  std::vector<ModelLine> lines = Plain(1, {"a", "b"});
  lines.front().kind.level = LogLevel::kInfo;
  StoreLines({lines});
  MergeRows(1);
  selection_.levels = {LogLevel::kError};
  EXPECT_EQ(scanner().ReadPage(selection_, {})->report.scanned_bytes, 0);
  selection_.levels = {LogLevel::kNone};
  EXPECT_THAT(Page(selection_), SizeIs(1));
  // A page that is full does not read what lies beyond it.
  selection_.levels = {};
  StoreTexts(100, {"c"});
  EXPECT_EQ(scanner().ReadPage(selection_, {.lines = 2})->report.scanned_bytes, 4);
}

TEST_F(LogScanTest, LinesThatComeLateAreNotShownByLaterPages) {
  StoreTexts(1, {"a", "b", "c"});
  const auto first = scanner().ReadPage(selection_, {.lines = 2});
  StoreLines({Plain(1, {"late"}), Plain(10, {"d"})});
  EXPECT_THAT(ShowLines(Page(selection_, {.after = first->next})), ElementsAre(Show(model_[2]), Show(model_[4])));
}

TEST_F(LogScanTest, SaysWhatStandsBesideALine) {
  std::vector<ModelLine> lines = Plain(5, {"x"});
  lines.front().kind = {.stream = LogStream::kStderr, .level = LogLevel::kFatal, .is_continued = true};
  origin_.skew = absl::Seconds(-10);
  StoreLines({lines});
  const auto entries = Page(selection_);
  ASSERT_THAT(entries, SizeIs(1));
  const auto& found = std::get<FoundLine>(entries.front());
  EXPECT_EQ(found.kind, lines.front().kind);
  EXPECT_EQ(found.shift_us, 10'000'000);
  EXPECT_EQ(found.place.time_us, UsAt(15));
}

TEST_F(LogScanTest, OtherTargetsAndDeploymentsAreNotTouched) {
  StoreTexts(1, {"a"});
  selection_.deployment_id = "";
  EXPECT_THAT(Page(selection_), IsEmpty());
  selection_ = LogSelection();
  selection_.target_id = "tgt_2";
  EXPECT_THAT(Page(selection_), IsEmpty());
}

TEST_F(LogScanTest, NumberAndEpochAreThoseOfTheFile) {
  EXPECT_EQ(*scanner().LastNumber(), 0);
  StoreTexts(1, {"a", "b"});
  EXPECT_EQ(*scanner().LastNumber(), 2);
  const std::string epoch = *scanner().LogEpoch();
  EXPECT_THAT(epoch, SizeIs(32));
  MergeRows(1);
  EXPECT_EQ(*scanner().LastNumber(), 2);
  LogScanner another(logs_.get(), &clock_);
  EXPECT_EQ(*another.LogEpoch(), epoch);
}

}  // namespace
}  // namespace muster::hub
