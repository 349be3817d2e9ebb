#include "hub/logs/log_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;

class LogContextTest : public LogScanTest {
 protected:
  // Numbers of lines that stand within `lines` of a hit of their source and are none.
  std::set<std::int64_t> ExpectedContext(const LogSelection& selection, std::size_t lines) const {
    std::map<std::pair<std::string, std::string>, std::vector<ModelLine>> sources;
    for (const ModelLine& line : InOrder(LogOrder::kOldestFirst)) {
      if (!line.kind.is_marker) sources[{line.resource, line.revision}].push_back(line);
    }
    std::set<std::int64_t> context;
    for (const auto& [name, of_source] : sources) {
      for (std::size_t hit = 0; hit < of_source.size(); ++hit) {
        if (!IsHit(selection, of_source[hit])) continue;
        for (std::size_t i = hit - std::min(hit, lines); i < of_source.size() && i <= hit + lines; ++i) {
          if (!IsHit(selection, of_source[i])) context.insert(of_source[i].place.number);
        }
      }
    }
    return context;
  }
  std::vector<std::string> Texts(const LogPageRequest& request) {
    std::vector<std::string> texts;
    for (const FoundEntry& entry : Page(selection_, request)) {
      const auto& line = std::get<FoundLine>(entry);
      texts.push_back(line.is_context ? "(" + line.text + ")" : line.text);
    }
    return texts;
  }
};

TEST_F(LogContextTest, StandsOnBothSidesAlsoOverTheEndsOfChunks) {
  StoreTexts(1, {"a", "b", "c"});
  StoreTexts(4, {"needle 1"});
  StoreTexts(5, {"d", "e", "f"});
  StoreTexts(8, {"g", "needle 2", "h"});
  const LogFilter needle = *LogFilter::ForText("needle");
  selection_.filter = &needle;
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(Texts({.context_lines = 1}), ElementsAre("(c)", "needle 1", "(d)", "(g)", "needle 2", "(h)"));
    EXPECT_THAT(Texts({.context_lines = 3}),
                ElementsAre("(a)", "(b)", "(c)", "needle 1", "(d)", "(e)", "(f)", "(g)", "needle 2", "(h)"));
    EXPECT_THAT(Texts({.order = LogOrder::kNewestFirst, .lines = 1, .context_lines = 2}),
                ElementsAre("(h)", "needle 2", "(g)", "(f)"));
    // Rows, chunks and rows, chunks alone.
    MergeRows(1, 2);
  }
}

TEST_F(LogContextTest, IsOutsideOfTheWindowTooAndOfAnyLevel) {
  StoreTexts(1, {"a", "b", "c", "d"});
  selection_.from_us = UsAt(2);
  selection_.to_us = UsAt(3);
  EXPECT_THAT(Texts({.context_lines = 1}), ElementsAre("(a)", "b", "(c)"));
}

TEST_F(LogContextTest, OverAllPagesEachLineIsShownOnce) {
  const LogFilter needle = *LogFilter::ForText("needle");
  for (std::uint32_t seed = 21; seed <= 23; ++seed) {
    Seed(seed);
    for (int step = 0; step < 12; ++step) {
      StoreLines({RandomLines(step * 8), RandomLines(step * 8)});
      if (step % 3 == 2) AnyUpkeep(false);
    }
    for (int question = 0; question < 6; ++question) {
      LogSelection selection = RandomSelection(&needle);
      selection.filter = &needle;
      const int lines = question % 4 + 1;
      for (const LogOrder order : {LogOrder::kOldestFirst, LogOrder::kNewestFirst}) {
        for (const std::size_t page : {1, 3, 1000}) {
          std::vector<std::string> hits;
          std::multiset<std::int64_t> context;
          const LogPageRequest request{.order = order, .lines = page, .context_lines = lines};
          for (const FoundEntry& entry : AllPages(selection, request)) {
            const auto* line = std::get_if<FoundLine>(&entry);
            if (line != nullptr && line->is_context) {
              context.insert(line->place.number);
            } else {
              hits.push_back(Show(entry));
            }
          }
          ASSERT_EQ(hits, Expected(selection, order)) << "seed " << seed;
          const std::set<std::int64_t> expected = ExpectedContext(selection, static_cast<std::size_t>(lines));
          ASSERT_EQ(context, (std::multiset<std::int64_t>(expected.begin(), expected.end())))
              << "seed " << seed << ", question " << question << ", pages of " << page;
        }
      }
    }
  }
}

TEST_F(LogContextTest, APageThatItFillsGoesOnBehindItsLastHit) {
  std::vector<std::string> texts;
  for (int i = 0; i < 400; ++i) texts.push_back(i % 40 == 20 ? "needle" : std::string(16'000, 'x'));
  for (int i = 0; i < 8; ++i) {
    StoreTexts(i * 50, std::vector<std::string>(texts.begin() + i * 50, texts.begin() + (i + 1) * 50));
  }
  const LogFilter needle = *LogFilter::ForText("needle");
  selection_.filter = &needle;
  const auto page = scanner().ReadPage(selection_, {.context_lines = 19});
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE(page->next);
  EXPECT_EQ(page->report.end, ScanEnd::kPage);
  EXPECT_EQ(page->entries.size(), 4 * 39U) << "beyond 2 MiB with the fourth";
  EXPECT_EQ(AllPages(selection_, {.context_lines = 19}).size(), 10 * 39U);
}

}  // namespace
}  // namespace muster::hub
