#include "common/testing/figures.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(FiguresTest, WritesWhatWasMeasuredBesideWhatAndWhatMustBe) {
  const struct {
    Figure figure;
    std::string json;
    std::string text;
  } cases[] = {
      {{.name = "resident", .value = 923.4, .unit = "MiB"},
       R"({"name":"resident","value":923.4,"unit":"MiB","better":"less"})",
       "     resident: 923 MiB"},
      {{.name = "records lost", .value = 0, .must = AtMost(0)},
       R"({"name":"records lost","value":0,"unit":"","better":"less","at_most":0,"ok":true})",
       "ok   records lost: 0, must be at most 0"},
      {{.name = "pushes", .value = 19'999, .unit = "/s", .must = AtLeast(20'000)},
       R"({"name":"pushes","value":19999,"unit":"/s","better":"more","at_least":20000,"ok":false})",
       "MISS pushes: 19999 /s, must be at least 20000"},
      {{.name = "program", .value = 16'055'552, .unit = "bytes", .must = AtMost(16'777'216)},
       R"({"name":"program","value":16055552,"unit":"bytes","better":"less","at_most":16777216,"ok":true})",
       "ok   program: 16055552 bytes, must be at most 16777216"},
      {{.name = "scrape",
        .value = 12,
        .unit = "ms",
        .beside = Beside{.what = "a loop", .value = 8},
        .must = AtMost(15),
        .ratio_must = AtMost(1.25)},
       R"({"name":"scrape","value":12,"unit":"ms","better":"less","at_most":15,"beside":"a loop","beside_value":8,)"
       R"("ratio":1.5,"ratio_at_most":1.25,"ok":false})",
       "MISS scrape: 12 ms, must be at most 15; 1.5 of a loop (8 ms), must be at most 1.25"},
      {{.name = R"(whole scan, "a\d")",
        .value = 2,
        .beside = Beside{.what = "RE2", .value = 4, .ratio = 0.75},
        .more_is_better = true},
       R"({"name":"whole scan, \"a\\d\"","value":2,"unit":"","better":"more","beside":"RE2","beside_value":4,)"
       R"("ratio":0.75})",
       R"(     whole scan, "a\d": 2; 0.75 of RE2 (4))"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ToJson(c.figure), c.json);
    EXPECT_EQ(ToText(c.figure), c.text);
  }
}

TEST(FiguresTest, ARatioToNothingIsNoNumber) {
  const Figure figure{.name = "x", .value = 1, .beside = Beside{.what = "nothing", .value = 0}};
  EXPECT_EQ(ToJson(figure),
            R"({"name":"x","value":1,"unit":"","better":"less","beside":"nothing","beside_value":0,"ratio":null})");
}

}  // namespace
}  // namespace muster
