#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class JobsTest : public ::testing::Test {
 protected:
  google::protobuf::Timestamp Ago(absl::Duration ago) const { return ToProto(app_.clock.Now() - ago); }
  fleet::v1::Job* Add(const std::string& name) {
    auto* job = response_.add_jobs();
    job->set_target_name("web-01");
    job->set_name(name);
    return job;
  }

  FakeApp app_;
  fleet::v1::ListJobsResponse response_;
};

TEST_F(JobsTest, AreATable) {
  auto* ok = Add("backup");
  *ok->mutable_last_success_time() = Ago(absl::Hours(3));
  *ok->mutable_last_failure_time() = Ago(absl::Hours(50));
  ok->set_successes(311);
  ok->set_failures(2);
  *ok->mutable_period() = ToProto(absl::Hours(24));
  auto* late = Add("vacuum");
  late->set_is_overdue(true);
  *late->mutable_last_failure_time() = Ago(absl::Minutes(5));
  late->set_failures(1);
  *late->mutable_period() = ToProto(absl::Hours(1));
  auto* failed = Add("build");
  *failed->mutable_last_success_time() = Ago(absl::Minutes(20));
  *failed->mutable_last_failure_time() = Ago(absl::Minutes(10));
  failed->set_successes(1);
  failed->set_failures(1);
  failed->add_refusals("TYPE_CLASH");
  failed->add_refusals("SERIES_LIMIT");
  auto* expired = Add("old");
  *expired->mutable_last_success_time() = Ago(absl::Hours(49));
  expired->set_is_expired(true);
  expired->set_successes(7);
  Add("evil\x1b[2J\nx");
  app_.hub.Answer("ListJobs", response_);
  EXPECT_EQ(app_.Run({"job", "list"}), 0) << app_.console.err;
  EXPECT_EQ(app_.console.out,
            "TARGET  JOB             STATE        LAST SUCCESS  LAST FAILURE  RUNS           PERIOD  NOTE\n"
            "web-01  backup          ● ok         3h 0m ago     2d 2h ago     313, 2 failed  1d 0h\n"
            "web-01  vacuum          ▲ overdue    -             5m 0s ago     1, 1 failed    1h 0m\n"
            "web-01  build           ✖ failed     20m 0s ago    10m 0s ago    2, 1 failed            "
            "series not shown: TYPE_CLASH, SERIES_LIMIT\n"
            "web-01  old             ○ expired    2d 1h ago     -             7\n"
            "web-01  evil\\x1b[2J\\nx  ○ no result  -             -             0\n");
}

TEST_F(JobsTest, AsksForWhatTheOptionsSayPageByPage) {
  Add("a");
  response_.set_next_page_token("1");
  app_.hub.Answer("ListJobs", response_);
  response_.mutable_jobs(0)->set_name("b");
  response_.clear_next_page_token();
  app_.hub.Answer("ListJobs", response_);
  EXPECT_EQ(app_.Run({"job", "list", "--target", "web-01", "--overdue", "-o", "json"}), 0) << app_.console.err;
  const auto request = app_.LastRequest<fleet::v1::ListJobsRequest>();
  EXPECT_EQ(request.target(), "web-01");
  EXPECT_TRUE(request.only_overdue());
  EXPECT_EQ(request.page_token(), "1");
  fleet::v1::ListJobsResponse shown;
  ASSERT_TRUE(FromJson(app_.console.out, &shown).ok()) << app_.console.out;
  EXPECT_EQ(shown.jobs_size(), 2);
}

TEST_F(JobsTest, NoneSaysWhatMakesOne) {
  app_.hub.Answer("ListJobs", response_);
  EXPECT_EQ(app_.Run({"job", "list"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.out, HasSubstr("muster-agent push NAME --success"));
  EXPECT_EQ(app_.Run({"job", "list", "--overdue"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.out, Not(HasSubstr("push")));
  EXPECT_EQ(app_.Run({"job"}), 2);
}

TEST_F(JobsTest, CompletionKnowsTargets) {
  fleet::v1::ListTargetsResponse targets;
  targets.add_targets()->set_name("web-01");
  app_.hub.Answer("ListTargets", targets);
  EXPECT_EQ(app_.Run({"__complete", "job", "list", "--target", "w"}), 0);
  EXPECT_EQ(app_.console.out, "web-01\n");
  EXPECT_EQ(app_.Run({"__complete", "j"}), 0);
  EXPECT_EQ(app_.console.out, "job\n");
}

}  // namespace
}  // namespace muster::cli
