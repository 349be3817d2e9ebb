#include "agent/deployments/json_values.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/status.h"

namespace muster::agent {
namespace {

using nlohmann::json;

TEST(JsonValues, WhatIsMissingOrOfAnotherTypeHasItsDefault) {
  const json object = {{"text", "web"}, {"number", -3}, {"flag", true}, {"time", "2026-11-21T05:24:21Z"}};
  EXPECT_EQ(JsonText(JsonAt(object, "text")), "web");
  EXPECT_EQ(JsonText(JsonAt(object, "number")), "");
  EXPECT_TRUE(JsonAt(object, "other").is_null());
  EXPECT_TRUE(JsonAt(json::array(), "text").is_null());
  EXPECT_EQ(JsonInteger(JsonAt(object, "number")), -3);
  EXPECT_EQ(JsonCount(JsonAt(object, "number")), 0);
  EXPECT_EQ(JsonInteger(json(1.5)), 0);
  EXPECT_EQ(JsonInteger(json(std::numeric_limits<std::uint64_t>::max())), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(JsonInt(json(1LL << 40)), std::numeric_limits<int>::max());
  EXPECT_TRUE(JsonFlag(JsonAt(object, "flag")));
  EXPECT_FALSE(JsonFlag(json("true")));
  EXPECT_EQ(JsonTime(JsonAt(object, "time")), absl::FromUnixSeconds(1'795'238'661));
  EXPECT_EQ(JsonTime(json("0001-01-01T00:00:00Z")), absl::InfinitePast());
  EXPECT_EQ(JsonTime(json("yesterday")), absl::InfinitePast());
  EXPECT_EQ(ReasonOf(BadJson("x")), "BAD_JSON");
}

}  // namespace
}  // namespace muster::agent
