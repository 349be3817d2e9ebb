#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kNotFound[] = R"({"code":"not_found","message":"there is no target \"web-01\"","details":[]})";

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    const absl::Time now = app_.clock.Now();
    *response_.mutable_from_time() = ToProto(now - absl::Hours(1));
    *response_.mutable_to_time() = ToProto(now);
    *response_.mutable_step() = ToProto(absl::Seconds(30));
    *response_.mutable_newest_time() = ToProto(now - absl::Hours(3));
    auto* series = response_.add_series();
    series->set_metric("cpu_usage");
    series->set_unit("ratio");
    auto* point = series->add_points();
    *point->mutable_time() = ToProto(now - absl::Minutes(30));
    point->set_value(0.5);
    app_.hub.Answer("QueryHostMetrics", response_);
    fleet::v1::GetTargetResponse target;
    target.mutable_target()->set_name("web-01");
    target.mutable_target()->set_state(types::v1::TARGET_STATE_STALE);
    target.mutable_target()->set_metrics_enabled(true);
    app_.hub.Answer("GetTarget", target);
  }
  fleet::v1::QueryHostMetricsRequest Asked(const std::vector<std::string>& options) {
    std::vector<std::string> args = {"metrics", "web-01"};
    args.insert(args.end(), options.begin(), options.end());
    EXPECT_EQ(app_.Run(args), 0) << app_.console.err;
    fleet::v1::QueryHostMetricsRequest request;
    for (const HttpRequest& sent : app_.hub.requests) {
      if (FakeHub::MethodOf(sent) != "QueryHostMetrics") continue;
      request.Clear();
      EXPECT_TRUE(FromJson(sent.body, &request).ok());
    }
    return request;
  }

  FakeApp app_;
  fleet::v1::QueryHostMetricsResponse response_;
};

TEST_F(MetricsTest, TheQuestionIsWhatTheOptionsSay) {
  auto request = Asked({});
  EXPECT_EQ(request.target(), "web-01");
  EXPECT_FALSE(request.has_from_time());
  EXPECT_FALSE(request.has_step());
  EXPECT_EQ(request.aggregation(), fleet::v1::METRIC_AGGREGATION_AVERAGE);
  request = Asked({"--from", "2h ago", "--to", "now", "--step", "1m30s", "--metric", "load1", "--metric=cpu_usage",
                   "--aggregation", "max"});
  EXPECT_EQ(FromProto(request.from_time()), app_.clock.Now() - absl::Hours(2));
  EXPECT_EQ(FromProto(request.to_time()), app_.clock.Now());
  EXPECT_EQ(FromProto(request.step()), absl::Seconds(90));
  EXPECT_THAT(request.metrics(), ElementsAre("load1", "cpu_usage"));
  EXPECT_EQ(request.aggregation(), fleet::v1::METRIC_AGGREGATION_MAXIMUM);
  EXPECT_EQ(Asked({"--aggregation", "min"}).aggregation(), fleet::v1::METRIC_AGGREGATION_MINIMUM);
}

TEST_F(MetricsTest, ShowsATableWithTheAgeOfTheNewest) {
  EXPECT_EQ(app_.Run({"metrics", "web-01"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.out, StartsWith("newest sample 3h 0m ago: target is stale\nMETRIC "));
  EXPECT_THAT(app_.console.out, HasSubstr("▅"));
}

TEST_F(MetricsTest, ADeletedTargetIsSaidToBe) {
  app_.hub.Reply("GetTarget", 404, "application/json", kNotFound);
  app_.Run({"metrics", "web-01"});
  EXPECT_EQ(app_.Run({"metrics", "web-01"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.out, StartsWith("newest sample 3h 0m ago: target is deleted\n"));
}

TEST_F(MetricsTest, JsonIsTheAnswerOfTheApi) {
  EXPECT_EQ(app_.Run({"metrics", "web-01", "-o", "json"}), 0) << app_.console.err;
  EXPECT_EQ(app_.console.out, *ToJson(response_) + "\n");
  EXPECT_EQ(app_.hub.requests.size(), 1U);
}

TEST_F(MetricsTest, CsvIsRowsAndLossesGoToStderr) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"metrics", "web-01", "-o", "csv"}, {"-o", "csv", "metrics", "web-01"}}) {
    EXPECT_EQ(app_.Run(args), 0) << app_.console.err;
    EXPECT_EQ(app_.console.out,
              "time,metric,instance,unit,value\r\n"
              "2027-01-15T07:30:00Z,cpu_usage,,ratio,0.5\r\n");
    EXPECT_EQ(app_.console.err, "");
  }
  response_.add_gaps()->set_records(12);
  app_.hub.Answer("QueryHostMetrics", response_);
  app_.Run({"metrics", "web-01", "-o", "csv"});
  EXPECT_EQ(app_.Run({"metrics", "web-01", "-o", "csv"}), 0);
  EXPECT_THAT(app_.console.err, HasSubstr("12 records of the agent are lost"));
  EXPECT_THAT(app_.console.out, Not(HasSubstr("lost")));
}

