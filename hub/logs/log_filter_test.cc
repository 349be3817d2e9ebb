#include "hub/logs/log_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <random>
#include <string>
#include <vector>

#include "common/status.h"

namespace muster::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Indexes = std::vector<std::size_t>;
using std::string_literals::operator""s;

std::string TextOf(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Also that the visited line is the one of that index.
Indexes Matches(const LogFilter& filter, const std::vector<std::string>& lines) {
  Indexes found;
  filter.VisitMatches(TextOf(lines), [&](std::size_t index, std::string_view line) {
    EXPECT_EQ(line, lines.at(index));
    found.push_back(index);
    return true;
  });
  return found;
}

Indexes MatchesByLine(const RE2& pattern, const std::vector<std::string>& lines) {
  Indexes found;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (RE2::PartialMatch(lines[i], pattern)) found.push_back(i);
  }
  return found;
}

Indexes Matches(std::string_view expression, const std::vector<std::string>& lines) {
  const auto filter = LogFilter::ForExpression(expression);
  EXPECT_EQ(filter.status(), absl::OkStatus());
  return filter.ok() ? Matches(*filter, lines) : Indexes();
}

Indexes TextMatches(std::string_view text, const std::vector<std::string>& lines) {
  const auto filter = LogFilter::ForText(text);
  EXPECT_EQ(filter.status(), absl::OkStatus());
  return filter.ok() ? Matches(*filter, lines) : Indexes();
}

std::string BadFilter(const absl::StatusOr<LogFilter>& filter) {
  EXPECT_EQ(ReasonOf(filter.status()), "BAD_FILTER");
  EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
  return MessageOf(filter.status());
}

// Lines that tempt an expression to reach for the next one.
const std::vector<std::string>& Tempting() {
  static const std::vector<std::string> lines = {"",
                                                 "a",
                                                 "b",
                                                 "",
                                                 "ab",
                                                 "ba",
                                                 "a b",
                                                 " ",
                                                 "\t",
                                                 "\r",
                                                 "a\r",
                                                 "x",
                                                 "xx",
                                                 "aaa",
                                                 "error: timeout",
                                                 "ERROR",
                                                 "Error",
                                                 "0123",
                                                 "k",
                                                 "K",
                                                 "\xE2\x84\xAA",
                                                 "\xC3\xA9t\xC3\xA9",
                                                 "\0"s,
                                                 "a\0b"s,
                                                 "\x0B",
                                                 "_",
                                                 "-",
                                                 "\\A",
                                                 "$",
                                                 "\xFF",
                                                 "a\xE2",
                                                 "\x84\xAA",
                                                 "end",
                                                 ""};
  return lines;
}

