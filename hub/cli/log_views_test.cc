#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/page.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

fleet::v1::GetLogVolumeResponse Volume(const std::vector<std::vector<std::int64_t>>& parts) {
  fleet::v1::GetLogVolumeResponse response;
  *response.mutable_from_time() = ToProto(absl::FromUnixSeconds(1'795'238'661));
  *response.mutable_part_duration() = ToProto(absl::Minutes(5));
  for (const auto& lines : parts) {
    fleet::v1::LogVolumePart* part = response.add_parts();
    for (const std::int64_t count : lines) part->add_lines(count);
  }
  return response;
}

std::vector<std::string> Shown(const fleet::v1::GetLogVolumeResponse& response) {
  Page page;
  ShowLogVolume(response, &page);
  return page.Lines({});
}

TEST(LogVolume, BarsFillTheWidthWithTheWorstFirst) {
  // Unspecified, trace, debug, info, warn, error, fatal. The bar has 80 - 20 - 2 - 5 - 2 columns.
  const auto lines = Shown(Volume({{0, 0, 0, 51, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0}, {1, 1, 1, 20, 10, 5, 1}}));
  EXPECT_THAT(lines, ElementsAre("FROM                  LINES  LEVELS",
                                 "2026-11-21T05:24:21Z  51     " + std::string(51, 'I'), "2026-11-21T05:29:21Z  0",
                                 "2026-11-21T05:34:21Z  39     FEEEEEWWWWWWWWWWIIIIIIIIIIIIIIIIIIIIDT-",
                                 "F fatal  E error  W warn  I info  D debug  T trace  - none  a row: 5m 0s"));
}

TEST(LogVolume, OneErrorInAFloodIsSeenAndNothingIsWiderThan80) {
  const auto lines = Shown(Volume({{9'999'999'999, 1, 1, 1, 1, 1, 1}, {1, 0, 0, 0, 0, 0, 0}}));
  EXPECT_THAT(lines[1], HasSubstr("10000000005  FEWIDT-"));
  EXPECT_EQ(lines[2], "2026-11-21T05:29:21Z  1            -");
  for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), 80) << line;
  EXPECT_EQ(DisplayWidth(lines[1]), 80);
}

TEST(LogVolume, NothingIsSaid) {
  EXPECT_THAT(Shown(Volume({})), ElementsAre("No lines in this time."));
  EXPECT_THAT(Shown(Volume({{0, 0, 0, 0, 0, 0, 0}})), ElementsAre("No lines in this time."));
  // A hub that counts fewer levels than we know.
  EXPECT_EQ(Shown(Volume({{2}}))[1], "2026-11-21T05:24:21Z  2      " + std::string(51, '-'));
}

TEST(LogResources, AreATable) {
  fleet::v1::ListLogResourcesResponse response;
  Page none;
  ShowLogResources(response, &none);
  EXPECT_THAT(none.Lines({}), ElementsAre(HasSubstr("No lines are stored.")));
  auto* web = response.add_resources();
  web->set_name("web-1");
  web->set_active(true);
  *web->mutable_from_time() = ToProto(absl::FromUnixSeconds(1'795'238'661));
  *web->mutable_to_time() = ToProto(absl::FromUnixSeconds(1'795'242'261));
  web->set_lines(1204);
  web->set_bytes(3 << 20);
  web->add_revisions("r2");
  web->add_revisions("r1");
  *response.add_resources() = *web;
  response.mutable_resources(1)->set_name("old");
  response.mutable_resources(1)->set_active(false);
  Page page;
  ShowLogResources(response, &page);
  EXPECT_THAT(page.Lines({}),
              ElementsAre("RESOURCE  STATE       FROM                  TO                    LINES  SIZE     REVISIONS",
                          "web-1     ● active    2026-11-21T05:24:21Z  2026-11-21T06:24:21Z  1204   3.0 MiB  r2 r1",
                          "old       ○ archived  2026-11-21T05:24:21Z  2026-11-21T06:24:21Z  1204   3.0 MiB  r2 r1"));
}

TEST(LogWords, ALevelIsItselfAndAllAboveAListIsJustThese) {
  using types::v1::LogLevel;
  const struct {
    std::string words;
    std::vector<LogLevel> levels;
  } cases[] = {
      {"fatal", {types::v1::LOG_LEVEL_FATAL}},
      {"warn", {types::v1::LOG_LEVEL_WARN, types::v1::LOG_LEVEL_ERROR, types::v1::LOG_LEVEL_FATAL}},
      {"none", {types::v1::LOG_LEVEL_UNSPECIFIED}},
      {"debug,none", {types::v1::LOG_LEVEL_DEBUG, types::v1::LOG_LEVEL_UNSPECIFIED}},
      {"warn,error", {types::v1::LOG_LEVEL_WARN, types::v1::LOG_LEVEL_ERROR}},
  };
  for (const auto& c : cases) {
    const auto levels = ParseLogLevels(c.words);
    ASSERT_TRUE(levels.ok()) << c.words;
    EXPECT_EQ(*levels, c.levels) << c.words;
  }
  EXPECT_EQ(ParseLogLevels("trace")->size(), 6u);
  for (const std::string bad : {"", "loud", "warn,", ",warn", "warn,,error", "WARN"}) {
    EXPECT_THAT(ParseLogLevels(bad).status().message(), HasSubstr("choose one of none, trace, debug")) << bad;
  }
}

TEST(LogWords, SizesHaveTheirUnits) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(1023), "1023 B");
  EXPECT_EQ(SizeText(1536), "1.5 KiB");
  EXPECT_EQ(SizeText(std::int64_t{1} << 30), "1.0 GiB");
  EXPECT_EQ(SizeText(std::int64_t{5} << 52), "20480.0 TiB");
}

}  // namespace
}  // namespace muster::cli
