#include "hub/jobs/job_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "common/testing/fake_clock.h"
#include "hub/jobs/testing/job_reports.h"

namespace muster::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class JobRegistryTest : public testing::Test {
 protected:
  JobRegistryTest() { MakeRegistry({}); }

  void MakeRegistry(const JobRegistry::Options& options) {
    registry_ =
        std::make_unique<JobRegistry>(options, [this](const std::string& id) -> std::optional<JobRegistry::Place> {
          const auto found = names_.find(id);
          if (found == names_.end()) return std::nullopt;
          return JobRegistry::Place{
              .labels = Label("deploymenttarget", found->second), .name = found->second, .customer = "c"};
        });
  }
  StoredJobGroup Stored(std::int64_t id, agent::v1::JobGroup group, const std::string& target = "tgt_1") {
    return {.id = id, .target_id = target, .group = std::move(group), .first_push = clock_.Now(), .push = clock_.Now()};
  }
  std::vector<std::string> Apply(std::vector<StoredJobGroup> groups, const std::string& target = "tgt_1") {
    return registry_->Apply(
        {.target_id = target, .position = {}, .groups = std::move(groups), .gone = {}, .refusals = {}}, clock_.Read());
  }
  std::string Page(PageFormat format = PageFormat::kText) {
    std::string text;
    PageWriter page(format, [&](std::string_view block) { text += block; });
    registry_->Write(clock_.Read(), page);
    page.Finish();
    return text;
  }
  // Value of the sample that begins so; NaN: there is none.
  double Value(const std::string& series) {
    std::istringstream lines(Page());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(series + " ")) return std::strtod(line.c_str() + series.size(), nullptr);
    }
    return std::nan("");
  }

  FakeClock clock_;
  std::map<std::string, std::string> names_ = {{"tgt_1", "one"}, {"tgt_2", "two"}};
  std::unique_ptr<JobRegistry> registry_;
};

constexpr char kBackup[] = R"({deploymenttarget="one",jobname="backup"})";

TEST_F(JobRegistryTest, FamiliesAreShownUnderTheirOwnNamesWithTheTargetsLabels) {
  agent::v1::JobFamily bytes = CounterFamily("backup_bytes_total", 1048576, "a \"b\"");
  bytes.set_help("Bytes that were saved.");
  bytes.set_unit("bytes");
  Apply({Stored(1, JobGroupOf("backup", {bytes, GaugeFamily("backup_files", 311),
                                         HistogramFamily("backup_seconds", {2, 1, 4}, 40.5)}))});
  const std::string text = Page();
  EXPECT_THAT(
      text,
      HasSubstr("# HELP backup_bytes_total Bytes that were saved.\n# TYPE backup_bytes_total counter\n"
                "backup_bytes_total{deploymenttarget=\"one\",jobname=\"backup\",disk=\"a \\\"b\\\"\"} 1048576\n"));
  EXPECT_THAT(text,
              HasSubstr("# TYPE backup_files gauge\nbackup_files{deploymenttarget=\"one\",jobname=\"backup\"} 311\n"));
  EXPECT_THAT(text, HasSubstr("backup_seconds_bucket{deploymenttarget=\"one\",jobname=\"backup\",le=\"1\"} 2\n"
                              "backup_seconds_bucket{deploymenttarget=\"one\",jobname=\"backup\",le=\"5\"} 3\n"
                              "backup_seconds_bucket{deploymenttarget=\"one\",jobname=\"backup\",le=\"+Inf\"} 7\n"
                              "backup_seconds_sum{deploymenttarget=\"one\",jobname=\"backup\"} 40.5\n"
                              "backup_seconds_count{deploymenttarget=\"one\",jobname=\"backup\"} 7\n"));
  const std::string open = Page(PageFormat::kOpenMetrics);
  EXPECT_THAT(open, HasSubstr("# TYPE backup_bytes counter\n# UNIT backup_bytes bytes\n"));
  EXPECT_THAT(open, HasSubstr("le=\"5.0\"} 3\n"));
}

