#include "hub/logs/log_marker.h"

#include <gtest/gtest.h>

#include <string>

namespace muster::hub {
namespace {

TEST(ParseMarker, TakesWhatTheFormatPageSaysAndNothingElse) {
  const std::string longest(kMaxMarkerReasonBytes, 'R');
  const struct {
    std::string text;
    std::optional<LogMarker> marker;
  } cases[] = {
      {"RATE 17 1795238661123456", LogMarker{.reason = "RATE", .lines = 17, .to_us = 1'795'238'661'123'456}},
      {"ROTATED 0 0", LogMarker{.reason = "ROTATED", .lines = 0, .to_us = 0}},
      {"A_B 1 2", LogMarker{.reason = "A_B", .lines = 1, .to_us = 2}},
      {longest + " 1 2", LogMarker{.reason = longest, .lines = 1, .to_us = 2}},
      {"RATE 1 9223372036854775807", LogMarker{.reason = "RATE", .lines = 1, .to_us = 9'223'372'036'854'775'807}},
      {"", std::nullopt},
      {"RATE", std::nullopt},
      {"RATE 1", std::nullopt},
      {"RATE 1 ", std::nullopt},
      {"RATE  1 2", std::nullopt},
      {" RATE 1", std::nullopt},
      {"RATE 1 2 3", std::nullopt},
      {"RATE 1 2 ", std::nullopt},
      {"rate 1 2", std::nullopt},
      {"RATE1 1 2", std::nullopt},
      {"RATE -1 2", std::nullopt},
      {"RATE 1 -2", std::nullopt},
      {"RATE +1 2", std::nullopt},
      {"RATE x 2", std::nullopt},
      {"RATE 1 2x", std::nullopt},
      {"RATE 1 9223372036854775808", std::nullopt},
      {"RR" + longest.substr(1) + " 1 2", std::nullopt},
  };
  for (const auto& c : cases) EXPECT_EQ(ParseMarker(c.text), c.marker) << c.text;
}

}  // namespace
}  // namespace muster::hub
