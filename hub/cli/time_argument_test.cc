#include "hub/cli/time_argument.h"

#include <gtest/gtest.h>

#include "common/time_format.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

TEST(ParseTimeArgument, AcceptsWhatPeopleType) {
  const absl::Time now = *ParseRfc3339("2026-11-21T12:00:00.5Z");
  const struct {
    const char* text;
    const char* time;
  } cases[] = {
      {"2026-11-21T05:24:21Z", "2026-11-21T05:24:21Z"},
      {"2026-11-21T05:24:21+02:00", "2026-11-21T03:24:21Z"},
      {"2026-11-20", "2026-11-20T00:00:00Z"},
      {"now", "2026-11-21T12:00:00.5Z"},
      {"2h ago", "2026-11-21T10:00:00Z"},
      {" -2h ", "2026-11-21T10:00:00Z"},
      {"1d12h ago", "2026-11-20T00:00:00Z"},
      {"1w ago", "2026-11-14T12:00:00Z"},
  };
  for (const auto& c : cases) {
    const auto time = ParseTimeArgument(c.text, now);
    ASSERT_TRUE(time.ok()) << c.text;
    EXPECT_EQ(FormatRfc3339(*time), c.time) << c.text;
  }
}

TEST(ParseTimeArgument, RefusesTheRestAsUsage) {
  for (const char* text :
       {"", "yesterday", "2h", "-", "ago", "-2", "2x ago", "-0s", "2026-13-01", "99999999999w ago"}) {
    const auto time = ParseTimeArgument(text, absl::UnixEpoch());
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(ExitCodeFor(time.status()), ExitCode::kUsage) << text;
  }
}

TEST(ParseDurationArgument, AddsUnitsUp) {
  EXPECT_EQ(*ParseDurationArgument("90s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDurationArgument("1d2h3m4s"), absl::Hours(26) + absl::Minutes(3) + absl::Seconds(4));
  for (const char* text : {"", "12", "h", "-1h", "1h ", "1 h", "0d", "999999999w", "1000000000000000000000s"}) {
    EXPECT_FALSE(ParseDurationArgument(text).ok()) << text;
  }
}

}  // namespace
}  // namespace muster::cli
