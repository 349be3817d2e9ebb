#include "hub/jobs/job_writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "hub/jobs/testing/job_reports.h"
#include "hub/store/retention.h"
#include "hub/store/testing/test_database.h"

namespace muster::hub {
namespace {

using agent::v1::JobReport;
using testing::ElementsAre;
using testing::IsEmpty;

class JobWritesTest : public testing::Test {
 protected:
  JobWritesTest() { EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok()); }

  JobOutcome Apply(const JobReport& report, double second = 1000) {
    auto outcome = ApplyJobReport(*database_, Origin(second), report);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(JobOutcome());
  }
  static BatchOrigin Origin(double second) {
    BatchOrigin origin;
    origin.target_id = "tgt_1";
    origin.arrived = kTestEpoch + absl::Seconds(second);
    return origin;
  }
  // "group: name=value ...", as loaded.
  std::vector<std::string> Loaded() {
    const auto groups = LoadJobs(*database_);
    EXPECT_TRUE(groups.ok()) << groups.status();
    std::vector<std::string> rows;
    for (const StoredJobGroup& stored : *groups) {
      std::string row = stored.group.name() + ":";
      for (const auto& family : stored.group.families()) {
        for (const auto& series : family.series())
          row += " " + family.name() + "=" + std::to_string(static_cast<int>(series.value()));
      }
      rows.push_back(row);
    }
    return rows;
  }

  TestDatabase database_;
};

TEST_F(JobWritesTest, AReportIsThereAfterwardsWithItsPosition) {
  EXPECT_FALSE(ReadJobPosition(*database_, "tgt_1")->has_value());
  agent::v1::JobGroup group = JobGroupOf("backup", {CounterFamily("a_total", 5)}, 10);
  *group.mutable_success_age() = ToProto(absl::Seconds(60));
  const JobOutcome outcome = Apply(JobReportOf({group}, 7));
  EXPECT_EQ(outcome.position.version(), 7);
  EXPECT_EQ((*ReadJobPosition(*database_, "tgt_1"))->version(), 7);
  EXPECT_EQ((*ReadJobPosition(*database_, "tgt_1"))->store_id(), "store-1");
  const auto loaded = LoadJobs(*database_);
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ(loaded->front().push, kTestEpoch + absl::Seconds(990));
  EXPECT_EQ(loaded->front().first_push, kTestEpoch + absl::Seconds(990));
  EXPECT_EQ(loaded->front().success, kTestEpoch + absl::Seconds(940));
  EXPECT_FALSE(loaded->front().failure.has_value());
  EXPECT_THAT(Loaded(), ElementsAre("backup: a_total=5"));
}

TEST_F(JobWritesTest, AReportThatComesTwiceChangesNothing) {
  const JobReport report = JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 7);
  Apply(report);
  const auto rows = database_.Rows("SELECT * FROM job_groups");
  Apply(report);
  EXPECT_EQ(database_.Rows("SELECT * FROM job_groups"), rows);
}

TEST_F(JobWritesTest, ANewStoreGoesOnWhereTheFormerOneWas) {
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5), GaugeFamily("files", 9)}),
                     JobGroupOf("other", {CounterFamily("b_total", 2)})},
                    7));
  const JobReport anew = JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 1)})}, 1, "store-2");
  Apply(anew);
  EXPECT_THAT(Loaded(), ElementsAre("backup: a_total=6", "other: b_total=2"));
  Apply(anew);
  EXPECT_THAT(Loaded(), ElementsAre("backup: a_total=6", "other: b_total=2"));
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 3)})}, 2, "store-2"));
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 1)})}, 1, "store-3"));
  EXPECT_THAT(Loaded(), ElementsAre("backup: a_total=9", "other: b_total=2"));
}

TEST_F(JobWritesTest, ADiskThatWasRolledBackIsTakenAsItIs) {
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 7));
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 3)})}, 4));
  EXPECT_THAT(Loaded(), ElementsAre("backup: a_total=3"));
  EXPECT_EQ((*ReadJobPosition(*database_, "tgt_1"))->version(), 4);
}

TEST_F(JobWritesTest, ADeletedGroupIsGone) {
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)}), JobGroupOf("other", {})}, 7));
  agent::v1::JobGroup gone = JobGroupOf("backup", {});
  gone.set_is_deleted(true);
  agent::v1::JobGroup never = JobGroupOf("never", {});
  never.set_is_deleted(true);
  EXPECT_THAT(Apply(JobReportOf({gone, never}, 8)).gone, ElementsAre("backup", "never"));
  EXPECT_THAT(Loaded(), ElementsAre("other:"));
}

TEST_F(JobWritesTest, TheFirstPushIsRemembered) {
  Apply(JobReportOf({JobGroupOf("backup", {})}, 1), 100);
  const JobOutcome later = Apply(JobReportOf({JobGroupOf("backup", {})}, 2), 500);
  EXPECT_EQ(later.groups.front().first_push, kTestEpoch + absl::Seconds(100));
  EXPECT_EQ(later.groups.front().push, kTestEpoch + absl::Seconds(500));
}

TEST_F(JobWritesTest, BeyondTheLimitTheGroupThatWasPushedLongestAgoGoes) {
  std::vector<agent::v1::JobGroup> groups;
  for (int i = 0; i < kMaxJobGroupsPerTarget; ++i)
    groups.push_back(JobGroupOf("g" + std::to_string(i), {}, i == 5 ? 99 : 1));
  Apply(JobReportOf(groups, 1));
  EXPECT_THAT(Apply(JobReportOf({JobGroupOf("one-more", {})}, 2)).gone, ElementsAre("g5"));
  EXPECT_EQ(database_.Number("SELECT count(*) FROM job_groups"), kMaxJobGroupsPerTarget);
}

TEST_F(JobWritesTest, AnotherSecretOrADeletedTargetStoresNothing) {
  BatchOrigin rotated = Origin(1);
  rotated.secret_generation = 2;
  const JobReport report = JobReportOf({JobGroupOf("backup", {})});
  EXPECT_EQ(ReasonOf(ApplyJobReport(*database_, rotated, report).status()), "SECRET_ROTATED");
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", kTestEpoch).ok());
  EXPECT_EQ(ReasonOf(ApplyJobReport(*database_, Origin(1), report).status()), "TARGET_NOT_FOUND");
  EXPECT_EQ(database_.Number("SELECT count(*) FROM job_groups"), 0);
}

TEST_F(JobWritesTest, JobsOfADeletedTargetAreNotLoadedAndGoWithItsHistory) {
  Apply(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}));
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", kTestEpoch + absl::Seconds(2000)).ok());
  EXPECT_THAT(Loaded(), IsEmpty());
  HistoryTrim trim(kTestEpoch + absl::Seconds(3000));
  while (*trim.Step(*database_)) {
  }
  EXPECT_EQ(database_.Number("SELECT count(*) FROM job_groups"), 0);
  EXPECT_EQ(database_.Number("SELECT count(*) FROM job_stores"), 0);
}

}  // namespace
}  // namespace muster::hub
