#include "hub/jobs/job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "hub/jobs/job_records.h"
#include "hub/jobs/testing/job_reports.h"

namespace muster::hub {
namespace {

using agent::v1::JobFamily;
using agent::v1::JobGroup;
using agent::v1::JobReport;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(JobCheck, AReportThatBreaksTheContractIsNamed) {
  struct Case {
    const char* what;
    std::function<void(JobReport&)> change;
  };
  const Case cases[] = {
      {"a store", [](JobReport& r) { r.clear_store_id(); }},
      {"a store", [](JobReport& r) { r.set_store_id(std::string(65, 's')); }},
      {"negative version", [](JobReport& r) { r.set_version(-1); }},
      {"proper name", [](JobReport& r) { r.mutable_groups(0)->set_name(""); }},
      {"proper name", [](JobReport& r) { r.mutable_groups(0)->set_name("a b"); }},
      {"proper name", [](JobReport& r) { r.mutable_groups(0)->set_name(std::string(65, 'g')); }},
      {"a period", [](JobReport& r) { r.mutable_groups(0)->mutable_period()->set_seconds(-1); }},
      {"a period", [](JobReport& r) { r.mutable_groups(0)->mutable_period()->set_seconds(401LL * 24 * 3600); }},
      {"time to live", [](JobReport& r) { r.mutable_groups(0)->mutable_time_to_live()->set_seconds(0); }},
      {"negative number", [](JobReport& r) { r.mutable_groups(0)->set_successes(-1); }},
      {"1200 groups",
       [](JobReport& r) {
         for (int i = 0; i < kMaxJobGroupsPerTarget; ++i) *r.add_groups() = JobGroupOf("more", {});
       }},
  };
  const JobReport good = JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 1)})});
  EXPECT_EQ(FindDefect(good), "");
  for (const Case& c : cases) {
    JobReport report = good;
    c.change(report);
    EXPECT_THAT(FindDefect(report), HasSubstr(c.what));
  }
}

TEST(JobCheck, WhatNoPageCanHoldGoesAndIsNamed) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  struct Case {
    const char* why;
    JobFamily family;
  };
  const auto with = [](JobFamily family, const std::function<void(JobFamily&)>& change) {
    change(family);
    return family;
  };
  const Case cases[] = {
      {"no name of a metric", GaugeFamily("9lives", 1)},
      {"no name of a metric", GaugeFamily("a\nb", 1)},
      {"no name of a metric", GaugeFamily(std::string(201, 'a'), 1)},
      {"taken", GaugeFamily("distr_organizations", 1)},
      {"taken", GaugeFamily("process_cpu", 1)},
      {"taken", GaugeFamily("up", 1)},
      {"ends in _total", CounterFamily("a_bytes", 1)},
      {"type is not known", Family("a", agent::v1::JOB_METRIC_TYPE_UNSPECIFIED)},
      {"rising bounds", with(HistogramFamily("h", {1, 1, 1}, 3), [](JobFamily& f) { f.set_buckets(1, 1); })},
      {"rising bounds", with(HistogramFamily("h", {1, 1, 1}, 3), [&](JobFamily& f) { f.set_buckets(1, infinity); })},
      {"impossible labels or values", CounterFamily("a_total", nan)},
      {"impossible labels or values", CounterFamily("a_total", -1)},
      {"impossible labels or values", CounterFamily("a_total", infinity)},
      {"impossible labels or values", GaugeFamily("a", nan)},
      {"impossible labels or values", HistogramFamily("h", {1, 1}, 3)},
      {"impossible labels or values", HistogramFamily("h", {1, -1, 1}, 3)},
      {"impossible labels or values", HistogramFamily("h", {1, 1, 1}, nan)},
      {"impossible labels or values",
       with(CounterFamily("a_total", 1, "x"),
            [](JobFamily& f) { f.mutable_series(0)->mutable_labels(0)->set_name("deploymenttarget"); })},
      {"impossible labels or values",
       with(CounterFamily("a_total", 1, "x"), [](JobFamily& f) { *f.add_series() = f.series(0); })},
      {"more than 1000 series", with(GaugeFamily("a", 1),
                                     [](JobFamily& f) {
                                       f.clear_series();
                                       for (int i = 0; i <= kMaxJobSeries; ++i) {
                                         agent::v1::JobLabel* label = f.add_series()->add_labels();
                                         label->set_name("n");
                                         label->set_value(std::to_string(i));
                                       }
                                     })},
  };
  for (const Case& c : cases) {
    JobGroup group = JobGroupOf("backup", {c.family, GaugeFamily("good", infinity)});
    EXPECT_THAT(CleanGroup(&group), ElementsAre(HasSubstr(c.why)));
    EXPECT_EQ(group.families(group.families_size() - 1).name(), "good");
    for (const JobFamily& family : group.families()) EXPECT_GT(family.series_size(), 0) << family.name();
  }
}

