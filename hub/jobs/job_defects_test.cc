// What hostile agents, clocks that go back and restored disks must not do to jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "common/testing/fake_clock.h"
#include "hub/jobs/job_check.h"
#include "hub/jobs/job_registry.h"
#include "hub/jobs/job_writes.h"
#include "hub/jobs/testing/job_reports.h"
#include "hub/store/testing/test_database.h"

namespace muster::hub {
namespace {

using agent::v1::JobGroup;
using agent::v1::JobReport;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

JobGroup Deleted(const std::string& name) {
  JobGroup group = JobGroupOf(name, {});
  group.set_is_deleted(true);
  return group;
}

JobGroup WithTimeToLive(JobGroup group, absl::Duration time_to_live) {
  *group.mutable_time_to_live() = ToProto(time_to_live);
  return group;
}

// ---- arithmetic

TEST(JobTotals, StayTheLargestNumberInsteadOfOverflowing) {
  JobGroup base = JobGroupOf("backup", {CounterFamily("a_total", std::numeric_limits<double>::max()),
                                        HistogramFamily("h", {kMost, 0, 0}, std::numeric_limits<double>::max())});
  base.set_successes(kMost);
  base.set_failures(kMost);
  base.set_refused_pushes(kMost);
  const JobGroup sum = AddTotals(base, base);
  EXPECT_EQ(sum.successes(), kMost);
  EXPECT_EQ(sum.failures(), kMost);
  EXPECT_EQ(sum.refused_pushes(), kMost);
  EXPECT_TRUE(std::isfinite(sum.families(0).series(0).value()));
  EXPECT_EQ(sum.families(1).series(0).bucket_counts(0), kMost);
  EXPECT_TRUE(std::isfinite(sum.families(1).series(0).sum()));
}

// ---- series that are one to Prometheus

TEST(JobSeriesNames, TwoThatPrometheusTakesForOneAreOne) {
  for (const auto& [one, other] : std::vector<std::pair<std::string, std::string>>{
           {"", "-"}, {std::string("a\0", 2), "a\xEF\xBF\xBD"}, {"a\xFF", "a\xEF\xBF\xBD"}}) {
    JobGroup group = JobGroupOf("backup", {CounterFamily("a_total", 1)});
    agent::v1::JobFamily* family = group.mutable_families(0);
    family->mutable_series(0)->add_labels()->set_name("disk");
    family->mutable_series(0)->mutable_labels(0)->set_value(one);
    agent::v1::JobSeries* second = family->add_series();
    if (other != "-") {
      second->add_labels()->set_name("disk");
      second->mutable_labels(0)->set_value(other);
    }
    EXPECT_THAT(CleanGroup(&group), Not(IsEmpty()));
    ASSERT_EQ(group.families_size(), 1);
    EXPECT_EQ(group.families(0).series_size(), 1);
  }
}

// ---- what is stored

class JobDefectsTest : public testing::Test {
 protected:
  JobDefectsTest() { EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok()); }

  JobOutcome Apply(const JobReport& report, double second = 1000) {
    BatchOrigin origin;
    origin.target_id = "tgt_1";
    origin.arrived = kTestEpoch + absl::Seconds(second);
    auto outcome = ApplyJobReport(*database_, origin, report);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(JobOutcome());
  }
  double Total(const std::string& name) {
    const auto groups = LoadJobs(*database_);
    EXPECT_TRUE(groups.ok()) << groups.status();
    for (const StoredJobGroup& stored : *groups) {
      if (stored.group.name() == name) return stored.group.families(0).series(0).value();
    }
    return -1;
  }
  static JobReport Backup(double value, const std::string& store, std::int64_t version = 1) {
    return JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", value)})}, version, store);
  }

