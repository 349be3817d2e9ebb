// A series as a line of block characters, one for each piece of time: ▁ is the low end of the scale, █ the high end, a
// space a piece without a value. Pure functions.
#ifndef MUSTER_HUB_CLI_SPARKLINE_H_
#define MUSTER_HUB_CLI_SPARKLINE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

// The pieces of time that a window is drawn in: whole steps, from a multiple of the step on.
class TimeCells {
 public:
  // At most `max_cells`, which is at least 1. A step that is none makes one cell.
  TimeCells(absl::Time from, absl::Time to, absl::Duration step, int max_cells);
  int count() const { return count_; }
  // How long each is.
  absl::Duration length() const { return length_; }
  // Nullopt: outside of the window.
  std::optional<int> IndexOf(absl::Time time) const;

 private:
  absl::Time begin_;
  absl::Duration length_;
  int count_ = 1;
};

// A value for each cell: the least or the greatest of the points in it, as the points themselves were made, else their
// average. What is no finite number counts as missing.
std::vector<std::optional<double>> CellValues(const fleet::v1::HostSeries& series,
                                              fleet::v1::MetricAggregation aggregation, const TimeCells& cells);

// `low` and below is the lowest block, `high` and above the highest; all are the lowest when there is nothing between.
std::string Sparkline(const std::vector<std::optional<double>>& values, double low, double high);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_SPARKLINE_H_
