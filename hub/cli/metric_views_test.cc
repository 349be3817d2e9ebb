#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/views.h"

namespace muster::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);  // 2027-01-15T08:00:00Z
const absl::Time kNow = kBegin + absl::Minutes(4);

fleet::v1::HostSeries* AddSeries(fleet::v1::QueryHostMetricsResponse* response, const std::string& metric,
                                 const std::string& instance, const std::string& unit,
                                 const std::vector<double>& values) {
  auto* series = response->add_series();
  series->set_metric(metric);
  series->set_instance(instance);
  series->set_unit(unit);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    auto* point = series->add_points();
    *point->mutable_time() = ToProto(kBegin + absl::Seconds(30) * static_cast<std::int64_t>(i));
    point->set_value(values[i]);
  }
  return series;
}

fleet::v1::QueryHostMetricsResponse Response(absl::Duration newest_age = absl::Seconds(12)) {
  fleet::v1::QueryHostMetricsResponse response;
  *response.mutable_from_time() = ToProto(kBegin);
  *response.mutable_to_time() = ToProto(kNow);
  *response.mutable_step() = ToProto(absl::Seconds(30));
  *response.mutable_newest_time() = ToProto(kNow - newest_age);
  return response;
}

fleet::v1::Target TargetIn(types::v1::TargetState state, bool enabled = true) {
  fleet::v1::Target target;
  target.set_name("web-01");
  target.set_state(state);
  target.set_metrics_enabled(enabled);
  return target;
}

std::vector<std::string> Shown(const fleet::v1::QueryHostMetricsResponse& response, const fleet::v1::Target* target,
                               int columns = 80) {
  Page page;
  ShowHostMetrics(response, fleet::v1::METRIC_AGGREGATION_AVERAGE, target, kNow, columns, &page);
  return page.Lines({});
}

TEST(HostMetricsView, HasARowForEachSeries) {
  constexpr double kGap = std::numeric_limits<double>::quiet_NaN();
  auto response = Response();
  AddSeries(&response, "cpu_usage", "", "ratio", {0, 0.25, 0.5, kGap, kGap, 0.75, 1, 0.031});
  AddSeries(&response, "filesystem_used", "/dev/sda1", "bytes", {1 << 30, 1 << 30, 2.0 * (1 << 30)});
  AddSeries(&response, "load15", "", "", {});
  const auto target = TargetIn(types::v1::TARGET_STATE_CONNECTED);
  EXPECT_THAT(Shown(response, &target),
              ElementsAre("newest sample 12s ago", "METRIC                                NEWEST   MIN      MAX",
                          "cpu_usage                   ▁▃▅  ▇█▁  3.1 %    0.0 %    100.0 %",
                          "filesystem_used[/dev/sda1]  ▁▁█       2.0 GiB  1.0 GiB  2.0 GiB",
                          "2027-01-15T08:00:00Z to 2027-01-15T08:04:00Z, a character: average of 30s"));
}

TEST(HostMetricsView, SaysHowOldTheNewestIsAndWhy) {
  const auto connected = TargetIn(types::v1::TARGET_STATE_CONNECTED);
  const auto stale = TargetIn(types::v1::TARGET_STATE_STALE);
  const auto away = TargetIn(types::v1::TARGET_STATE_NOT_CONNECTED);
  const auto off = TargetIn(types::v1::TARGET_STATE_STALE, false);
  const struct {
    const fleet::v1::Target* target;
    absl::Duration age;
    std::string line;
  } cases[] = {
      {&connected, absl::Seconds(90), "newest sample 1m 30s ago"},
      {&connected, absl::Seconds(91), "newest sample 1m 31s ago: target is connected, but its agent sends none"},
      {&connected, -absl::Seconds(5), "newest sample 0s ago"},
      {&stale, absl::Hours(3), "newest sample 3h 0m ago: target is stale"},
      {&away, absl::Hours(3), "newest sample 3h 0m ago: target is not connected"},
      {&off, absl::Hours(3), "newest sample 3h 0m ago: host metrics are switched off"},
      {nullptr, absl::Hours(3), "newest sample 3h 0m ago: target is deleted"},
  };
  for (const auto& c : cases) EXPECT_EQ(Shown(Response(c.age), c.target)[0], c.line);
}