TEST_F(JobRegistryTest, OneTypeForEachFamilyTheFirstThatCameDecides) {
  Apply({Stored(2, JobGroupOf("backup", {CounterFamily("rows_total", 1)}))});
  const auto refusals = Apply({Stored(5, JobGroupOf("import", {GaugeFamily("rows_total", 9)}), "tgt_2")}, "tgt_2");
  EXPECT_THAT(refusals, ElementsAre(HasSubstr("TYPE_CLASH rows_total: a counter elsewhere, a gauge in \"import\"")));
  EXPECT_THAT(Page(),
              HasSubstr("# TYPE rows_total counter\nrows_total{deploymenttarget=\"one\",jobname=\"backup\"} 1\n"));
  EXPECT_THAT(Page(), Not(HasSubstr("rows_total{deploymenttarget=\"two\"")));
  EXPECT_EQ(Value(R"(distr_job_series_refused{deploymenttarget="two",reason="TYPE_CLASH"})"), 1);
  EXPECT_EQ(Value(R"(distr_job_series{deploymenttarget="two"})"), 0);
  EXPECT_THAT(registry_->List(clock_.Read())[1].refusals(), ElementsAre("TYPE_CLASH"));

  // The same after a restart, whatever is loaded first.
  MakeRegistry({});
  registry_->Load({Stored(5, JobGroupOf("import", {GaugeFamily("rows_total", 9)}), "tgt_2"),
                   Stored(2, JobGroupOf("backup", {CounterFamily("rows_total", 1)}))},
                  clock_.Read());
  EXPECT_THAT(Page(), HasSubstr("# TYPE rows_total counter\n"));

  // The first is gone: the other one's type counts.
  names_.erase("tgt_1");
  EXPECT_THAT(Page(),
              HasSubstr("# TYPE rows_total gauge\nrows_total{deploymenttarget=\"two\",jobname=\"import\"} 9\n"));
}

TEST_F(JobRegistryTest, AGroupThatHasEndedHoldsNoType) {
  agent::v1::JobGroup ended = JobGroupOf("backup", {CounterFamily("rows_total", 1)});
  *ended.mutable_time_to_live() = ToProto(absl::Seconds(10));
  Apply({Stored(1, ended)});
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(Apply({Stored(2, JobGroupOf("import", {GaugeFamily("rows_total", 9)}))}), IsEmpty());
  EXPECT_THAT(Page(), HasSubstr("# TYPE rows_total gauge\n"));
}

TEST_F(JobRegistryTest, SeriesBeyondTheLimitAreCountedNotShown) {
  MakeRegistry({.prefix = "", .max_series = 4});
  const auto refusals = Apply({Stored(1, JobGroupOf("old", {HistogramFamily("h", {1, 1, 1}, 3)})),
                               Stored(2, JobGroupOf("a", {GaugeFamily("g", 1), GaugeFamily("k", 2)}))});
  EXPECT_THAT(refusals, ElementsAre(HasSubstr("SERIES_LIMIT 5 series; the hub shows at most 4")));
  EXPECT_THAT(Page(), HasSubstr("h_count{"));
  EXPECT_THAT(Page(), HasSubstr("\ng{"));
  EXPECT_THAT(Page(), Not(HasSubstr("\nk{")));
  EXPECT_EQ(Value(R"(distr_job_series{deploymenttarget="one"})"), 4);
  EXPECT_EQ(Value(R"(distr_job_series_refused{deploymenttarget="one",reason="SERIES_LIMIT"})"), 1);
}

TEST_F(JobRegistryTest, SeriesEndWithTheirTimeToLiveAndComeBackWithAPush) {
  agent::v1::JobGroup daily = JobGroupOf("backup", {CounterFamily("a_total", 3)});
  *daily.mutable_time_to_live() = ToProto(absl::Hours(25));
  Apply({Stored(1, daily)});
  clock_.Advance(absl::Hours(25) - absl::Seconds(1));
  EXPECT_EQ(Value(std::string("a_total") + kBackup), 3);
  // A clock that is set changes nothing.
  clock_.StepWall(absl::Hours(100));
  EXPECT_EQ(Value(std::string("a_total") + kBackup), 3);
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
  EXPECT_TRUE(registry_->List(clock_.Read())[0].is_expired());
  // What is about the job stays while it is expected again.
  *daily.mutable_period() = ToProto(absl::Hours(24));
  Apply({Stored(1, daily)});
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
  EXPECT_GT(Value(std::string("distr_job_last_push_timestamp_seconds") + kBackup), 0);
  daily.mutable_families(0)->mutable_series(0)->set_value(4);
  Apply({Stored(1, daily)});
  EXPECT_EQ(Value(std::string("a_total") + kBackup), 4);
}

TEST_F(JobRegistryTest, AfterARestartAgesAreToldByStoredTimes) {
  agent::v1::JobGroup daily = JobGroupOf("backup", {CounterFamily("a_total", 3)});
  *daily.mutable_time_to_live() = ToProto(absl::Hours(25));
  const StoredJobGroup stored = Stored(1, daily);
  clock_.Advance(absl::Hours(24));
  registry_->Load({stored}, clock_.Read());
  EXPECT_EQ(Value(std::string("a_total") + kBackup), 3);
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
  // Ended while the hub was away; a clock set back afterwards does not bring it back.
  MakeRegistry({});
  registry_->Load({stored}, clock_.Read());
  clock_.StepWall(-absl::Hours(20));
  EXPECT_THAT(Page(), Not(HasSubstr("a_total{")));
}

