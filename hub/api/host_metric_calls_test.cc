#include "hub/api/host_metric_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/host_metric_messages.h"
#include "hub/api/testing/past_fleet_fixture.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;

class HostMetricCallsTest : public PastFleetTest {
 protected:
  absl::StatusOr<GetHostMetricsResponse> Get(const std::string& target, const std::string& customer = "") {
    GetHostMetricsRequest request;
    request.set_target(target);
    return Call<GetHostMetricsResponse>("GetHostMetrics", request, CallerOf(ROLE_VIEWER, customer));
  }
  absl::StatusOr<QueryHostMetricsResponse> Query(const std::string& target, const std::string& customer = "") {
    QueryHostMetricsRequest request;
    request.set_target(target);
    return Call<QueryHostMetricsResponse>("QueryHostMetrics", request, CallerOf(ROLE_VIEWER, customer));
  }
  static agent::v1::HostSample SampleOf(double cores) {
    agent::v1::HostSample sample;
    sample.set_cpu_cores(cores);
    sample.add_deployments()->set_deployment_key("compose/shop");
    sample.add_deployments()->set_deployment_key("container/gone");
    return sample;
  }
  void SetPresent(const std::string& id, double cores, absl::Duration age) {
    present_[id] = {.time = clock_.Now() - age, .sample = SampleOf(cores)};
  }
};

TEST_F(HostMetricCallsTest, TheNewestIsThePresentElseWhatIsStored) {
  const auto target = MakeBusy("web-01", "ACME", "shop");
  auto answer = Get("web-01");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->has_metrics());
  EXPECT_FALSE(answer->has_age());
  EXPECT_TRUE(answer->is_enabled());

  sample_reader_.newest[target.target_id()] = {.time = clock_.Now() - absl::Hours(3), .sample = SampleOf(2)};
  answer = Get(target.target_id());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->metrics().cpu_cores(), 2);
  EXPECT_EQ(FromProto(answer->age()), absl::Hours(3));
  EXPECT_EQ(FromProto(answer->metrics().time()), clock_.Now() - absl::Hours(3));

  SetPresent(target.target_id(), 4, absl::Seconds(12));
  answer = Get("web-01", "ACME");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->metrics().cpu_cores(), 4);
  EXPECT_EQ(FromProto(answer->age()), absl::Seconds(12));
  EXPECT_EQ(answer->metrics().deployments(0).name(), "shop");
  EXPECT_EQ(answer->metrics().deployments(0).deployment_id(), fleet_->FindDeployment("web-01/shop", "")->id());
  EXPECT_EQ(answer->metrics().deployments(1).name(), "gone");
  EXPECT_EQ(answer->metrics().deployments(1).deployment_id(), "");
  // A clock that was set back makes no age below nothing.
  SetPresent(target.target_id(), 4, -absl::Seconds(12));
  EXPECT_EQ(FromProto(Get("web-01")->age()), absl::ZeroDuration());
}

TEST_F(HostMetricCallsTest, SwitchedOffStillTellsTheLastWithItsAge) {
  const auto target = Create("web-01");
  ASSERT_TRUE(admin_->UpdateTarget(target.target_id(), {}, false, "tester").ok());
  sample_reader_.newest[target.target_id()] = {.time = clock_.Now() - absl::Minutes(10), .sample = SampleOf(2)};
  const auto answer = Get("web-01");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->is_enabled());
  EXPECT_EQ(FromProto(answer->age()), absl::Minutes(10));
}