TEST(HostMetricsView, NothingIsSaidPlainly) {
  auto response = Response();
  const auto off = TargetIn(types::v1::TARGET_STATE_CONNECTED, false);
  const auto connected = TargetIn(types::v1::TARGET_STATE_CONNECTED);
  const std::string window = "No samples from 2027-01-15T08:00:00Z to 2027-01-15T08:04:00Z.";
  EXPECT_THAT(Shown(response, &connected), ElementsAre("newest sample 12s ago", window));
  response.clear_newest_time();
  EXPECT_THAT(Shown(response, &connected),
              ElementsAre("no samples are known: target is connected, but its agent has sent none yet", window));
  EXPECT_THAT(Shown(response, &off), ElementsAre("no samples are known: host metrics are switched off",
                                                 "switch them on with: muster target set web-01 --metrics on", window));
}

TEST(HostMetricsView, FitsTheTerminal) {
  auto response = Response();
  *response.mutable_from_time() = ToProto(kNow - absl::Hours(1));
  AddSeries(&response, "deployment_memory", std::string(200, 'x'), "bytes", {1e9, 2e9});
  AddSeries(&response, "cpu_usage", "", "ratio", {0.5});
  const auto target = TargetIn(types::v1::TARGET_STATE_CONNECTED);
  for (const int columns : {80, 100, 250}) {
    const auto lines = Shown(response, &target, columns);
    for (int i = 1; i < 4; ++i) EXPECT_LE(DisplayWidth(lines[static_cast<std::size_t>(i)]), columns) << lines[1];
    EXPECT_THAT(lines[2], HasSubstr("1.9 GiB")) << "numbers are not cut off";
  }
  EXPECT_THAT(Shown(response, &target, 80)[2], StartsWith("deployment_memory[…xx"));
  EXPECT_THAT(Shown(response, &target, 600)[2], Not(HasSubstr("…")));
  EXPECT_THAT(Shown(response, &target, 0)[2], Not(HasSubstr("…")));
  // Narrower than anybody can read is no reason to fall over.
  for (const int columns : {1, 10, 30}) EXPECT_EQ(Shown(response, &target, columns).size(), 5U);
}

TEST(HostMetricsView, HostileNamesAreEscaped) {
  auto response = Response();
  AddSeries(&response, "filesystem_used", "/dev/\x1b]0;owned\x07\nx", "bytes", {1});
  const auto target = TargetIn(types::v1::TARGET_STATE_CONNECTED);
  const auto lines = Shown(response, &target, 0);
  EXPECT_THAT(lines[2], HasSubstr("filesystem_used[/dev/\\x1b]0;owned\\x07\\nx]"));
  EXPECT_THAT(HostMetricsCsv(response), HasSubstr(",/dev/\\x1b]0;owned\\x07\\nx,bytes,1\r\n"));
}

TEST(HostMetricsView, NamesGapsUpToALimit) {
  auto response = Response();
  for (int i = 0; i < 7; ++i) {
    auto* gap = response.add_gaps();
    *gap->mutable_from_time() = ToProto(kBegin);
    *gap->mutable_to_time() = ToProto(kNow);
    gap->set_records(1 + i);
    gap->set_reason("JOURNAL_FULL");
  }
  const auto lines = Shown(response, nullptr);
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[2], "! 2027-01-15T08:00:00Z to 2027-01-15T08:04:00Z: 1 record of the agent lost: journal full");
  EXPECT_EQ(lines[7], "! and 2 more gaps");
}

