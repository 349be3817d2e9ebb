#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/text.h"
#include "common/time_format.h"
#include "hub/cli/sparkline.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::HostSeries;
using fleet::v1::QueryHostMetricsResponse;
using fleet::v1::Target;

// Three intervals of 30 s: what the hub takes for the present.
constexpr absl::Duration kPresent = absl::Seconds(90);
constexpr int kMinSparkline = 10;
// Off a terminal.
constexpr int kSparkline = 40;
constexpr int kMinName = 16;
// "filesystem_available[/dev/nvme0n1p2]": longer ones share what room there is with the sparklines.
constexpr int kUsualName = 40;
constexpr int kColumnGap = 2;
// More gaps than these are counted, not named.
constexpr int kNamedGaps = 5;

struct Row {
  std::string name;  // escaped
  const HostSeries* series = nullptr;
  std::string newest;
  std::string least;
  std::string greatest;
  double low = 0;
  double high = 0;
};

// Escaped text without its beginning: devices differ at their ends.
std::string_view EndOf(std::string_view text, int columns) {
  while (DisplayWidth(text) > columns) text.remove_prefix(NextUtf8(text, 0).size);
  return text;
}

// At most `columns` wide, as far as the metric leaves room for its instance.
std::string SeriesName(const HostSeries& series, int columns) {
  if (series.instance().empty()) return EscapeControl(series.metric());
  const std::string metric = EscapeControl(series.metric());
  const std::string instance = EscapeControl(series.instance());
  const int room = columns - DisplayWidth(metric) - 2;
  if (DisplayWidth(instance) <= room) return fmt::format("{}[{}]", metric, instance);
  return fmt::format("{}[…{}]", metric, EndOf(instance, std::max(0, room - 1)));
}

// Empty series have no row.
std::vector<Row> RowsOf(const QueryHostMetricsResponse& response) {
  std::vector<Row> rows;
  for (const HostSeries& series : response.series()) {
    if (series.points().empty()) continue;
    const auto [least, greatest] =
        std::minmax_element(series.points().begin(), series.points().end(),
                            [](const auto& a, const auto& b) { return a.value() < b.value(); });
    Row row;
    row.series = &series;
    row.newest = ValueText(series.points().rbegin()->value(), series.unit());
    row.least = ValueText(least->value(), series.unit());
    row.greatest = ValueText(greatest->value(), series.unit());
    // How busy, not how it differs: a machine that idles looks idle.
    row.low = series.unit() == "ratio" ? 0 : least->value();
    row.high = series.unit() == "ratio" ? 1 : greatest->value();
    rows.push_back(std::move(row));
  }
  return rows;
}

int Widest(const std::vector<Row>& rows, std::string Row::*text, std::string_view header) {
  int width = DisplayWidth(header);
  for (const Row& row : rows) width = std::max(width, DisplayWidth(row.*text));
  return width;
}

// Returns how long a cell of the sparklines is.
absl::Duration AddSeries(const QueryHostMetricsResponse& response, fleet::v1::MetricAggregation aggregation,
                         std::vector<Row> rows, int columns, Page* page) {
  const int numbers = Widest(rows, &Row::newest, "NEWEST") + Widest(rows, &Row::least, "MIN") +
                      Widest(rows, &Row::greatest, "MAX") + 4 * kColumnGap;
  const int left = columns - numbers;
  const int name_limit = std::max(kMinName, std::min(left - kMinSparkline, std::max(kUsualName, left / 2)));
  for (Row& row : rows) row.name = SeriesName(*row.series, columns > 0 ? name_limit : std::numeric_limits<int>::max());
  const int width = columns > 0 ? std::max(kMinSparkline, left - Widest(rows, &Row::name, "METRIC")) : kSparkline;
  const TimeCells cells(FromProto(response.from_time()), FromProto(response.to_time()), FromProto(response.step()),
                        width);
  Table table({"METRIC", "", "NEWEST", "MIN", "MAX"});
  for (const Row& row : rows) {
    table.Add({{Span(row.name, Tone::kStrong)},
               {Span(Sparkline(CellValues(*row.series, aggregation, cells), row.low, row.high), Tone::kBusy)},
               {Span(row.newest)},
               {Span(row.least)},
               {Span(row.greatest)}});
  }
  page->Add(table);
  return cells.length();
}

