#include "hub/cli/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("● stale"), 7);
  EXPECT_EQ(DisplayWidth("日本"), 4);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
  EXPECT_EQ(DisplayWidth("🚀"), 2);
  EXPECT_EQ(DisplayWidth("\xff\xc3"), 2);  // no UTF-8: counted, not read past
}

TEST(Table, AlignsByDisplayWidthAndLeavesEmptyColumnsOut) {
  Table table({"NAME", "EMPTY", "STATE"});
  table.Add({{Span("日本")}, {Span("")}, {Span("ok")}});
  table.Add({{Span("a")}, {Span("")}, {Span("bad")}});
  Page page;
  page.Add(table);
  EXPECT_THAT(page.Lines({}), ElementsAre("NAME  STATE", "日本  ok", "a     bad"));
}

TEST(Page, EscapesWhatComesFromOutside) {
  Page page;
  page.Line({Span("evil\x1b[31m\nname\u202e")});
  Table table({"N"});
  table.Add({{Span("\x9b"), Span("\r\x07")}});
  page.Add(table);
  const std::string out = page.Render({.color = true, .columns = 80});
  EXPECT_THAT(out, HasSubstr("evil\\x1b[31m\\nname\\u202e"));
  EXPECT_THAT(out, HasSubstr("\\x9b\\r\\x07"));
  EXPECT_THAT(out, Not(HasSubstr("\x1b[31m")));
}

TEST(Page, CutsToTheTerminalAndMarksTheCut) {
  Page page;
  page.Line({Span("abc"), Span("日本語")});
  EXPECT_THAT(page.Lines({.color = false, .columns = 9}), ElementsAre("abc日本語"));
  EXPECT_THAT(page.Lines({.color = false, .columns = 8}), ElementsAre("abc日本…"));
  EXPECT_THAT(page.Lines({.color = false, .columns = 7}), ElementsAre("abc日…"));
  EXPECT_THAT(page.Lines({.color = false, .columns = 1}), ElementsAre("…"));
}

TEST(Page, ColoursOnlyWhenAsked) {
  Page page;
  page.Line({Span("● fine", Tone::kGood), Span(" plain")});
  EXPECT_THAT(page.Lines({.color = false}), ElementsAre("● fine plain"));
  EXPECT_THAT(page.Lines({.color = true}), ElementsAre("\x1b[32m● fine\x1b[0m plain"));
}

}  // namespace
}  // namespace muster::cli