TEST(LogFilter, FindsWhatPartialMatchFindsInEachLine) {
  const std::vector<std::string> whole = {// Everything that might take a newline for something else.
                                          "a",
                                          "",
                                          "^",
                                          "$",
                                          "^$",
                                          "^a",
                                          "a$",
                                          "^a$",
                                          "^.*$",
                                          "^\\s*$",
                                          "\\s",
                                          "\\s$",
                                          "^\\s",
                                          "\\s+",
                                          "a\\s*b",
                                          "\\S\\s\\S",
                                          "\\W",
                                          "\\W$",
                                          "\\D",
                                          "[^x]",
                                          "[^x]$",
                                          "[^a]b",
                                          "[^a-z]",
                                          "[^\\d]",
                                          "[^\\S]",
                                          "[^\\w]",
                                          "[^[:alpha:]]",
                                          "[[:^alpha:]]",
                                          "[[:space:]]",
                                          "[[:cntrl:]]",
                                          "\\pC",
                                          "\\PL",
                                          "[\\x00-\\x20]",
                                          "[\\x00-\\x{10FFFF}]",
                                          ".",
                                          ".$",
                                          "(?s).",
                                          "(?s).*",
                                          "(?s)a.b",
                                          "(?s:.)$",
                                          "(?s)a.*x",
                                          "(?m)^b",
                                          "(?m)a$",
                                          "(?m)$",
                                          "(?m:^)b",
                                          "(?ms)^.$",
                                          "(?U)a.*",
                                          "(?i)error",
                                          "(?i)k",
                                          "(?i)\\x{212A}",
                                          "\\n",
                                          "a\\nb",
                                          "a\\n",
                                          "\\na",
                                          "a\\n?",
                                          "\\n*",
                                          "a|\\n",
                                          "[\\n]",
                                          "[^\\n]",
                                          "[a\\n]b?",
                                          "\\x0a",
                                          "\\012",
                                          "a\nb",
                                          "\n",
                                          "(a|\n)b",
                                          "\\Qa\nb\\E",
                                          "\\Q\\E",
                                          "\\Q$",
                                          "\\Q$\\E",
                                          "\\b",
                                          "\\B",
                                          "\\bb",
                                          "a\\b",
                                          "\\Ba",
                                          "\\b$",
                                          "^\\b",
                                          "^\\B$",
                                          "\\b\\b",
                                          "x*",
                                          "x+?",
                                          "(x)*$",
                                          "(^a)|(b$)",
                                          "(?:^|b)$",
                                          "^|$",
                                          "$^",
                                          "a^",
                                          "$a",
                                          "^*",
                                          "(^)*a",
                                          "a{2,3}",
                                          "error.*timeout",
                                          "\xC3\xA9",
                                          "[^\xC3\xA9]",
                                          "\\x{212A}",
                                          "(?P<name>a)b",
                                          "[^\\x{0}-\\x{7f}]",
                                          "\\v",
                                          "\\r$",
                                          "(|a)+",
                                          "((((a))))",
                                          "\\ba|b\\b",
                                          "(?i)[k]",
                                          "(?-s).",
                                          "(?-i)a",
                                          "(?-U)a",
                                          "\\/",
                                          "(?:)"};
  for (const std::string& expression : whole) {
    const auto filter = LogFilter::ForExpression(expression);
    ASSERT_EQ(filter.status(), absl::OkStatus()) << expression;
    EXPECT_FALSE(filter->is_line_by_line()) << expression;
    EXPECT_EQ(Matches(*filter, Tempting()), MatchesByLine(RE2(expression), Tempting())) << expression;
  }
}

TEST(LogFilter, SearchesLineByLineWhatMeansAText) {
  const std::vector<std::string> expressions = {
      "\\A",       "\\Ab",     "a\\z",     "\\z",      "\\Aa\\z",      "\\C",     "a\\C",      "\\C{3}",
      "(?-m)^b",   "(?-m)$",   "(?-m:^)b", "(?i-m)a$", "(?s-mi:a$)",   "(?-im)a", "a(?-m)$|b", "\\\\A",
      "\\Q\\A\\E", "(?m-m)^b", "(\\A)|b",  "[^x]\\C",  "(?i)\\Aerror", "\\C\\z"};
  for (const std::string& expression : expressions) {
    const auto filter = LogFilter::ForExpression(expression);
    ASSERT_EQ(filter.status(), absl::OkStatus()) << expression;
    EXPECT_TRUE(filter->is_line_by_line()) << expression;
    EXPECT_EQ(Matches(*filter, Tempting()), MatchesByLine(RE2(expression), Tempting())) << expression;
  }
}

// By a grammar that likes what is difficult: ends of lines, classes that are negated, flags, newlines.
class MadeUpExpressions {
 public:
  explicit MadeUpExpressions(std::uint64_t seed) : random_(seed) {}

  std::string Expression() { return Alternation(2); }
  std::string Line() { return Some(kPieces, 6); }
  std::uint64_t Number(std::uint64_t below) { return random_() % below; }