// Why there is nothing newer than `age`, which is infinite where there is nothing; empty: it is the present.
std::string WhyOld(const Target* target, absl::Duration age) {
  if (target == nullptr) return "target is deleted";
  if (!target->metrics_enabled()) return "host metrics are switched off";
  if (target->state() == types::v1::TARGET_STATE_STALE) return "target is stale";
  if (target->state() == types::v1::TARGET_STATE_NOT_CONNECTED) return "target is not connected";
  if (age == absl::InfiniteDuration()) return "target is connected, but its agent has sent none yet";
  return age > kPresent ? "target is connected, but its agent sends none" : "";
}

void AddNewest(const QueryHostMetricsResponse& response, const Target* target, absl::Time now, Page* page) {
  if (!response.has_newest_time()) {
    const std::string why = WhyOld(target, absl::InfiniteDuration());
    page->Line({Span(fmt::format("no samples are known: {}", why), Tone::kWarning)});
    return;
  }
  const absl::Duration age = now - FromProto(response.newest_time());
  const std::string why = WhyOld(target, age);
  page->Line({Span(fmt::format("newest sample {} ago{}{}", FormatAge(age), why.empty() ? "" : ": ", why),
                   why.empty() ? Tone::kPlain : Tone::kWarning)});
}

void AddHint(const Target* target, Page* page) {
  if (target == nullptr || target->metrics_enabled()) return;
  page->Line(fmt::format("switch them on with: muster target set {} --metrics on", target->name()));
}

std::string_view AggregationWord(fleet::v1::MetricAggregation aggregation) {
  if (aggregation == fleet::v1::METRIC_AGGREGATION_MINIMUM) return "least";
  if (aggregation == fleet::v1::METRIC_AGGREGATION_MAXIMUM) return "greatest";
  return "average";
}

// The shortest text that gives the same number.
std::string NumberText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.size() > 2 && text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

// RFC 4180. A line break or another control character becomes a visible escape, so that each row is one line.
std::string CsvField(std::string_view raw) {
  std::string text = EscapeControl(raw);
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

// As df counts: of what an ordinary user may use.
double Fullness(const fleet::v1::HostDisk& disk) {
  const auto used = static_cast<double>(disk.used_bytes());
  const double usable = used + static_cast<double>(disk.available_bytes());
  return usable > 0 ? used / usable : 0;
}

void AddDisks(const fleet::v1::HostMetrics& metrics, std::vector<std::string>* parts) {
  const fleet::v1::HostDisk* fullest = nullptr;
  int stuck = 0;
  for (const auto& disk : metrics.disks()) {
    if (disk.is_stuck()) ++stuck;
    if (disk.is_stuck() || disk.total_bytes() <= 0) continue;
    if (fullest == nullptr || Fullness(disk) > Fullness(*fullest)) fullest = &disk;
  }
  if (fullest != nullptr) {
    // What came from history has no mount path.
    const std::string& name = fullest->mount_path().empty() ? fullest->device() : fullest->mount_path();
    parts->push_back(fmt::format("fullest disk {} {:.0f} % of {}", name, 100 * Fullness(*fullest),
                                 SizeText(fullest->total_bytes())));
  }
  if (stuck > 0) parts->push_back(fmt::format("{} disk{} not answering", stuck, stuck == 1 ? "" : "s"));
}

void AddNodes(const fleet::v1::HostMetrics& metrics, std::vector<std::string>* parts) {
  if (metrics.nodes().empty()) return;
  const auto not_ready =
      std::count_if(metrics.nodes().begin(), metrics.nodes().end(),
                    [](const fleet::v1::HostNode& node) { return node.has_is_ready() && !node.is_ready(); });
  parts->push_back(fmt::format("{} node{}", metrics.nodes_size(), metrics.nodes_size() == 1 ? "" : "s"));
  if (not_ready > 0) parts->push_back(fmt::format("{} not ready", not_ready));
}

}  // namespace

