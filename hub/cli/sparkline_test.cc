#include "hub/cli/sparkline.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/page.h"

namespace muster::cli {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);  // a multiple of all steps below

TEST(Sparkline, ScalesFromLowToHigh) {
  const struct {
    std::vector<std::optional<double>> values;
    double low, high;
    std::string line;
  } cases[] = {
      {{}, 0, 1, ""},
      {{0, 1, 2, 3, 4, 5, 6, 7}, 0, 7, "▁▂▃▄▅▆▇█"},
      {{0.0, 0.124, 0.125, 0.5, 0.99, 1.0}, 0, 1, "▁▁▂▅██"},
      {{1, {}, {}, 2}, 1, 2, "▁  █"},
      {{{}, 1, {}}, 0, 1, " █ "},
      {{5, 5, 5}, 5, 5, "▁▁▁"},
      {{-3, 9}, 0, 1, "▁█"},
      {{1, 2}, kNan, kNan, "▁▁"},
      {{1, 2}, -kInfinity, kInfinity, "▁▁"},
      {{-1e308, 0, 1e308}, -1e308, 1e308, "▁▁▁"},  // the difference overflows
  };
  for (const auto& c : cases) EXPECT_EQ(Sparkline(c.values, c.low, c.high), c.line);
}

TEST(TimeCells, AreWholeStepsThatFit) {
  const struct {
    absl::Duration from, to, step;
    int max, count;
    absl::Duration length;
  } cases[] = {
      {{}, absl::Hours(1), absl::Seconds(30), 120, 120, absl::Seconds(30)},
      {{}, absl::Hours(1), absl::Seconds(30), 500, 120, absl::Seconds(30)},
      {{}, absl::Hours(1), absl::Seconds(30), 60, 60, absl::Minutes(1)},
      {{}, absl::Hours(1), absl::Seconds(30), 50, 40, absl::Seconds(90)},
      {{}, absl::Hours(1), absl::Seconds(30), 1, 1, absl::Hours(1)},
      // Steps begin at multiples of the step: an hour that does not touches one more.
      {absl::Seconds(10), absl::Seconds(3610), absl::Seconds(30), 500, 121, absl::Seconds(30)},
      {absl::Seconds(10), absl::Seconds(3610), absl::Seconds(30), 120, 61, absl::Minutes(1)},
      {{}, absl::Hours(1), absl::Hours(24), 80, 1, absl::Hours(24)},
      // What no hub should answer.
      {{}, absl::Hours(1), absl::ZeroDuration(), 80, 1, absl::Hours(1)},
      {absl::Hours(1), {}, absl::ZeroDuration(), 80, 1, absl::Seconds(1)},
      {{}, absl::Hours(24 * 3'000'000), absl::Nanoseconds(1), 80, 80, {}},
  };
  for (const auto& c : cases) {
    const TimeCells cells(kBegin + c.from, kBegin + c.to, c.step, c.max);
    EXPECT_EQ(cells.count(), c.count) << absl::FormatDuration(c.step) << " in " << c.max;
    EXPECT_LE(cells.count(), c.max);
    if (c.length > absl::ZeroDuration()) {
      EXPECT_EQ(cells.length(), c.length);
    }
  }
  const TimeCells cells(kBegin, kBegin + absl::Minutes(2), absl::Seconds(30), 80);
  EXPECT_EQ(cells.IndexOf(kBegin - absl::Nanoseconds(1)), std::nullopt);
  EXPECT_EQ(cells.IndexOf(kBegin), 0);
  EXPECT_EQ(cells.IndexOf(kBegin + absl::Seconds(59)), 1);
  EXPECT_EQ(cells.IndexOf(kBegin + absl::Minutes(2)), std::nullopt);
  EXPECT_EQ(cells.IndexOf(absl::InfinitePast()), std::nullopt);
  EXPECT_EQ(cells.IndexOf(absl::InfiniteFuture()), std::nullopt);
}

TEST(CellValues, AreMadeAsThePointsWere) {
  fleet::v1::HostSeries series;
  for (const auto& [second, value] : std::vector<std::pair<int, double>>{
           {0, 1}, {30, 3}, {120, 5}, {150, kNan}, {180, kInfinity}, {6000, 9}, {-30, 9}}) {
    auto* point = series.add_points();
    *point->mutable_time() = ToProto(kBegin + absl::Seconds(second));
    point->set_value(value);
  }
  const TimeCells cells(kBegin, kBegin + absl::Minutes(4), absl::Seconds(30), 4);
  using Values = std::vector<std::optional<double>>;
  EXPECT_EQ(CellValues(series, fleet::v1::METRIC_AGGREGATION_AVERAGE, cells), (Values{2, {}, 5, {}}));
  EXPECT_EQ(CellValues(series, fleet::v1::METRIC_AGGREGATION_UNSPECIFIED, cells), (Values{2, {}, 5, {}}));
  EXPECT_EQ(CellValues(series, fleet::v1::METRIC_AGGREGATION_MINIMUM, cells), (Values{1, {}, 5, {}}));
  EXPECT_EQ(CellValues(series, fleet::v1::METRIC_AGGREGATION_MAXIMUM, cells), (Values{3, {}, 5, {}}));
}

}  // namespace
}  // namespace muster::cli