  TestDatabase database_;
};

// A machine that was restored from before its agent was installed anew, or two machines with one identity.
TEST_F(JobDefectsTest, AStoreThatComesBackCountsOnce) {
  Apply(Backup(5, "a"));
  Apply(Backup(1, "b"));
  EXPECT_EQ(Total("backup"), 6);
  for (int i = 0; i < 10; ++i) {
    Apply(Backup(5, "a"));
    EXPECT_EQ(Total("backup"), 6);
    Apply(Backup(1, "b"));
    EXPECT_EQ(Total("backup"), 6);
  }
  Apply(Backup(7, "a"));
  EXPECT_EQ(Total("backup"), 8);
}

TEST_F(JobDefectsTest, NoNumberOfStoresMakesACounterFallOrTakesRoom) {
  for (int i = 1; i <= 100; ++i) {
    Apply(Backup(1, "store-" + std::to_string(i)));
    EXPECT_EQ(Total("backup"), i);
  }
  EXPECT_LE(database_.Number("SELECT count(*) FROM job_former_totals"), 8);
}

TEST_F(JobDefectsTest, AnAgentThatIsInstalledAnewForgetsNoSuccess) {
  JobGroup group = JobGroupOf("backup", {CounterFamily("a_total", 5)});
  *group.mutable_success_age() = ToProto(absl::Seconds(60));
  *group.mutable_failure_age() = ToProto(absl::Seconds(90));
  Apply(JobReportOf({group}));
  const JobOutcome anew = Apply(Backup(1, "b"), 2000);
  ASSERT_EQ(anew.groups.size(), 1u);
  EXPECT_EQ(anew.groups.front().success, kTestEpoch + absl::Seconds(940));
  EXPECT_EQ(anew.groups.front().failure, kTestEpoch + absl::Seconds(910));
  EXPECT_EQ(Apply(Backup(1, "b", 2), 3000).groups.front().success, kTestEpoch + absl::Seconds(940));
  *group.mutable_success_age() = ToProto(absl::Seconds(1));
  EXPECT_EQ(Apply(JobReportOf({group}, 3, "b"), 4000).groups.front().success, kTestEpoch + absl::Seconds(3999));
}

TEST_F(JobDefectsTest, WhatGoesInAReportIsNotShownByIt) {
  const JobOutcome outcome =
      Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)}), Deleted("backup")}));
  EXPECT_THAT(outcome.groups, IsEmpty());
  EXPECT_EQ(database_.Number("SELECT count(*) FROM job_groups"), 0);
  const JobOutcome again = Apply(JobReportOf({Deleted("backup"), JobGroupOf("backup", {CounterFamily("a_total", 5)})}));
  EXPECT_EQ(again.groups.size(), 1u);
}

// What an agent has forgotten itself it does not tell.
TEST_F(JobDefectsTest, BeyondTheLimitWhatHasEndedGoesFirst) {
  std::vector<JobGroup> groups = {JobGroupOf("yearly", {}, 900)};
  for (int i = 1; i < kMaxJobGroupsPerTarget; ++i) {
    groups.push_back(WithTimeToLive(JobGroupOf("build-" + std::to_string(i), {}, i == 5 ? 99 : 50), absl::Seconds(10)));
  }
  Apply(JobReportOf(groups));
  const JobOutcome outcome = Apply(JobReportOf({JobGroupOf("one-more", {})}, 2));
  EXPECT_THAT(outcome.gone, ElementsAre("build-5"));
}

// ---- what is shown