TEST(JobCheck, AFamilyThatIsThereTwiceCountsOnce) {
  JobGroup group = JobGroupOf("backup", {CounterFamily("a_total", 1), CounterFamily("a_total", 2)});
  EXPECT_THAT(CleanGroup(&group), ElementsAre(HasSubstr("twice")));
  ASSERT_EQ(group.families_size(), 1);
  EXPECT_EQ(group.families(0).series(0).value(), 1);
}

TEST(JobCheck, TextsAreCleanedAndAUnitFitsItsName) {
  JobFamily family = CounterFamily("a_bytes_total", 1, "\xFF");
  family.set_help("\xFEhelp");
  family.set_unit("bytes");
  JobFamily other = GaugeFamily("b_seconds", 1);
  other.set_unit("bytes");
  JobGroup group = JobGroupOf("backup", {family, other});
  EXPECT_THAT(CleanGroup(&group), IsEmpty());
  EXPECT_EQ(group.families(0).help(), "\xEF\xBF\xBDhelp");
  EXPECT_EQ(group.families(0).series(0).labels(0).value(), "\xEF\xBF\xBD");
  EXPECT_EQ(group.families(0).unit(), "bytes");
  EXPECT_EQ(group.families(1).unit(), "");
}

TEST(JobCheck, TotalsOfAFormerStoreAreAddedButNoGauges) {
  JobGroup base = JobGroupOf("backup", {CounterFamily("a_total", 10, "x"), CounterFamily("old_total", 3),
                                        GaugeFamily("files", 7), HistogramFamily("h", {1, 2, 3}, 20)});
  base.set_successes(5);
  JobGroup told = JobGroupOf(
      "backup", {CounterFamily("a_total", 1, "x"), GaugeFamily("files", 2), HistogramFamily("h", {1, 0, 0}, 0.5)});
  told.set_successes(1);
  const JobGroup sum = AddTotals(base, told);
  EXPECT_EQ(sum.successes(), 6);
  ASSERT_EQ(sum.families_size(), 4);
  EXPECT_EQ(sum.families(0).name(), "a_total");
  EXPECT_EQ(sum.families(0).series(0).value(), 11);
  EXPECT_EQ(sum.families(1).series(0).value(), 2);
  EXPECT_THAT(sum.families(2).series(0).bucket_counts(), ElementsAre(2, 2, 3));
  EXPECT_EQ(sum.families(2).series(0).sum(), 20.5);
  EXPECT_EQ(sum.families(3).name(), "old_total");
  EXPECT_EQ(sum.families(3).series(0).value(), 3);
}

TEST(JobCheck, AHistogramWithOtherBucketsBeginsAnew) {
  JobFamily other = HistogramFamily("h", {4, 4, 4}, 12);
  other.set_buckets(1, 9);
  const JobGroup sum = AddTotals(JobGroupOf("g", {HistogramFamily("h", {1, 1, 1}, 3)}), JobGroupOf("g", {other}));
  EXPECT_THAT(sum.families(0).series(0).bucket_counts(), ElementsAre(4, 4, 4));
}

}  // namespace
}  // namespace muster::hub