 private:
  using Words = std::vector<std::string>;
  const Words kAtoms = {"a", "b", "x", "k", "\xC3\xA9", "_", " ", ".", ".", "^", "$", "^", "$", "\\b", "\\B", "\\s",
                        "\\S", "\\w", "\\W", "\\d", "\\D", "\\n", "\n", "\\r", "\\t", "\\x0a", "[^a]", "[^x]", "[^\\s]",
                        "[^\\w]", "[^\\n]", "[a\\n]", "[\\s\\S]", "[^\\S]", "[[:space:]]", "[[:^alpha:]]",
                        "[\\x00-\\x{10FFFF}]", "\\pL", "\\PL", "\\p{Zs}", "\\pC", "\\Q.\\E", "\\Qa\nb\\E", "\\x{212A}",
                        "error", "\\x00", "[^\\x00]",
                        // Rarer, so that most are searched as a whole.
                        "(?s)", "(?i)", "(?m)", "(?U)"};
  const Words kTextAtoms = {"\\A", "\\z", "\\C", "(?-m)", "(?i-m)"};
  const Words kRepeats = {"*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0}", "{2,}", "{0,2}?"};
  const Words kGroups = {"(", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?is:", "(?i-s:"};
  const Words kPieces = {"",         "",   "a", "b",    "x",    "k",        "K",    "\xE2\x84\xAA",
                         "\xC3\xA9", "_",  " ", "\t",   "\r",   "\0"s,      "7",    "error",
                         "ab",       "aa", "$", "\xFF", "\xE2", "\x84\xAA", "\x0B", "."};

  const std::string& Any(const Words& words) { return words[Number(words.size())]; }
  std::string Some(const Words& words, std::uint64_t at_most) {
    std::string some;
    for (std::uint64_t i = Number(at_most + 1); i > 0; --i) some += Any(words);
    return some;
  }
  std::string Alternation(int depth) {
    std::string expression = Sequence(depth);
    while (Number(4) == 0) expression += "|" + Sequence(depth);
    return expression;
  }
  std::string Sequence(int depth) {
    std::string expression;
    for (std::uint64_t i = 1 + Number(4); i > 0; --i) expression += Piece(depth);
    return expression;
  }
  std::string Piece(int depth) {
    std::string piece = depth > 0 && Number(4) == 0 ? Any(kGroups) + Alternation(depth - 1) + ")"
                        : Number(40) == 0           ? Any(kTextAtoms)
                                                    : Any(kAtoms);
    if (Number(3) == 0) piece += Any(kRepeats);
    return piece;
  }

  std::mt19937_64 random_;
};

TEST(LogFilter, FindsWhatPartialMatchFindsByMadeUpExpressions) {
  constexpr std::uint64_t kSeed = 1121;
  MadeUpExpressions made_up(kSeed);
  int whole = 0;
  int line_by_line = 0;
  RE2::Options options;
  options.set_log_errors(false);
  while (whole < 10'000) {
    const std::string expression = made_up.Expression();
    if (expression.size() > kMaxFilterBytes) continue;
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << ", expression " << testing::PrintToString(expression));
    const RE2 pattern(expression, options);
    const auto filter = LogFilter::ForExpression(expression);
    ASSERT_EQ(filter.ok(), pattern.ok());
    if (!filter.ok()) continue;
    ++(filter->is_line_by_line() ? line_by_line : whole);
    std::vector<std::string> lines(made_up.Number(12));
    for (std::string& line : lines) line = made_up.Line();
    ASSERT_EQ(Matches(*filter, lines), MatchesByLine(pattern, lines)) << testing::PrintToString(lines);
  }
  EXPECT_GT(line_by_line, 500);
}

TEST(LogFilter, FindsTextInAnyCase) {
  const std::vector<std::string> lines = {"Timeout", "a TIMEOUT b", "time out", "timeou", "t", "xtimeoutx"};
  EXPECT_THAT(TextMatches("timeout", lines), ElementsAre(0, 1, 5));
  EXPECT_THAT(TextMatches("TIMEOUT", lines), ElementsAre(0, 1, 5));
  EXPECT_THAT(TextMatches("\xC3\x89T\xC3\x89", {"\xC3\xA9t\xC3\xA9", "ete"}), ElementsAre(0));
}

TEST(LogFilter, TakesTextAsItStands) {
  const std::vector<std::string> lines = {"a.b", "axb", "$5 (net)", "\\A", "\0"s, "[x]", "^"};
  EXPECT_THAT(TextMatches("a.b", lines), ElementsAre(0));
  EXPECT_THAT(TextMatches("$5 (net)", lines), ElementsAre(2));
  EXPECT_THAT(TextMatches("\\a", lines), ElementsAre(3));
  EXPECT_THAT(TextMatches("\0"s, lines), ElementsAre(4));
  EXPECT_THAT(TextMatches("[", lines), ElementsAre(5));
  EXPECT_THAT(TextMatches("^", lines), ElementsAre(6));
  EXPECT_THAT(TextMatches("a.b\naxb", lines), IsEmpty()) << "no line holds a newline";
  EXPECT_THAT(TextMatches("\n", lines), IsEmpty());
}

TEST(LogFilter, MatchesEveryLineWhenEmpty) {
  EXPECT_THAT(TextMatches("", {"a", "", "b", ""}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Matches("", {"a", "", "b", ""}), ElementsAre(0, 1, 2, 3));
}

TEST(LogFilter, FindsInTheFirstAndInTheLastLine) {
  EXPECT_THAT(Matches("a", {"a"}), ElementsAre(0));
  EXPECT_THAT(Matches("a", {"b", "", "a"}), ElementsAre(2));
  EXPECT_THAT(Matches("^$", {""}), ElementsAre(0));
  EXPECT_THAT(Matches("^$", {"", "", "b", ""}), ElementsAre(0, 1, 3));
  EXPECT_THAT(Matches("$", {"b"}), ElementsAre(0)) << "behind the last newline is no line";
  EXPECT_THAT(Matches("a", {}), IsEmpty());
  EXPECT_THAT(Matches("\\A", {}), IsEmpty());
}

TEST(LogFilter, NamesALineOnceWhateverMatchesInIt) {
  EXPECT_THAT(Matches("a", {"aaa", "b", "a a"}), ElementsAre(0, 2));
  EXPECT_THAT(TextMatches("aa", {"aaaa"}), ElementsAre(0));
}

TEST(LogFilter, StopsWhenNoMoreIsWanted) {
  for (const char* expression : {"a", "a\\z"}) {
    const auto filter = LogFilter::ForExpression(expression);
    ASSERT_TRUE(filter.ok());
    Indexes found;
    filter->VisitMatches("a\nb\na\na\n", [&](std::size_t index, std::string_view) {
      found.push_back(index);
      return found.size() < 2;
    });
    EXPECT_THAT(found, ElementsAre(0, 2)) << expression;
  }
}

TEST(LogFilter, SaysWhatRe2SaysAboutABadExpression) {
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("(abc")), HasSubstr("missing ): (abc"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("a)b")), HasSubstr("unexpected ): a)b"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("*a")), HasSubstr("no argument for repetition operator: *"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("a{1001}")), HasSubstr("invalid repetition size: {1001}"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("[z-a]")), HasSubstr("invalid character class range: z-a"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("(?<!a)b")), HasSubstr("invalid perl operator: (?<"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("a\\")), HasSubstr("trailing \\"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("\\G")), HasSubstr("invalid escape sequence: \\G"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("((a{1000}){10})")), HasSubstr("invalid repetition size: {10}"));
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("a\xFF")), HasSubstr("invalid UTF-8"));
  EXPECT_THAT(BadFilter(LogFilter::ForText("a\xFF")), HasSubstr("invalid UTF-8"));
}

// What goes back to the caller is put into JSON and onto terminals.
TEST(LogFilter, QuotesNothingThatHarms) {
  const std::string told = BadFilter(LogFilter::ForExpression("(\x1B[31m\n"));
  EXPECT_EQ(told.find('\x1B'), std::string::npos);
  EXPECT_EQ(told.find('\n'), std::string::npos);
}

TEST(LogFilter, HasAtMost512Bytes) {
  for (auto* make : {&LogFilter::ForText, &LogFilter::ForExpression}) {
    EXPECT_TRUE(make(std::string(511, 'a')).ok());
    EXPECT_TRUE(make(std::string(512, 'a')).ok());
    EXPECT_THAT(BadFilter(make(std::string(513, 'a'))), HasSubstr("513 bytes, 512 are allowed"));
  }
}

TEST(LogFilter, RefusesWhatNeedsTooMuchMemory) {
  EXPECT_THAT(BadFilter(LogFilter::ForExpression("(\\pL{100}){10}\\pN{500}\\PL{900}")), HasSubstr("too large"));
}

}  // namespace
}  // namespace muster::hub
