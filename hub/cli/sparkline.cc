#include "hub/cli/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/time_format.h"

namespace muster::cli {
namespace {

constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

struct Sum {
  std::int64_t count = 0;
  double total = 0;
  double least = std::numeric_limits<double>::infinity();
  double greatest = -std::numeric_limits<double>::infinity();
};

double Pick(const Sum& sum, fleet::v1::MetricAggregation aggregation) {
  if (aggregation == fleet::v1::METRIC_AGGREGATION_MINIMUM) return sum.least;
  if (aggregation == fleet::v1::METRIC_AGGREGATION_MAXIMUM) return sum.greatest;
  return sum.total / static_cast<double>(sum.count);
}

}  // namespace

TimeCells::TimeCells(absl::Time from, absl::Time to, absl::Duration step, int max_cells) {
  if (step <= absl::ZeroDuration()) step = std::max(to - from, absl::Seconds(1));
  begin_ = absl::UnixEpoch() + absl::Floor(from - absl::UnixEpoch(), step);
  const double steps = std::max(1.0, std::ceil(absl::FDivDuration(to - begin_, step)));
  length_ = step * std::ceil(steps / max_cells);
  count_ = static_cast<int>(
      std::clamp(std::ceil(absl::FDivDuration(to - begin_, length_)), 1.0, static_cast<double>(max_cells)));
}

std::optional<int> TimeCells::IndexOf(absl::Time time) const {
  const double index = std::floor(absl::FDivDuration(time - begin_, length_));
  if (!(index >= 0 && index < count_)) return std::nullopt;
  return static_cast<int>(index);
}

std::vector<std::optional<double>> CellValues(const fleet::v1::HostSeries& series,
                                              fleet::v1::MetricAggregation aggregation, const TimeCells& cells) {
  std::vector<Sum> sums(static_cast<std::size_t>(cells.count()));
  for (const auto& point : series.points()) {
    const auto index = cells.IndexOf(FromProto(point.time()));
    if (!index || !std::isfinite(point.value())) continue;
    Sum& sum = sums[static_cast<std::size_t>(*index)];
    ++sum.count;
    sum.total += point.value();
    sum.least = std::min(sum.least, point.value());
    sum.greatest = std::max(sum.greatest, point.value());
  }
  std::vector<std::optional<double>> values;
  values.reserve(sums.size());
  for (const Sum& sum : sums) {
    values.push_back(sum.count > 0 ? std::optional(Pick(sum, aggregation)) : std::nullopt);
  }
  return values;
}

std::string Sparkline(const std::vector<std::optional<double>>& values, double low, double high) {
  constexpr double kLevels = kBlocks.size();
  std::string line;
  for (const auto& value : values) {
    if (!value) {
      line += ' ';
      continue;
    }
    const double share = high > low ? (*value - low) / (high - low) : 0;
    // A share that is no number (infinite bounds) is the lowest.
    const double level = std::isfinite(share) ? std::clamp(std::floor(share * kLevels), 0.0, kLevels - 1) : 0;
    line += kBlocks[static_cast<std::size_t>(level)];
  }
  return line;
}

}  // namespace muster::cli