TEST(HostMetricsCsv, IsRfc4180) {
  fleet::v1::QueryHostMetricsResponse response;
  EXPECT_EQ(HostMetricsCsv(response), "time,metric,instance,unit,value\r\n");
  AddSeries(&response, "cpu_usage", "", "ratio", {0.1, 1});
  AddSeries(&response, "filesystem_used", "a,b", "bytes", {1099511627776});
  AddSeries(&response, "filesystem_used", "say \"x\"", "bytes", {1.5});
  AddSeries(&response, "filesystem_used", "日本", "bytes", {1e300, std::numeric_limits<double>::infinity()});
  EXPECT_EQ(HostMetricsCsv(response),
            "time,metric,instance,unit,value\r\n"
            "2027-01-15T08:00:00Z,cpu_usage,,ratio,0.1\r\n"
            "2027-01-15T08:00:30Z,cpu_usage,,ratio,1\r\n"
            "2027-01-15T08:00:00Z,filesystem_used,\"a,b\",bytes,1099511627776\r\n"
            "2027-01-15T08:00:00Z,filesystem_used,\"say \"\"x\"\"\",bytes,1.5\r\n"
            "2027-01-15T08:00:00Z,filesystem_used,日本,bytes,1e+300\r\n"
            "2027-01-15T08:00:30Z,filesystem_used,日本,bytes,inf\r\n");
}

TEST(ValueText, HasItsUnit) {
  const struct {
    double value;
    std::string unit, text;
  } cases[] = {
      {0.1234, "ratio", "12.3 %"},
      {1, "ratio", "100.0 %"},
      {0, "bytes", "0 B"},
      {4.2e9, "bytes", "3.9 GiB"},
      {1e30, "bytes", "8367351.3 TiB"},
      {1258291.2, "bytes_per_second", "1.2 MiB/s"},
      {0.25, "cores", "0.25 cores"},
      {1, "cores", "1 core"},
      {16, "cores", "16 cores"},
      {0.5, "", "0.50"},
      {7, "", "7"},
      {-7, "", "-7"},
      {3, "furlongs", "3 furlongs"},
      {std::numeric_limits<double>::quiet_NaN(), "bytes", "nan"},
      {std::numeric_limits<double>::infinity(), "ratio", "inf"},
  };
  for (const auto& c : cases) EXPECT_EQ(ValueText(c.value, c.unit), c.text) << c.value << " " << c.unit;
}

TEST(HostText, IsTheNewestSampleInALine) {
  fleet::v1::GetHostMetricsResponse response;
  EXPECT_EQ(HostText(response), "") << "switched off is said elsewhere";
  response.set_is_enabled(true);
  EXPECT_EQ(HostText(response), "no samples are known");
  auto* metrics = response.mutable_metrics();
  response.mutable_age()->set_seconds(12);
  EXPECT_EQ(HostText(response), "12s ago");
  metrics->set_cpu_cores(4);
  metrics->set_cpu_usage_ratio(0.123);
  metrics->set_memory_total_bytes(std::int64_t{16} << 30);
  metrics->set_memory_used_bytes(std::int64_t{4} << 30);
  const auto add_disk = [metrics](const std::string& path, std::int64_t used, std::int64_t available, bool stuck) {
    auto* disk = metrics->add_disks();
    disk->set_device("/dev/" + path);
    disk->set_mount_path(path);
    disk->set_total_bytes((used + available) << 20);
    disk->set_used_bytes(used << 20);
    disk->set_available_bytes(available << 20);
    disk->set_is_stuck(stuck);
  };
  add_disk("/", 50, 50, false);
  add_disk("/data", 80, 20, false);
  add_disk("/nfs", 0, 0, true);
  EXPECT_EQ(HostText(response),
            "CPU 12 % of 4 cores, memory 25 % of 16.0 GiB, fullest disk /data 80 % of 100.0 MiB, 1 disk not answering, "
            "12s ago");
}

TEST(HostText, OfAClusterItCountsTheNodes) {
  fleet::v1::GetHostMetricsResponse response;
  response.set_is_enabled(true);
  response.mutable_age()->set_seconds(12);
  response.mutable_metrics()->add_nodes()->set_is_ready(true);
  EXPECT_EQ(HostText(response), "1 node, 12s ago");
  response.mutable_metrics()->add_nodes()->set_is_ready(false);
  response.mutable_metrics()->add_nodes();  // from history, which does not tell
  EXPECT_EQ(HostText(response), "3 nodes, 1 not ready, 12s ago");
}

}  // namespace
}  // namespace muster::cli