std::string ValueText(double value, std::string_view unit) {
  if (!std::isfinite(value)) return NumberText(value);
  // Doubles beyond are no sizes; the conversion would be undefined.
  constexpr double kMaxBytes = 9.2e18;
  const auto bytes = static_cast<std::int64_t>(std::clamp(value, -kMaxBytes, kMaxBytes));
  if (unit == "ratio") return fmt::format("{:.1f} %", value * 100);
  if (unit == "bytes") return SizeText(bytes);
  if (unit == "bytes_per_second") return SizeText(bytes) + "/s";
  std::string number = value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value)
                                                                            : fmt::format("{:.2f}", value);
  if (unit.empty()) return number;
  if (unit == "cores" && number == "1") return "1 core";
  return fmt::format("{} {}", number, unit);
}

void ShowHostMetrics(const QueryHostMetricsResponse& response, fleet::v1::MetricAggregation aggregation,
                     const Target* target, absl::Time now, int columns, Page* page) {
  AddNewest(response, target, now, page);
  std::vector<Row> rows = RowsOf(response);
  if (rows.empty()) {
    AddHint(target, page);
    page->Line(fmt::format("No samples from {} to {}.", TimeText(response.from_time()), TimeText(response.to_time())));
  } else {
    const absl::Duration cell = AddSeries(response, aggregation, std::move(rows), columns, page);
    page->Line({Span(fmt::format("{} to {}, a character: {} of {}", TimeText(response.from_time()),
                                 TimeText(response.to_time()), AggregationWord(aggregation), FormatAge(cell)),
                     Tone::kQuiet)});
  }
  for (int i = 0; i < std::min(response.gaps_size(), kNamedGaps); ++i) {
    const auto& gap = response.gaps(i);
    page->Line({Span(fmt::format("! {} to {}: {}", TimeText(gap.from_time()), TimeText(gap.to_time()), GapText(gap)),
                     Tone::kWarning)});
  }
  if (response.gaps_size() > kNamedGaps) {
    page->Line({Span(fmt::format("! and {} more gaps", response.gaps_size() - kNamedGaps), Tone::kWarning)});
  }
}

std::string HostMetricsCsv(const QueryHostMetricsResponse& response) {
  std::string csv = "time,metric,instance,unit,value\r\n";
  for (const HostSeries& series : response.series()) {
    const std::string name =
        fmt::format(",{},{},{},", CsvField(series.metric()), CsvField(series.instance()), CsvField(series.unit()));
    for (const auto& point : series.points()) {
      csv += FormatRfc3339(FromProto(point.time()));
      csv += name;
      csv += NumberText(point.value());
      csv += "\r\n";
    }
  }
  return csv;
}

std::string HostText(const fleet::v1::GetHostMetricsResponse& response) {
  if (!response.has_metrics()) return response.is_enabled() ? "no samples are known" : "";
  const fleet::v1::HostMetrics& metrics = response.metrics();
  std::vector<std::string> parts;
  AddNodes(metrics, &parts);
  if (metrics.has_cpu_usage_ratio()) {
    parts.push_back(
        fmt::format("CPU {:.0f} % of {}", 100 * metrics.cpu_usage_ratio(), ValueText(metrics.cpu_cores(), "cores")));
  }
  if (metrics.memory_total_bytes() > 0 && metrics.memory_used_bytes() > 0) {
    const double share =
        static_cast<double>(metrics.memory_used_bytes()) / static_cast<double>(metrics.memory_total_bytes());
    parts.push_back(fmt::format("memory {:.0f} % of {}", 100 * share, SizeText(metrics.memory_total_bytes())));
  } else if (metrics.memory_total_bytes() > 0) {
    parts.push_back(fmt::format("memory {}, use not known", SizeText(metrics.memory_total_bytes())));
  }
  AddDisks(metrics, &parts);
  parts.push_back(fmt::format("{} ago", FormatAge(FromProto(response.age()))));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace muster::cli
