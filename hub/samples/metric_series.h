// The series of host metrics (docs/host-metrics.md, "Series"): their names and units, their numbers on disk
// (docs/formats/metric-chunk.md), and the way from a sample to whole numbers and back. Plain values.
#ifndef MUSTER_HUB_SAMPLES_METRIC_SERIES_H_
#define MUSTER_HUB_SAMPLES_METRIC_SERIES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Numbers are on disk: append only. Answers are in this order.
enum class MetricSeries : std::uint32_t {
  kCpuUsage = 1,
  kCpuCores = 2,
  kMemoryTotal = 3,
  kMemoryUsed = 4,
  kSwapTotal = 5,
  kSwapUsed = 6,
  kLoad1 = 7,
  kLoad5 = 8,
  kLoad15 = 9,
  kNetworkReceive = 10,
  kNetworkTransmit = 11,
  kDiskRead = 12,
  kDiskWritten = 13,
  kFilesystemTotal = 14,
  kFilesystemUsed = 15,
  kFilesystemAvailable = 16,
  kContainersRunning = 17,
  kContainersOther = 18,
  kDeploymentCpu = 19,
  kDeploymentMemory = 20,
  kNodeCpu = 21,
  kNodeMemory = 22,
};

struct MetricSeriesInfo {
  MetricSeries series;
  const char* name;
  const char* unit;
  // What is stored is the value times this, rounded.
  double scale;
};

// In the order of their numbers, which begin with 1.
std::span<const MetricSeriesInfo> AllMetricSeries();
// Null: no such name or number.
const MetricSeriesInfo* FindMetricSeries(std::string_view name);
const MetricSeriesInfo* FindMetricSeries(std::uint32_t number);

struct SeriesKey {
  MetricSeries series = MetricSeries::kCpuUsage;
  // Device, deployment key or node; else empty.
  std::string instance = {};
  auto operator<=>(const SeriesKey&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct SeriesValue {
  SeriesKey key;
  // As stored.
  std::int64_t value = 0;
};

// What the sample knows; at most one value of each key.
std::vector<SeriesValue> ValuesOf(const agent::v1::HostSample& sample);
// The other way: absent fields were not among `values`.
agent::v1::HostSample SampleOf(std::span<const SeriesValue> values);

double FromStored(MetricSeries series, double stored);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_METRIC_SERIES_H_
