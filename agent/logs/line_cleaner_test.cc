#include "agent/logs/line_cleaner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "common/text.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;

std::string Clean(std::string_view text) {
  std::string kept;
  std::string buffer;
  std::string clean(CleanText(text, true, &kept, &buffer));
  EXPECT_EQ(kept, "");
  return clean;
}

// The line cut into pieces at these offsets.
std::string CleanPieces(std::string_view line, const std::vector<std::size_t>& cuts) {
  std::string kept;
  std::string buffer;
  std::string clean;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    clean += CleanText(line.substr(from, cut - from), false, &kept, &buffer);
    EXPECT_LE(kept.size(), kMaxKeptBytes);
    from = cut;
  }
  clean += CleanText(line.substr(from), true, &kept, &buffer);
  EXPECT_EQ(kept, "");
  return clean;
}

TEST(CleanText, LeavesWhatIsCleanWhereItIs) {
  std::string kept;
  std::string buffer;
  for (const std::string_view text : {"", "a", "plain ascii, longer than eight bytes", "gr\xC3\xBC\xC3\x9F dich",
                                      "\x1b[31mred\x1b[0m", "\xF0\x9F\x99\x82 smile"}) {
    const std::string_view clean = CleanText(text, true, &kept, &buffer);
    EXPECT_EQ(clean, text);
    EXPECT_EQ(clean.data(), text.data()) << "copied";
  }
}

TEST(CleanText, TakesOneCarriageReturnFromTheEnd) {
  EXPECT_EQ(Clean("a\r"), "a");
  EXPECT_EQ(Clean("a\r\r"), "a\r");
  EXPECT_EQ(Clean("10%\r20%\r"), "10%\r20%");
  EXPECT_EQ(Clean("\r"), "");
}

TEST(CleanText, KeepsNulBytes) { EXPECT_EQ(Clean(std::string_view("a\0b", 3)), std::string_view("a\0b", 3)); }

TEST(CleanText, ReplacesEachMaximalIllFormedPart) {
  // The example of the Unicode Standard, 3.9, table 3-11.
  EXPECT_EQ(Clean("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFD"
            "b\uFFFD"
            "c\uFFFD\uFFFD"
            "d");
  EXPECT_EQ(Clean("\xC0\xAF"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(Clean("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "surrogate";
  EXPECT_EQ(Clean("\xF4\x91\x92\x93"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
  EXPECT_EQ(Clean("ends in the middle of \xE2\x82"), "ends in the middle of \uFFFD");
  EXPECT_EQ(Clean("latin \xFC and utf-8 \xC3\xBC"), "latin \uFFFD and utf-8 \u00FC");
}

TEST(CleanText, PutsADividedCharacterTogether) {
  const std::string euro = "12 \u20AC";
  EXPECT_EQ(CleanPieces(euro, {4}), euro);
  EXPECT_EQ(CleanPieces(euro, {5}), euro);
  EXPECT_EQ(CleanPieces(euro, {4, 5}), euro) << "over three pieces";
}

TEST(CleanText, ACarriageReturnAtTheEndOfAPieceWaitsForItsNewline) {
  EXPECT_EQ(CleanPieces("a\r", {2}), "a") << "the newline alone in the last piece";
  EXPECT_EQ(CleanPieces("a\rb", {2}), "a\rb");
}

TEST(CleanText, APieceOfIllFormedBytesDoesNotWait) {
  std::string kept;
  std::string buffer;
  EXPECT_EQ(CleanText("a\x80\x80\x80", false, &kept, &buffer), "a\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(kept, "");
  EXPECT_EQ(CleanText("b\xF0\x9F\x99", false, &kept, &buffer), "b");
  EXPECT_EQ(kept, "\xF0\x9F\x99");
  EXPECT_EQ(CleanText("c", true, &kept, &buffer),
            "\uFFFD"
            "c");
}

TEST(CleanText, PiecesGiveWhatTheWholeLineGives) {
  constexpr std::uint32_t kSeed = 20261121;
  std::mt19937 random(kSeed);
  const std::vector<std::string> alphabet = {"a",    "\r",   "\u00FC", "\u20AC", "\U0001F642", "\x80", "\xBF", "\xC2",
                                             "\xE2", "\xED", "\xF0",   "\xF4",   "\xC0",       "\xFF", "\xA0", "\x9F"};
  for (int round = 0; round < 20'000; ++round) {
    std::string line;
    for (auto i = random() % 12; i > 0; --i) line += alphabet[random() % alphabet.size()];
    const std::string whole = Clean(line);
    ASSERT_TRUE(IsValidUtf8(whole));
    std::vector<std::size_t> cuts = {random() % (line.size() + 1), random() % (line.size() + 1)};
    std::sort(cuts.begin(), cuts.end());
    ASSERT_EQ(CleanPieces(line, cuts), whole) << "seed " << kSeed << ", round " << round << ": " << EscapeControl(line);
  }
}

std::vector<std::string> Split(std::string_view text, std::size_t max_bytes) {
  std::vector<std::string> parts;
  bool ended = false;
  SplitText(text, max_bytes, [&](std::string_view part, bool is_last) {
    EXPECT_FALSE(ended);
    parts.emplace_back(part);
    ended = is_last;
  });
  EXPECT_TRUE(ended);
  return parts;
}

TEST(SplitText, CutsAtTheLimit) {
  EXPECT_THAT(Split("", 4), ElementsAre(""));
  EXPECT_THAT(Split("abcd", 4), ElementsAre("abcd"));
  EXPECT_THAT(Split("abcde", 4), ElementsAre("abcd", "e"));
  EXPECT_EQ(Split(std::string(kMaxLineBytes, 'x'), kMaxLineBytes).size(), 1U);
  EXPECT_EQ(Split(std::string(kMaxLineBytes + 1, 'x'), kMaxLineBytes).size(), 2U);
}

TEST(SplitText, NeverInsideACharacter) {
  EXPECT_THAT(Split("abc\u20AC", 4), ElementsAre("abc", "\u20AC"));
  EXPECT_THAT(Split("a\U0001F642", 4), ElementsAre("a", "\U0001F642"));
  EXPECT_THAT(Split("\U0001F642\U0001F642", 4), ElementsAre("\U0001F642", "\U0001F642"));
  std::string text;
  for (int i = 0; i < 1000; ++i) text += i % 3 == 0 ? "\u20AC" : "\U0001F642";
  std::string joined;
  for (const std::string& part : Split(text, 17)) {
    EXPECT_TRUE(IsValidUtf8(part));
    EXPECT_GE(part.size(), joined.size() + part.size() == text.size() ? 1U : 14U);
    EXPECT_LE(part.size(), 17U);
    joined += part;
  }
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace muster::agent