class JobPageTest : public JobDefectsTest {
 protected:
  JobPageTest() { EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_2", "two")).ok()); }

  void Report(const std::string& target_id, const std::vector<JobGroup>& groups, std::int64_t version = 1) {
    BatchOrigin origin;
    origin.target_id = target_id;
    origin.arrived = clock_.Now();
    auto outcome = ApplyJobReport(*database_, origin, JobReportOf(groups, version));
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    refusals_ = registry_->Apply(*std::move(outcome), clock_.Read());
  }
  void Restart() {
    registry_ = std::make_unique<JobRegistry>(options_, PlaceOf);
    auto stored = LoadJobs(*database_);
    ASSERT_TRUE(stored.ok()) << stored.status();
    registry_->Load(*std::move(stored), clock_.Read());
  }
  // As the hub's ticker does.
  void NoteWhatEnded() {
    const auto ended = registry_->TakeEnded(clock_.Monotonic());
    EXPECT_TRUE(MarkJobsEnded(*database_, ended).ok());
  }
  std::string Page(PageFormat format = PageFormat::kText) {
    std::string text;
    PageWriter page(format, [&](std::string_view block) { text += block; });
    registry_->Write(clock_.Read(), page);
    page.Finish();
    return text;
  }
  static std::optional<JobRegistry::Place> PlaceOf(const std::string& id) {
    return JobRegistry::Place{.labels = Label("deploymenttarget", id), .name = id, .customer = ""};
  }

  FakeClock clock_;
  JobRegistry::Options options_;
  std::unique_ptr<JobRegistry> registry_ = std::make_unique<JobRegistry>(options_, PlaceOf);
  std::vector<std::string> refusals_;
};

TEST_F(JobPageTest, ANameThatAHistogramWritesIsNoOtherFamilys) {
  Report("tgt_1", {JobGroupOf("backup", {HistogramFamily("x", {1, 0, 0}, 1)})});
  Report("tgt_2", {JobGroupOf("backup", {GaugeFamily("x_count", 7)})});
  EXPECT_THAT(refusals_, ElementsAre(HasSubstr("TYPE_CLASH x_count")));
  EXPECT_THAT(Page(), Not(HasSubstr("TYPE x_count")));
  EXPECT_THAT(Page(), HasSubstr("x_count{deploymenttarget=\"tgt_1\""));
  Report("tgt_1", {Deleted("backup")}, 2);
  EXPECT_THAT(Page(), HasSubstr("# TYPE x_count gauge"));
}

// OpenMetrics knows the counter x_total as the family x.
TEST_F(JobPageTest, NoFamilyIsThereTwiceInOpenMetrics) {
  Report("tgt_1", {JobGroupOf("backup", {GaugeFamily("x", 7)})});
  Report("tgt_2", {JobGroupOf("backup", {CounterFamily("x_total", 1)})});
  EXPECT_THAT(refusals_, ElementsAre(HasSubstr("TYPE_CLASH x_total")));
  EXPECT_THAT(Page(PageFormat::kOpenMetrics), Not(HasSubstr("# TYPE x counter")));
}

TEST_F(JobPageTest, AClashTakesNoRoomFromOthers) {
  options_.max_series = 2;
  registry_ = std::make_unique<JobRegistry>(options_, PlaceOf);
  Report("tgt_1", {JobGroupOf("backup", {GaugeFamily("a", 7)})});
  Report(
      "tgt_2",
      {JobGroupOf("backup", {CounterFamily("a_total", 7), CounterFamily("b_total", 1), CounterFamily("c_total", 1)})});
  EXPECT_THAT(Page(), HasSubstr("c_total{"));
}

TEST_F(JobPageTest, WhatEndedStaysEndedWhateverTheClockSays) {
  Report("tgt_1", {WithTimeToLive(JobGroupOf("backup", {CounterFamily("a_total", 7)}), absl::Hours(25))});
  EXPECT_THAT(Page(), HasSubstr("a_total{"));
  clock_.Advance(absl::Hours(26));
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
  NoteWhatEnded();
  clock_.StepWall(-absl::Hours(48));
  Restart();
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
  // Its next push is one.
  Report("tgt_1", {WithTimeToLive(JobGroupOf("backup", {CounterFamily("a_total", 8)}), absl::Hours(25))}, 2);
  EXPECT_THAT(Page(), HasSubstr("a_total{"));
  Restart();
  EXPECT_THAT(Page(), HasSubstr("a_total{"));
}

TEST_F(JobPageTest, WhatEndedAndIsNotExpectedLeavesNothing) {
  JobGroup expected = WithTimeToLive(JobGroupOf("nightly", {}), absl::Hours(1));
  *expected.mutable_period() = ToProto(absl::Hours(24));
  Report("tgt_1", {WithTimeToLive(JobGroupOf("build-1", {}), absl::Hours(1)), expected});
  EXPECT_THAT(Page(), HasSubstr("jobname=\"build-1\""));
  clock_.Advance(absl::Hours(48));
  EXPECT_THAT(Page(), Not(HasSubstr("jobname=\"build-1\"")));
  EXPECT_THAT(Page(), HasSubstr("distr_job_overdue{deploymenttarget=\"tgt_1\",jobname=\"nightly\"} 1\n"));
}

TEST_F(JobPageTest, ATargetWhoseJobsAreAllGoneIsNotNamed) {
  Report("tgt_1", {JobGroupOf("backup", {CounterFamily("a_total", 7)})});
  Report("tgt_1", {Deleted("backup")}, 2);
  EXPECT_THAT(Page(), Not(HasSubstr("tgt_1")));
  Restart();
  EXPECT_THAT(Page(), Not(HasSubstr("tgt_1")));
}

TEST_F(JobPageTest, NamesThatThePrefixMakesTakenAreCounted) {
  options_.prefix = "distr";
  registry_ = std::make_unique<JobRegistry>(options_, PlaceOf);
  Report("tgt_1", {JobGroupOf("backup", {CounterFamily("_total_total", 7), CounterFamily("ibution_total", 7)})});
  EXPECT_THAT(refusals_, ElementsAre(HasSubstr("BAD_NAME distr_total_total")));
  EXPECT_THAT(Page(), HasSubstr("distribution_total{"));
  EXPECT_THAT(Page(), Not(HasSubstr("\ndistr_total_total")));
  EXPECT_THAT(Page(), HasSubstr("distr_job_series_refused{deploymenttarget=\"tgt_1\",reason=\"BAD_NAME\"} 1\n"));
}

}  // namespace
}  // namespace muster::hub