TEST_F(HostMetricCallsTest, SeriesComeWithWindowNamesNewestAndGaps) {
  const auto target = MakeBusy("web-01", "ACME", "shop");
  clock_.Advance(absl::Hours(2));
  const absl::Time begin = clock_.Now() - absl::Hours(1);
  sample_reader_.answer.series = {
      {.metric = "cpu_usage", .instance = "", .unit = "ratio", .points = {{.time = begin, .value = 0.5}}},
      {.metric = "deployment_cpu", .instance = "compose/shop", .unit = "cores", .points = {}}};
  sample_reader_.answer.resolution = absl::Seconds(30);
  sample_reader_.answer.newest = clock_.Now() - absl::Minutes(3);
  const struct {
    const char* epoch;
    absl::Duration from, to;  // ago
    int lane;
  } gaps[] = {{"a", absl::Minutes(70), absl::Minutes(50), 1},
              {"b", absl::Minutes(20), absl::Minutes(20), 1},
              {"c", absl::Minutes(90), absl::Minutes(80), 1},
              {"d", absl::Minutes(20), absl::Minutes(10), 2}};
  for (const auto& gap : gaps) {
    Write(
        "INSERT INTO journal_gaps(target_id, epoch, lane, first_sequence, last_sequence, reason, from_us, to_us)"
        " VALUES(?,?,?,1,12,1,?,?)",
        [&](sqlite::Statement& s) {
          s.Bind(1, target.target_id()).Bind(2, gap.epoch).Bind(3, gap.lane);
          s.Bind(4, clock_.Now() - gap.from).Bind(5, clock_.Now() - gap.to);
        });
  }
  auto answer = Query("web-01");
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(sample_reader_.queries.size(), 1U);
  EXPECT_EQ(sample_reader_.queries[0].target_id, target.target_id());
  EXPECT_EQ(FromProto(answer->from_time()), begin);
  EXPECT_EQ(FromProto(answer->to_time()), clock_.Now());
  EXPECT_EQ(FromProto(answer->step()), absl::Seconds(30));
  EXPECT_EQ(FromProto(answer->resolution()), absl::Seconds(30));
  EXPECT_EQ(FromProto(answer->newest_time()), clock_.Now() - absl::Minutes(3));
  ASSERT_EQ(answer->series_size(), 2);
  EXPECT_EQ(answer->series(0).points(0).value(), 0.5);
  EXPECT_EQ(FromProto(answer->series(0).points(0).time()), begin);
  EXPECT_EQ(answer->series(1).instance(), "shop");
  ASSERT_EQ(answer->gaps_size(), 2) << "of the window and of the lane of samples";
  EXPECT_EQ(answer->gaps(0).records(), 12);
  EXPECT_EQ(FromProto(answer->gaps(1).from_time()), clock_.Now() - absl::Minutes(70));

  SetPresent(target.target_id(), 4, absl::Seconds(12));
  answer = Query("web-01");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(FromProto(answer->newest_time()), clock_.Now() - absl::Seconds(12)) << "the journal is behind";
}

TEST_F(HostMetricCallsTest, WhatIsDeletedHasItsSeriesAndCustomersSeeTheirOwn) {
  for (const char* reference : {"tgt_1", "one"}) {
    const auto answer = Query(reference);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(sample_reader_.queries.back().target_id, "tgt_1");
    EXPECT_TRUE(Query(reference, "ACME").ok());
    EXPECT_EQ(ReasonOf(Query(reference, "Globex").status()), "TARGET_NOT_FOUND");
    EXPECT_EQ(ReasonOf(Get(reference).status()), "TARGET_NOT_FOUND") << "nothing of it is present";
  }
  EXPECT_EQ(ReasonOf(Query("").status()), "TARGET_NOT_FOUND");
}

TEST_F(HostMetricCallsTest, BoundsTheWholeAnswer) {
  EXPECT_TRUE(Query("one").ok());
  EXPECT_EQ(sample_reader_.queries.back().max_points, 500'000U);
  sample_reader_.failure = MakeError(absl::StatusCode::kInvalidArgument, "TOO_MANY_POINTS", "more than 500000 points");
  EXPECT_EQ(ReasonOf(Query("one").status()), "TOO_MANY_POINTS");
}

TEST_F(HostMetricCallsTest, PassesOnWhatTheReaderSays) {
  Create("web-01");
  sample_reader_.failure = MakeError(absl::StatusCode::kInvalidArgument, "UNKNOWN_METRIC", "no metric \"x\"");
  EXPECT_EQ(ReasonOf(Query("web-01").status()), "UNKNOWN_METRIC");
  EXPECT_EQ(ReasonOf(Get("web-01").status()), "UNKNOWN_METRIC");
}

TEST_F(HostMetricCallsTest, AHubWithoutSamplesSaysSo) {
  Create("web-01");
  const HistoryCalls history(fleet_.get(), store_.get(), &clock_, clock_.Now());
  const HostMetricCalls calls({}, fleet_.get(), &history, &clock_);
  QueryHostMetricsRequest query;
  query.set_target("web-01");
  EXPECT_EQ(ReasonOf(calls.Query(CallerOf(ROLE_VIEWER), query).status()), "METRICS_UNAVAILABLE");
  GetHostMetricsRequest get;
  get.set_target("web-01");
  const auto answer = calls.Get(CallerOf(ROLE_VIEWER), get);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->has_metrics());
}

}  // namespace
}  // namespace muster::hub
