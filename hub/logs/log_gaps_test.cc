#include "hub/logs/log_gaps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LogGapsTest : public LogScanTest {
 protected:
  // Texts of lines, and reasons of gaps, over all pages of so many.
  std::vector<std::string> Brief(LogOrder order, std::size_t lines) {
    std::vector<std::string> brief;
    LogPageRequest request{.order = order, .lines = lines};
    while (true) {
      const auto page = scanner().ReadPage(selection_, request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return brief;
      for (const FoundEntry& entry : page->entries) {
        const auto* gap = std::get_if<FoundGap>(&entry);
        brief.push_back(gap == nullptr ? std::get<FoundLine>(entry).text : gap->reason);
      }
      if (!page->next) return brief;
      request.after = page->next;
    }
  }
  void ExpectBothWays(const std::vector<std::string>& expected) {
    const std::vector<std::string> reversed(expected.rbegin(), expected.rend());
    for (const std::size_t lines : {1, 2, 3, 100}) {
      EXPECT_EQ(Brief(LogOrder::kOldestFirst, lines), expected) << "pages of " << lines;
      EXPECT_EQ(Brief(LogOrder::kNewestFirst, lines), reversed) << "pages of " << lines;
    }
  }
};

TEST_F(LogGapsTest, EachStandsOnceWhereItBeginsOnAllPagesAndBothWays) {
  StoreTexts(1, {"a", "b"});
  StoreGap(1.5, 2.5, 40, 3);
  StoreMarker(3, "RATE 7 0");
  StoreTexts(4, {"c", "d"});
  StoreGap(5, 6, 0, 1);
  StoreTexts(7, {"e"});
  MergeRows(1, 2);
  StoreGap(7.5, 8, 1, 1);
  ExpectBothWays({"a", "JOURNAL_FULL", "b", "RATE", "c", "JOURNAL_FULL", "d", "e", "JOURNAL_FULL"});
  const LogFilter nothing = *LogFilter::ForText("nothing has this");
  selection_.filter = &nothing;
  ExpectBothWays({"JOURNAL_FULL", "RATE", "JOURNAL_FULL", "JOURNAL_FULL"});
  selection_.levels = {LogLevel::kFatal};
  selection_.stream = LogStream::kStderr;
  ExpectBothWays({"JOURNAL_FULL", "RATE", "JOURNAL_FULL", "JOURNAL_FULL"});
  // What a target lost has no name; what a marker says is of its own resource.
  selection_.resources = {"another"};
  ExpectBothWays({"JOURNAL_FULL", "JOURNAL_FULL", "JOURNAL_FULL"});
}

TEST_F(LogGapsTest, SayWhatIsKnownOfThem) {
  origin_.skew = absl::Seconds(-10);
  StoreMarker(20, fmt::format("ROTATED 0 {}", UsAt(25)));
  origin_.skew = absl::ZeroDuration();
  StoreGap(40, 45, 12, 3);
  EXPECT_THAT(Show(Page(selection_)), ElementsAre("ROTATED 30000000+5000000 lines=0 records=0 of 'web-0'",
                                                  "JOURNAL_FULL 40000000+5000000 lines=12 records=3 of ''"));
}

TEST_F(LogGapsTest, AMarkerThatDoesNotReadAsOneIsOfUnknownReason) {
  StoreMarker(5, "no marker");
  StoreMarker(6, fmt::format("RATE 5 {}", UsAt(1)));
  StoreMarker(7, "RATE 5 9223372036854775807");
  EXPECT_THAT(
      Show(Page(selection_)),
      ElementsAre("UNKNOWN 5000000+0 lines=0 records=0 of 'web-0'", "RATE 6000000+0 lines=5 records=0 of 'web-0'",
                  fmt::format("RATE 7000000+{} lines=5 records=0 of 'web-0'", kMaxLineTimeUs - UsAt(7))));
}

TEST_F(LogGapsTest, OneThatReachesIntoTheWindowIsShown) {
  StoreTexts(1, {"a"});
  StoreMarker(50, fmt::format("OFF 0 {}", UsAt(150)));
  StoreGap(60, 160, 5, 1);
  StoreTexts(200, {"b"});
  for (int round = 0; round < 3; ++round) {
    selection_.from_us = UsAt(100);
    selection_.to_us = UsAt(300);
    ExpectBothWays({"OFF", "JOURNAL_FULL", "b"});
    selection_.from_us = UsAt(155);
    ExpectBothWays({"JOURNAL_FULL", "b"});
    selection_.from_us = UsAt(161);
    ExpectBothWays({"b"});
    selection_.from_us = UsAt(10);
    selection_.to_us = UsAt(50);
    ExpectBothWays({});
    selection_.to_us = UsAt(51);
    ExpectBothWays({"OFF"});
    MergeRows(1, 1);
  }
}

TEST_F(LogGapsTest, WhatRetentionTookStandsBeforeTheOldestLineAndAtTheEndOfTheOtherWay) {
  StoreTexts(1, {"a", "b"});
  MergeRows(1);
  StoreTexts(10, {"c", "d"});
  DeleteOldestChunk();
  ExpectBothWays({"RETENTION", "c", "d"});
  EXPECT_THAT(ShowGaps(Page(selection_)), ElementsAre("RETENTION 2000000+0 lines=2 records=0 of 'web-0'"));
  // A window of which nothing is left says why.
  selection_.from_us = UsAt(0);
  selection_.to_us = UsAt(2);
  ExpectBothWays({"RETENTION"});
  selection_.from_us = UsAt(3);
  selection_.to_us = UsAt(11);
  ExpectBothWays({"c"});
}

TEST_F(LogGapsTest, RetentionThatOvertakesAReaderIsSaid) {
  for (int i = 0; i < 4; ++i) {
    StoreTexts(i * 10, {"line " + std::to_string(i)});
    MergeRows(1);
  }
  const auto first = scanner().ReadPage(selection_, {.lines = 1});
  EXPECT_THAT(ShowGaps(first->entries), IsEmpty());
  for (int i = 0; i < 3; ++i) DeleteOldestChunk();
  EXPECT_THAT(Show(Page(selection_, {.after = first->next})),
              ElementsAre("RETENTION 20000000+0 lines=3 records=0 of 'web-0'", Show(model_.back())));
}

}  // namespace
}  // namespace muster::hub
