#include "common/text.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

struct Utf8Case {
  const char* name;
  std::string raw;
  std::string clean;
};

TEST(CleanUtf8, ReplacesEachMaximalIllFormedPart) {
  const Utf8Case cases[] = {
      {"ascii", "plain", "plain"},
      {"umlaut", "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
      {"lone continuation", "a\x80z", "a\xEF\xBF\xBDz"},
      {"overlong slash", "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"surrogate", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"cut four-byte character", "\xF0\x9F\x98", "\xEF\xBF\xBD"},
      {"cut then ascii", "\xF0\x9F\x98!", "\xEF\xBF\xBD!"},
      {"above the last code point", "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"NUL is a character", std::string("a\0b", 3), std::string("a\0b", 3)},
  };
  for (const Utf8Case& c : cases) {
    EXPECT_EQ(CleanUtf8(c.raw, 100), c.clean) << c.name;
    EXPECT_TRUE(IsValidUtf8(CleanUtf8(c.raw, 100))) << c.name;
  }
}

TEST(CleanUtf8, CutsBetweenCharactersAndMarksTheCut) {
  EXPECT_EQ(CleanUtf8("abcdef", 6), "abcdef");
  EXPECT_EQ(CleanUtf8("abcdefg", 6), "abc\xE2\x80\xA6");
  EXPECT_EQ(CleanUtf8("\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC", 7), "\xC3\xBC\xC3\xBC\xE2\x80\xA6");
  EXPECT_EQ(CleanUtf8("abc", 2), "");
  for (std::size_t limit = 0; limit < 20; ++limit) {
    EXPECT_LE(CleanUtf8(std::string(30, '\xFF'), limit).size(), limit);
  }
}

TEST(EscapeControl, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(EscapeControl("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(EscapeControl("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(EscapeControl("\xC2\x9B"
                          "31m"),
            "\\x9b31m");
  EXPECT_EQ(EscapeControl("a\xE2\x80\xAE"
                          "b"),
            "a\\u202eb");
  EXPECT_EQ(EscapeControl("\xFF"), "\\xff");
  EXPECT_EQ(EscapeControl("gr\xC3\xBCn"), "gr\xC3\xBCn");
}

TEST(IsValidUtf8, FindsAnIllFormedByteWhereverItStands) {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text.replace(at, 1, "\xC3\xA4");
      EXPECT_TRUE(IsValidUtf8(text)) << size << " " << at;
      text.erase(at + 1, 1);
      EXPECT_FALSE(IsValidUtf8(text)) << size << " " << at;
    }
  }
}

}  // namespace
}  // namespace muster