TEST_F(MetricsTest, CsvIsForMetricsOnly) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"target", "list", "-o", "csv"},
                                               {"-o", "csv", "status"},
                                               {"job", "list", "-o", "csv"}}) {
    EXPECT_EQ(app_.Run(args), 2);
    EXPECT_THAT(app_.console.err, HasSubstr("csv is for metrics only"));
    EXPECT_THAT(app_.console.err, HasSubstr("[USAGE]"));
  }
  EXPECT_EQ(app_.Run({"metrics", "web-01", "-o", "xml"}), 2);
  EXPECT_TRUE(app_.hub.requests.empty());
}

TEST_F(MetricsTest, ErrorsHaveTheirExitCodes) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"metrics"},
                                               {"metrics", "x", "--step", "0s"},
                                               {"metrics", "x", "--aggregation", "sum"},
                                               {"metrics", "x", "--from", "yesterday"},
                                               {"metrics", "x", "y"}}) {
    EXPECT_EQ(app_.Run(args), 2) << args.back();
  }
  EXPECT_TRUE(app_.hub.requests.empty());
  app_.hub.Reply("QueryHostMetrics", 404, "application/json", kNotFound);
  app_.Run({"metrics", "web-01"});
  EXPECT_EQ(app_.Run({"metrics", "web-01"}), 3);
  EXPECT_THAT(app_.console.err, StartsWith("muster: metrics of target web-01: there is no target \"web-01\""));
}

TEST_F(MetricsTest, CompletionKnowsTheMetricsOfTheTarget) {
  auto* more = response_.add_series();
  for (const char* instance : {"/dev/a", "/dev/b"}) {
    more = response_.add_series();
    more->set_metric("filesystem_used");
    more->set_instance(instance);
  }
  response_.mutable_series()->DeleteSubrange(1, 1);
  FakeApp app;
  app.hub.Answer("QueryHostMetrics", response_);
  EXPECT_EQ(app.Run({"__complete", "metrics", "web-01", "--metric", ""}), 0);
  EXPECT_EQ(app.console.out, "cpu_usage\nfilesystem_used\n");
  EXPECT_EQ(app.LastRequest<fleet::v1::QueryHostMetricsRequest>().target(), "web-01");
  EXPECT_EQ(app.Run({"__complete", "metrics", "--metric", ""}), 0);
  EXPECT_EQ(app.console.out, "");
  EXPECT_EQ(app.Run({"__complete", "metrics", "x", "--aggregation", ""}), 0);
  EXPECT_EQ(app.console.out, "avg\nmin\nmax\n");
  EXPECT_EQ(app.Run({"__complete", "metrics", "x", "-o", ""}), 0);
  EXPECT_EQ(app.console.out, "table\njson\ncsv\n");
}

TEST_F(MetricsTest, ATargetIsShownWithItsHost) {
  fleet::v1::GetHostMetricsResponse host;
  host.set_is_enabled(true);
  host.mutable_metrics()->set_memory_total_bytes(1 << 30);
  host.mutable_metrics()->set_memory_used_bytes(1 << 29);
  host.mutable_age()->set_seconds(7);
  app_.hub.Answer("GetHostMetrics", host);
  EXPECT_EQ(app_.Run({"target", "show", "web-01"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.out, HasSubstr("host     memory 50 % of 1.0 GiB, 7s ago\n"));
  EXPECT_EQ(app_.Run({"target", "show", "web-01", "-o", "json"}), 0);
  EXPECT_EQ(FakeHub::MethodOf(app_.hub.requests.back()), "GetTarget");
  // A hub that is older, or cannot say, is no reason to show nothing.
  app_.hub.Reply("GetHostMetrics", 404, "application/json", R"({"code":"unimplemented","message":"no such method"})");
  app_.Run({"target", "show", "web-01"});
  EXPECT_EQ(app_.Run({"target", "show", "web-01"}), 0);
  EXPECT_THAT(app_.console.out, Not(HasSubstr("host  ")));
  EXPECT_EQ(app_.console.err, "");
}

}  // namespace
}  // namespace muster::cli
