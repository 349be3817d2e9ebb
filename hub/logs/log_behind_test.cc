#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LogBehindTest : public LogScanTest {
 protected:
  std::vector<std::string> ByNumber(const LogSelection& selection) const {
    std::vector<std::string> expected;
    for (const ModelLine& line : model_) {
      if (IsHit(selection, line)) expected.push_back(Show(line));
      if (IsGap(selection, line)) expected.push_back(ShowMarker(line));
    }
    return expected;
  }
  // On to `up_to`; entries go to `all`, without gaps that begin before the window.
  void Follow(const LogSelection& selection, std::int64_t up_to, std::size_t lines, std::int64_t* after,
              std::vector<std::string>* all) {
    while (*after < up_to) {
      const auto follow = scanner().ReadBehind(selection, *after, up_to, lines);
      ASSERT_TRUE(follow.ok()) << follow.status();
      ASSERT_GT(follow->reached, *after);
      ASSERT_LE(follow->reached, up_to);
      *after = follow->reached;
      for (const FoundEntry& entry : follow->entries) {
        const auto* gap = std::get_if<FoundGap>(&entry);
        if (gap == nullptr || gap->from_us >= selection.from_us) all->push_back(Show(entry));
      }
    }
  }
};

TEST_F(LogBehindTest, EachLineComesOnceInTheOrderOfNumbersBeforeDuringAndAfterMerges) {
  const LogFilter needle = *LogFilter::ForText("needle");
  for (std::uint32_t seed = 61; seed <= 64; ++seed) {
    Seed(seed);
    const LogSelection selection = RandomSelection(&needle);
    std::int64_t after = 0;
    std::vector<std::string> live;
    Follow(selection, *scanner().LastNumber(), 50, &after, &live);
    for (int step = 0; step < 30; ++step) {
      if (step % 3 == 0) StoreLines({RandomLines(step * 8), RandomLines(step * 8)});
      if (step % 3 == 1) AnyUpkeep(false);
      // Now and then the reader stops in the midst of what there is.
      const std::int64_t last = *scanner().LastNumber();
      if (step % 3 == 2) Follow(selection, after + (last - after) / 2, random_() % 20 + 1, &after, &live);
    }
    Follow(selection, *scanner().LastNumber(), 7, &after, &live);
    EXPECT_EQ(live, ByNumber(selection)) << "seed " << seed;
    for (std::int64_t source = 1; source <= 6; ++source) MergeRows(source);
    std::vector<std::string> resumed;
    after = 0;
    Follow(selection, *scanner().LastNumber(), 100, &after, &resumed);
    EXPECT_EQ(resumed, ByNumber(selection)) << "seed " << seed;
  }
}

TEST_F(LogBehindTest, AGapComesBeforeTheLineThatCameNext) {
  StoreTexts(1, {"a"});
  const std::int64_t before = *scanner().LastNumber();
  StoreGap(1.5, 2.5, 3, 2);
  EXPECT_THAT(scanner().ReadBehind(selection_, before, *scanner().LastNumber(), 10)->entries, IsEmpty());
  StoreTexts(3, {"b", "c"});
  StoreGap(5, 6, 1, 1);
  StoreTexts(7, {"d"});
  for (const std::size_t lines : {1, 2, 10}) {
    std::vector<std::string> all;
    std::int64_t after = before;
    Follow(selection_, *scanner().LastNumber(), lines, &after, &all);
    EXPECT_THAT(all,
                ElementsAre("JOURNAL_FULL 1500000+1000000 lines=3 records=2 of ''", Show(model_[1]), Show(model_[2]),
                            "JOURNAL_FULL 5000000+1000000 lines=1 records=1 of ''", Show(model_[3])));
  }
}

TEST_F(LogBehindTest, NothingIsCountedAsLookedAtThatIsNotStoredYet) {
  StoreTexts(1, {"a", "b"});
  const auto follow = scanner().ReadBehind(selection_, 0, 1000, 10);
  EXPECT_EQ(follow->reached, 2);
  EXPECT_THAT(follow->entries, ::testing::SizeIs(2));
  EXPECT_EQ(scanner().ReadBehind(selection_, 2, 1000, 10)->reached, 2);
  EXPECT_EQ(scanner().ReadBehind(selection_, 7, 3, 10)->reached, 7);
}

TEST_F(LogBehindTest, WhileAnotherThreadStoresAndMergesNothingIsLostOrTwice) {
  Seed(71);
  scanner();
  std::atomic<bool> is_done = false;
  std::thread upkeep([&] {
    for (int step = 0; step < 60; ++step) {
      StoreLines({RandomLines(step), RandomLines(step)});
      AnyUpkeep(false);
    }
    is_done = true;
  });
  std::vector<std::string> live;
  std::int64_t after = 0;
  std::size_t pages = 0;
  for (bool is_last = false; !is_last;) {
    is_last = is_done;
    const std::int64_t last = *scanner().LastNumber();
    Follow(selection_, last, 100, &after, &live);
    // A page shows all that was stored before it was asked for.
    const std::size_t found = Page(selection_, {.lines = 1'000'000}).size();
    EXPECT_GE(found, live.size());
    ++pages;
  }
  upkeep.join();
  EXPECT_EQ(live, ByNumber(selection_)) << pages;
}

}  // namespace
}  // namespace muster::hub
