#include "hub/api/log_tokens.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/status.h"
#include "hub/logs/chunk.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInt = std::numeric_limits<std::int64_t>::min();

TEST(LogPageToken, ComesBackAsItWas) {
  for (const LogOrder order : {LogOrder::kOldestFirst, LogOrder::kNewestFirst}) {
    for (const std::int64_t time_us : {kMinInt, std::int64_t{-1}, std::int64_t{0}, kMaxLineTimeUs, kMaxInt}) {
      for (const std::int64_t number : {std::int64_t{0}, std::int64_t{1}, kEndOfLineNumbers - 1}) {
        const LogPageToken token{
            .order = order, .after = {.time_us = time_us, .number = number}, .selection = 0xFEDCBA9876543210};
        const auto parsed = ParsePageToken(ToToken(token));
        ASSERT_TRUE(parsed.ok()) << parsed.status();
        EXPECT_EQ(*parsed, token);
      }
    }
  }
}

TEST(TailPosition, ComesBackAsItWas) {
  for (const std::optional<LogCursor>& after :
       {std::optional<LogCursor>(), std::optional<LogCursor>({.time_us = kMinInt, .number = 0}),
        std::optional<LogCursor>({.time_us = 5, .number = 7})}) {
    const TailPosition position{.log_epoch = "0123abcd", .number = 42, .stored_after = after, .selection = 3};
    const auto parsed = ParsePosition(ToToken(position));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, position);
  }
}

TEST(LogTokens, RefuseWhatTheyDidNotWrite) {
  const std::string page = ToToken(LogPageToken{.after = {.time_us = 1, .number = 2}, .selection = 3});
  const std::string position = ToToken(TailPosition{.log_epoch = "e", .number = 2, .selection = 3});
  const auto raw = [](std::string bytes) { return absl::WebSafeBase64Escape(bytes); };
  std::string page_bytes;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(page, &page_bytes));
  const auto with = [&](std::size_t at, char byte) {
    std::string bytes = page_bytes;
    bytes[at] = byte;
    return raw(bytes);
  };
  std::vector<std::string> bad = {"",
                                  "1",
                                  "AA",
                                  "not a token",
                                  std::string(1, '\0'),
                                  std::string(5000, 'A'),
                                  raw("P"),
                                  raw(page_bytes + "x"),
                                  page + "=",
                                  page + " ",
                                  " " + page,
                                  with(0, 'Q'),
                                  with(1, 2),
                                  with(1, -1),
                                  with(17, '\x7F'),
                                  with(17, '\xFF')};
  for (std::size_t i = 0; i < page_bytes.size(); ++i) bad.push_back(raw(page_bytes.substr(0, i)));
  for (const std::string& token : bad) {
    EXPECT_EQ(ReasonOf(ParsePageToken(token).status()), "BAD_PAGE_TOKEN") << token;
    EXPECT_EQ(ReasonOf(ParsePosition(token).status()), "BAD_POSITION") << token;
  }
  EXPECT_EQ(ReasonOf(ParsePageToken(position).status()), "BAD_PAGE_TOKEN");
  EXPECT_EQ(ReasonOf(ParsePosition(page).status()), "BAD_POSITION");
  for (const TailPosition& wrong :
       {TailPosition{.log_epoch = "", .number = 1}, TailPosition{.log_epoch = "e", .number = -1},
        TailPosition{.log_epoch = "e", .number = kEndOfLineNumbers},
        TailPosition{.log_epoch = std::string(65, 'e'), .number = 1}}) {
    EXPECT_EQ(ReasonOf(ParsePosition(ToToken(wrong)).status()), "BAD_POSITION") << wrong.number;
  }
}

}  // namespace
}  // namespace muster::hub
