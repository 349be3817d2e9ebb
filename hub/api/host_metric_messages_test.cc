#include "hub/api/host_metric_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const absl::Duration kDay = absl::Hours(24);

HistorySubject TargetOf(absl::Duration age) {
  return {.target_id = "tgt_1", .deployment_id = "", .created = kNow - age, .ended = {}};
}

TEST(HostMetricStep, IsTheShortestOfUseWithAtMost120Points) {
  const struct {
    absl::Duration window, step;
  } cases[] = {
      {absl::Nanoseconds(1), absl::Seconds(30)},
      {absl::Hours(1), absl::Seconds(30)},
      {absl::Hours(1) + absl::Nanoseconds(1000), absl::Minutes(1)},
      {absl::Hours(3), absl::Minutes(2)},
      {absl::Hours(6), absl::Minutes(5)},
      {kDay, absl::Minutes(15)},
      {7 * kDay, absl::Hours(2)},
      {30 * kDay, absl::Hours(6)},
      {60 * kDay, absl::Hours(12)},
      {240 * kDay, 2 * kDay},
      {400 * kDay, 7 * kDay},
      {841 * kDay, 14 * kDay},
      {3'650'000 * kDay, 30'422 * kDay},
  };
  for (const auto& c : cases) {
    const absl::Duration step = DefaultMetricStep(c.window);
    EXPECT_EQ(step, c.step) << absl::FormatDuration(c.window);
    EXPECT_LE(c.window, step * kDefaultMetricPoints);
  }
}

TEST(HostMetricQuery, WindowsHaveDefaultsAndBounds) {
  const struct {
    std::optional<absl::Duration> from, to;  // ago
    absl::Duration age;
    absl::Duration expected_from, expected_to;
    std::string reason;
  } cases[] = {
      {{}, {}, kDay, absl::Hours(1), {}, ""},
      {absl::Hours(2), {}, kDay, absl::Hours(2), {}, ""},
      {{}, absl::Hours(5), kDay, absl::Hours(6), absl::Hours(5), ""},
      {absl::Hours(2), absl::Hours(1), kDay, absl::Hours(2), absl::Hours(1), ""},
      // The future has not come.
      {absl::Hours(2), -absl::Hours(1), kDay, absl::Hours(2), {}, ""},
      // Nothing was before it was made.
      {365 * kDay, {}, kDay, kDay, {}, ""},
      {{}, {}, absl::Minutes(5), absl::Minutes(5), {}, ""},
      {365 * kDay, 300 * kDay, kDay, 365 * kDay, 300 * kDay, ""},
      {absl::Hours(1), absl::Hours(1), kDay, {}, {}, "BAD_WINDOW"},
      {absl::Hours(1), absl::Hours(2), kDay, {}, {}, "BAD_WINDOW"},
      {-absl::Hours(1), -absl::Hours(2), kDay, {}, {}, "BAD_WINDOW"},
  };
  for (const auto& c : cases) {
    fleet::v1::QueryHostMetricsRequest request;
    if (c.from) *request.mutable_from_time() = ToProto(kNow - *c.from);
    if (c.to) *request.mutable_to_time() = ToProto(kNow - *c.to);
    SCOPED_TRACE(request.ShortDebugString());
    const auto query = ReadMetricQuery(request, TargetOf(c.age), kNow);
    if (!c.reason.empty()) {
      EXPECT_EQ(ReasonOf(query.status()), c.reason);
      continue;
    }
    ASSERT_TRUE(query.ok()) << query.status();
    EXPECT_EQ(query->from, kNow - c.expected_from);
    EXPECT_EQ(query->to, kNow - c.expected_to);
    EXPECT_EQ(query->target_id, "tgt_1");
  }
  fleet::v1::QueryHostMetricsRequest request;
  request.mutable_from_time()->set_nanos(-1);
  EXPECT_EQ(ReasonOf(ReadMetricQuery(request, TargetOf(kDay), kNow).status()), "BAD_TIME");
}

TEST(HostMetricQuery, StepsHaveBounds) {
  const struct {
    absl::Duration window, step;
    std::string reason;
  } cases[] = {
      {absl::Hours(1), absl::Seconds(30), ""},
      {absl::Hours(1), absl::Seconds(30) - absl::Nanoseconds(1), "BAD_STEP"},
      {absl::Hours(1), absl::ZeroDuration(), "BAD_STEP"},
      {absl::Hours(1), -absl::Hours(1), "BAD_STEP"},
      {absl::Seconds(30) * 11'000, absl::Seconds(30), ""},
      {absl::Seconds(30) * 11'000 + absl::Seconds(1), absl::Seconds(30), "TOO_MANY_POINTS"},
      {400 * kDay, absl::Minutes(5), "TOO_MANY_POINTS"},
      {400 * kDay, absl::Hours(1), ""},
      {absl::Hours(1), 3'000'000 * kDay, ""},
  };
  for (const auto& c : cases) {
    fleet::v1::QueryHostMetricsRequest request;
    *request.mutable_from_time() = ToProto(kNow - c.window);
    *request.mutable_step() = ToProto(c.step);
    const auto query = ReadMetricQuery(request, TargetOf(1000 * kDay), kNow);
    if (c.reason.empty()) {
      ASSERT_TRUE(query.ok()) << query.status();
      EXPECT_EQ(query->step, c.step);
    } else {
      EXPECT_EQ(ReasonOf(query.status()), c.reason) << absl::FormatDuration(c.step);
      EXPECT_TRUE(absl::IsInvalidArgument(query.status()));
    }
  }
}

TEST(HostMetricQuery, NamesAreAskedForOnceAndAggregationsAreKnown) {
  fleet::v1::QueryHostMetricsRequest request;
  for (int i = 0; i < 1000; ++i) request.add_metrics(i % 2 == 0 ? "load1" : "cpu_usage");
  request.set_aggregation(fleet::v1::METRIC_AGGREGATION_MAXIMUM);
  const auto query = ReadMetricQuery(request, TargetOf(kDay), kNow);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_THAT(query->metrics, ElementsAre("cpu_usage", "load1"));
  EXPECT_EQ(query->aggregation, SampleAggregation::kMaximum);
  request.set_aggregation(static_cast<fleet::v1::MetricAggregation>(9));
  EXPECT_EQ(ReasonOf(ReadMetricQuery(request, TargetOf(kDay), kNow).status()), "BAD_AGGREGATION");
}

TEST(HostMetricNames, ComeFromTheFleetElseFromTheKey) {
  const DeploymentNames names = {{"compose/shop", {.id = "dep_1", .name = "Shop"}}};
  EXPECT_EQ(NameOfKey(names, "compose/shop"), "Shop");
  EXPECT_EQ(NameOfKey(names, "container/web/1"), "web/1");
  EXPECT_EQ(NameOfKey(names, "bare"), "bare");
  EXPECT_EQ(NameOfKey(names, ""), "");
}

TEST(HostMetricNames, TwoOfOneNameStayApart) {
  std::vector<SampleSeries> series;
  const auto add = [&series](const std::string& metric, const std::string& instance) {
    series.push_back({.metric = metric, .instance = instance, .unit = "", .points = {}});
  };
  add("deployment_cpu", "compose/shop");
  add("deployment_cpu", "container/shop");
  add("deployment_cpu", "compose/wiki");
  add("deployment_memory", "compose/wiki");
  add("filesystem_used", "/dev/sda1");
  NameDeployments({{"compose/shop", {.id = "dep_1", .name = "shop"}}}, series);
  std::vector<std::string> instances;
  instances.reserve(series.size());
  for (const SampleSeries& s : series) instances.push_back(s.instance);
  EXPECT_THAT(instances, ElementsAre("compose/shop", "container/shop", "wiki", "wiki", "/dev/sda1"));
}

TEST(HostMetricMessage, TellsWhatTheSampleKnowsAndNoMore) {
  agent::v1::HostSample sample;
  EXPECT_EQ(ToMessage({.time = kNow, .sample = sample}, {}).ShortDebugString(), "time { seconds: 1800000000 }");
  sample.set_cpu_cores(4);
  sample.set_cpu_usage_ratio(0);
  sample.set_load15(1.5);
  sample.mutable_uptime()->set_seconds(77);
  sample.set_disk_written_bytes_per_second(12);
  auto* disk = sample.add_disks();
  disk->set_device("/dev/sda1");
  disk->set_mount_path("/");
  disk->set_available_bytes(7);
  disk->set_is_stuck(true);
  auto* use = sample.add_deployments();
  use->set_deployment_key("compose/shop");
  use->set_memory_bytes(5);
  sample.add_missing("memory");
  const auto message = ToMessage({.time = kNow, .sample = sample}, {{"compose/shop", {.id = "dep_1", .name = "shop"}}});
  EXPECT_TRUE(message.has_cpu_usage_ratio());
  EXPECT_FALSE(message.has_load1());
  EXPECT_EQ(message.load15(), 1.5);
  EXPECT_EQ(message.uptime().seconds(), 77);
  EXPECT_EQ(message.disk_written_bytes_per_second(), 12);
  EXPECT_THAT(message.disks(0).ShortDebugString(),
              "device: \"/dev/sda1\" mount_path: \"/\" available_bytes: 7 is_stuck: true");
  EXPECT_EQ(message.deployments(0).ShortDebugString(), "deployment_id: \"dep_1\" name: \"shop\" memory_bytes: 5");
  EXPECT_THAT(message.missing(), ElementsAre(HasSubstr("memory")));
}

}  // namespace
}  // namespace muster::hub
