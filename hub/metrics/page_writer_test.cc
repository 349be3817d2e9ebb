#include "hub/metrics/page_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

namespace muster::hub {
namespace {

template <typename Write>
std::string Page(PageFormat format, Write write) {
  std::string page;
  PageWriter writer(format, [&](std::string_view block) { page += block; });
  write(writer);
  writer.Finish();
  return page;
}

std::string Number(double value) {
  const std::string page = Page(PageFormat::kText, [&](PageWriter& writer) { writer.Sample({}, value); });
  return page.substr(1, page.size() - 2);
}

TEST(PageWriter, WritesTheTextFormat) {
  const std::string page = Page(PageFormat::kText, [](PageWriter& writer) {
    writer.Family("a_seconds_total", FamilyType::kCounter, "Say \"how\",\nback\\slash.", "seconds");
    writer.Sample(R"(x="1")", 2);
    writer.Sample(R"(x="1")", R"(y="2")", 3);
    writer.Sample({}, R"(y="2")", 4);
    writer.Family("b", FamilyType::kGauge, "B.");
    writer.Sample({}, 0.5);
  });
  EXPECT_EQ(page,
            "# HELP a_seconds_total Say \"how\",\\nback\\\\slash.\n# TYPE a_seconds_total counter\n"
            "a_seconds_total{x=\"1\"} 2\na_seconds_total{x=\"1\",y=\"2\"} 3\na_seconds_total{y=\"2\"} 4\n"
            "# HELP b B.\n# TYPE b gauge\nb 0.5\n");
}

TEST(PageWriter, WritesOpenMetrics) {
  const std::string page = Page(PageFormat::kOpenMetrics, [](PageWriter& writer) {
    writer.Family("a_seconds_total", FamilyType::kCounter, "Say \"how\",\nback\\slash.", "seconds");
    writer.Sample(R"(x="1")", 2);
    writer.Family("odd", FamilyType::kCounter, "A counter without the suffix.", "bytes");
    writer.Sample({}, 1);
    writer.Family("h", FamilyType::kHistogram, "H.");
    writer.Part("_bucket", {}, writer.BucketLabel(1), 1);
    writer.Part("_bucket", {}, writer.BucketLabel(std::numeric_limits<double>::infinity()), 2);
    writer.Part("_count", {}, {}, 2);
  });
  EXPECT_EQ(page,
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Say \\\"how\\\",\\nback\\\\slash.\n"
            "a_seconds_total{x=\"1\"} 2\n"
            "# TYPE odd counter\n# HELP odd A counter without the suffix.\nodd_total 1\n"
            "# TYPE h histogram\n# HELP h H.\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n# EOF\n");
}

TEST(PageWriter, NamesBucketsAsGoDoes) {
  const struct {
    double bound;
    const char *text, *open_metrics;
  } cases[] = {{0.005, "0.005", "0.005"}, {1, "1", "1.0"},         {2.5, "2.5", "2.5"},  {-3, "-3", "-3.0"},
               {0, "0", "0.0"},           {1e6, "1e+06", "1e+06"}, {100, "100", "100.0"}};
  for (const auto& c : cases) {
    Page(PageFormat::kText,
         [&](PageWriter& writer) { EXPECT_EQ(writer.BucketLabel(c.bound), std::string("le=\"") + c.text + '"'); });
    Page(PageFormat::kOpenMetrics, [&](PageWriter& writer) {
      EXPECT_EQ(writer.BucketLabel(c.bound), std::string("le=\"") + c.open_metrics + '"');
    });
  }
}

TEST(PageWriter, WritesNumbersShortAndExact) {
  const struct {
    double value;
    const char* text;
  } cases[] = {{0, "0"},
               {-0.0, "0"},
               {1, "1"},
               {9, "9"},
               {10, "10"},
               {-7, "-7"},
               {99, "99"},
               {100, "100"},
               {9'999, "9999"},
               {10'000, "10000"},
               {1e9 - 1, "999999999"},
               {1e9, "1000000000"},
               {9007199254740991.0, "9007199254740991"},
               {1.8446744073709552e19, "18446744073709551616"},
               {0.5, "0.5"},
               {-0.25, "-0.25"},
               {0.1, "0.1"},
               {1764374400.123456, "1764374400.123456"},
               {1764374400.1, "1764374400.1"},
               {0.012, "0.012"},
               {0.000001, "0.000001"},
               {1e-7, "1e-07"},
               {0.1 + 0.2, "0.30000000000000004"},
               {1e300, "1e+300"},
               {std::numeric_limits<double>::infinity(), "+Inf"},
               {-std::numeric_limits<double>::infinity(), "-Inf"},
               {std::numeric_limits<double>::quiet_NaN(), "NaN"}};
  for (const auto& c : cases) {
    EXPECT_EQ(Number(c.value), c.text);
    if (std::isnan(c.value)) continue;
    EXPECT_EQ(std::strtod(Number(c.value).c_str(), nullptr), c.value);
  }
}

TEST(PageWriter, EveryNumberComesBackTheSame) {
  std::uint64_t state = 42;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto millionths = static_cast<double>(static_cast<std::int64_t>(state) >> (i % 50));
    for (const double value : {millionths / 1e6, millionths / 3e7, millionths}) {
      ASSERT_EQ(std::strtod(Number(value).c_str(), nullptr), value) << Number(value);
    }
  }
}

TEST(PageWriter, HandsOverBlocksOfWholeLinesThatAreNotLarger) {
  std::vector<std::size_t> blocks;
  std::size_t lines = 0;
  PageWriter writer(PageFormat::kText, [&](std::string_view block) {
    blocks.push_back(block.size());
    EXPECT_EQ(block.back(), '\n');
    lines += static_cast<std::size_t>(std::count(block.begin(), block.end(), '\n'));
  });
  writer.Family("a", FamilyType::kGauge, "A.");
  for (int i = 0; i < 10'000; ++i) writer.Sample(R"(label="a value of some length, as labels have")", i);
  const std::string endless(PageWriter::kBlockBytes, 'x');
  writer.Sample(endless, 1);
  writer.Finish();
  ASSERT_GT(blocks.size(), 2u);
  EXPECT_EQ(lines, 10'003u);
  for (std::size_t i = 0; i + 1 < blocks.size(); ++i) EXPECT_LE(blocks[i], PageWriter::kBlockBytes);
  EXPECT_GT(blocks.back(), PageWriter::kBlockBytes) << "one line that is longer than a block goes out whole";
}

TEST(Label, StaysInsideItsQuotes) {
  EXPECT_EQ(Label("a", "plain"), R"(a="plain")");
  EXPECT_EQ(Label("a", "b\"} 1\nevil \\"), R"(a="b\"} 1\nevil \\")");
  EXPECT_EQ(Label("a", std::string("n\0l \xff", 5)), "a=\"n\xEF\xBF\xBDl \xEF\xBF\xBD\"");
  EXPECT_LE(Label("a", std::string(10'000, 'x')).size(), kMaxLabelBytes + 4);
}

}  // namespace
}  // namespace muster::hub