TEST_F(JobRegistryTest, OverdueCountsFromTheLastSuccessOrTheFirstPush) {
  agent::v1::JobGroup group = JobGroupOf("backup", {});
  *group.mutable_period() = ToProto(absl::Hours(24));
  const std::string overdue = std::string("distr_job_overdue") + kBackup;
  StoredJobGroup stored = Stored(1, group);
  Apply({stored});
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Value(overdue), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Value(overdue), 1);
  // A failure is no success, whenever it comes.
  stored.push = clock_.Now();
  stored.failure = clock_.Now();
  Apply({stored});
  EXPECT_EQ(Value(overdue), 1);
  stored.success = clock_.Now();
  Apply({stored});
  EXPECT_EQ(Value(overdue), 0);
  EXPECT_EQ(Value(std::string("distr_job_period_seconds") + kBackup), 86400);
  // Nothing is expected of a job without a period.
  group.clear_period();
  Apply({Stored(1, group)});
  EXPECT_TRUE(std::isnan(Value(overdue)));
}

TEST_F(JobRegistryTest, RunsAndTimesOfThem) {
  agent::v1::JobGroup group = JobGroupOf("backup", {});
  group.set_successes(3);
  group.set_failures(2);
  group.set_refused_pushes(4);
  StoredJobGroup stored = Stored(1, group);
  stored.success = clock_.Now() - absl::Seconds(5);
  Apply({stored});
  EXPECT_EQ(Value(R"(distr_job_runs_total{deploymenttarget="one",jobname="backup",result="success"})"), 3);
  EXPECT_EQ(Value(R"(distr_job_runs_total{deploymenttarget="one",jobname="backup",result="failure"})"), 2);
  EXPECT_EQ(Value(std::string("distr_job_refused_pushes_total") + kBackup), 4);
  EXPECT_EQ(Value(std::string("distr_job_last_success_timestamp_seconds") + kBackup), 1'799'999'995);
  EXPECT_EQ(Value(std::string("distr_job_last_failure_timestamp_seconds") + kBackup), 0);
}

TEST_F(JobRegistryTest, GroupsThatAreGoneAndTargetsThatAreGoneShowNothing) {
  Apply({Stored(1, JobGroupOf("backup", {CounterFamily("a_total", 3)}))});
  Apply({Stored(2, JobGroupOf("other", {CounterFamily("b_total", 3)}), "tgt_2")}, "tgt_2");
  registry_->Apply({.target_id = "tgt_1", .position = {}, .groups = {}, .gone = {"backup"}, .refusals = {}},
                   clock_.Read());
  EXPECT_THAT(Page(), Not(HasSubstr("a_total")));
  names_["tgt_2"] = "renamed";
  EXPECT_THAT(Page(), HasSubstr("b_total{deploymenttarget=\"renamed\""));
  names_.erase("tgt_2");
  EXPECT_THAT(Page(), Not(HasSubstr("b_total")));
  EXPECT_THAT(registry_->List(clock_.Read()), IsEmpty());
}

TEST_F(JobRegistryTest, ThePrefixStandsInFrontOfEveryName) {
  MakeRegistry({.prefix = "job_"});
  Apply({Stored(1, JobGroupOf("backup", {CounterFamily("a_total", 3)}))});
  EXPECT_THAT(Page(), HasSubstr("\njob_a_total{"));
  // What it makes a name of the hub is not shown.
  MakeRegistry({.prefix = "d"});
  Apply({Stored(1, JobGroupOf("backup", {GaugeFamily("istr_organizations", 3)}))});
  EXPECT_THAT(Page(), Not(HasSubstr("distr_organizations")));
}

TEST(JobPrefix, IsTheBeginningOfAName) {
  for (const char* good : {"", "job_", "x:y", "J"}) EXPECT_TRUE(CheckJobPrefix(good).ok()) << good;
  for (const char* bad : {"9", "a-b", "distr_", "distr_job_", "process_", "scrape_", "é"}) {
    EXPECT_FALSE(CheckJobPrefix(bad).ok()) << bad;
  }
}

TEST_F(JobRegistryTest, NoReaderSeesHalfOfAHistogram) {
  Apply({Stored(1, JobGroupOf("backup", {HistogramFamily("h", {0, 0, 0}, 0)}))});
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) Apply({Stored(1, JobGroupOf("backup", {HistogramFamily("h", {i, i, i}, i)}))});
  });
  for (int i = 0; i < 300; ++i) {
    std::istringstream lines(Page());
    std::vector<double> values;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("h_")) values.push_back(std::strtod(line.c_str() + line.rfind(' '), nullptr));
    }
    ASSERT_EQ(values.size(), 5u);
    const double each = values[3];
    EXPECT_THAT(values, ElementsAre(each, 2 * each, 3 * each, each, 3 * each));
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace muster::hub
