#include "agent/http/line_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LineSplitter, PutsLinesTogetherAcrossReads) {
  LineSplitter splitter(10);
  EXPECT_THAT(splitter.Feed("ab"), IsEmpty());
  EXPECT_THAT(splitter.Feed("c\nde\r\n\n\nf"), ElementsAre("abc", "de"));
  EXPECT_THAT(splitter.Feed("\n"), ElementsAre("f"));
  EXPECT_EQ(splitter.skipped(), 0);
}

TEST(LineSplitter, SkipsAndCountsLinesBeyondTheLimit) {
  LineSplitter splitter(4);
  EXPECT_THAT(splitter.Feed("1234\n12345\nab\n"), ElementsAre("1234", "ab"));
  EXPECT_EQ(splitter.skipped(), 1);
  for (int i = 0; i < 100; ++i) EXPECT_THAT(splitter.Feed("xxxx"), IsEmpty());
  EXPECT_THAT(splitter.Feed("x\nok\n"), ElementsAre("ok"));
  EXPECT_EQ(splitter.skipped(), 2) << "one long line, however many pieces";
}

TEST(LineSplitter, ForgetsTheRestOfAnOldStream) {
  LineSplitter splitter(4);
  EXPECT_THAT(splitter.Feed("half"), IsEmpty());
  splitter.Reset();
  EXPECT_THAT(splitter.Feed("new\n"), ElementsAre("new"));
}

}  // namespace
}  // namespace muster::agent
