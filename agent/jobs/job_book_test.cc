#include "agent/jobs/job_book.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "agent/jobs/testing/pushes.h"
#include "common/status.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JobBookTest : public testing::Test {
 protected:
  absl::Status Apply(const std::string& text) { return book_.Apply(PushOf(text), now_).status(); }
  void Delete(const std::string& group) {
    Push push;
    push.group = group;
    push.is_deletion = true;
    ASSERT_TRUE(book_.Apply(push, now_).ok());
  }
  void Keep() {
    book_.NumberChanges();
    book_.ChangesAreKept();
  }
  v1::JobGroup Group(const std::string& name) { return ToProto(book_.groups().at(name)); }
  double Value(const std::string& group) { return Group(group).families(0).series(0).value(); }

  JobBook book_;
  Instant now_ = Instant::FromDuration(absl::Hours(1000));
};

TEST_F(JobBookTest, AddsCountersSetsGaugesAndSortsObservations) {
  ASSERT_TRUE(Apply("push g success\ncounter a_total 1\ngauge b 5\nhistogram c 1 5 6 100\nbuckets c 1 5 15").ok());
  ASSERT_TRUE(Apply("push g failure\ncounter a_total 2.5\ngauge b -7\nhistogram c 15\ncounter a_total 1").ok());
  const v1::JobGroup group = Group("g");
  ASSERT_EQ(group.families_size(), 3);
  EXPECT_DOUBLE_EQ(group.families(0).series(0).value(), 4.5);
  EXPECT_DOUBLE_EQ(group.families(1).series(0).value(), -7);
  EXPECT_THAT(group.families(2).series(0).bucket_counts(), ElementsAre(1, 1, 2, 1));
  EXPECT_DOUBLE_EQ(group.families(2).series(0).sum(), 127);
  EXPECT_EQ(group.successes(), 1);
  EXPECT_EQ(group.failures(), 1);
}

TEST_F(JobBookTest, TheDefaultBucketsAreThoseOfPrometheus) {
  ASSERT_TRUE(Apply("push g\nhistogram c 3").ok());
  EXPECT_THAT(Group("g").families(0).buckets(), ElementsAre(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10));
}

TEST_F(JobBookTest, AnIdCountsOnceWithinItsGroup) {
  ASSERT_TRUE(Apply("push g id=1\ncounter a_total 1").ok());
  EXPECT_EQ(*book_.Apply(PushOf("push g id=1\ncounter a_total 1"), now_), JobBook::Outcome::kKnown);
  EXPECT_EQ(*book_.Apply(PushOf("push h id=1\ncounter a_total 1"), now_), JobBook::Outcome::kCounted);
  EXPECT_EQ(Value("g"), 1);
}

TEST_F(JobBookTest, IdsAreForgottenByAgeAndNumber) {
  ASSERT_TRUE(Apply("push g id=1\ncounter a_total 1").ok());
  Keep();
  now_ = now_ + kPushIdAge;
  book_.Expire(now_);
  EXPECT_EQ(*book_.Apply(PushOf("push g id=1\ncounter a_total 1"), now_), JobBook::Outcome::kKnown);
  now_ = now_ + absl::Seconds(1);
  book_.Expire(now_);
  EXPECT_EQ(*book_.Apply(PushOf("push g id=1\ncounter a_total 1"), now_), JobBook::Outcome::kCounted);
  Keep();
  book_.AddIds({.row = 7, .taken = now_, .digests = std::vector<PushIdDigest>(kMaxPushIds)});
  book_.Expire(now_);
  EXPECT_EQ(book_.forgotten_ids_row(), 6);
}

struct Clashing {
  std::string first;
  std::string second;
  std::string reason;
  std::string sentence;
};
class JobBookClashTest : public JobBookTest, public testing::WithParamInterface<Clashing> {};

TEST_P(JobBookClashTest, RefusesAllOfThePushAndNamesBoth) {
  ASSERT_TRUE(Apply("push g\n" + GetParam().first).ok());
  const std::string before = Group("g").SerializeAsString();
  const absl::Status refused = Apply("push g id=1 success\ngauge other 1\n" + GetParam().second);
  EXPECT_EQ(ReasonOf(refused), GetParam().reason) << MessageOf(refused);
  EXPECT_THAT(MessageOf(refused), HasSubstr(GetParam().sentence));
  v1::JobGroup after = Group("g");
  EXPECT_EQ(after.refused_pushes(), 1);
  after.clear_refused_pushes();
  EXPECT_EQ(after.SerializeAsString(), before);
  EXPECT_FALSE(book_.families().contains("other"));
  EXPECT_EQ(*book_.Apply(PushOf("push g id=1\ngauge fine 1"), now_), JobBook::Outcome::kCounted) << "its id is free";
}

INSTANTIATE_TEST_SUITE_P(
    Rules, JobBookClashTest,
    testing::Values(Clashing{"counter a_total 1", "gauge a_total 1", "TYPE_CLASH",
                             "a_total is a counter on this host, not a gauge"},
                    Clashing{"gauge a 1", "histogram a 1", "TYPE_CLASH", "a is a gauge on this host, not a histogram"},
                    Clashing{"gauge a 1", "buckets a 1", "TYPE_CLASH", "only a histogram has buckets"},
                    Clashing{"histogram a 1", "gauge a_count 1", "TYPE_CLASH", "histogram a"},
                    Clashing{"gauge a_sum 1", "histogram a 1", "TYPE_CLASH", "a_sum"},
                    Clashing{"histogram a 1\nbuckets a 1 2", "histogram a 1\nbuckets a 1 3", "BUCKETS_CLASH",
                             "1,2 on this host, not 1,3"},
                    Clashing{"gauge a_b_c 1\nunit a_b_c c", "unit a_b_c b_c", "UNIT_CLASH",
                             "unit c on this host, not b_c"},
                    Clashing{"gauge a 1", "help b text", "BAD_PUSH", "help of b"},
                    Clashing{"gauge a 1", "buckets b 1", "BAD_PUSH", "no observation"}));

TEST_F(JobBookTest, TheSameDeclarationsMayComeWithEveryPush) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Apply("push g\nhistogram a_s 1\nbuckets a_s 1 2\nunit a_s s\nhelp a_s Text").ok());
  }
}

TEST_F(JobBookTest, ANewHelpIsToldForAllGroupsThatHaveTheFamily) {
  ASSERT_TRUE(Apply("push g\ngauge a 1").ok());
  ASSERT_TRUE(Apply("push h\ngauge a 1").ok());
  Keep();
  ASSERT_TRUE(Apply("push h\nhelp a Text").ok());
  EXPECT_EQ(book_.changed_groups().size(), 2u);
  EXPECT_EQ(Group("g").families(0).help(), "Text");
}

TEST_F(JobBookTest, BoundsSeriesOfTheHost) {
  std::string text = "push g\nhistogram h 1\n";  // 12
  for (int i = 0; i < kMaxJobSeries - 12; ++i) text += fmt::format("counter a_total{{i=\"{}\"}} 1\n", i);
  ASSERT_TRUE(Apply(text).ok());
  EXPECT_TRUE(Apply(text).ok()) << "no new ones";
  EXPECT_EQ(ReasonOf(Apply("push other\ncounter b_total 1")), "SERIES_LIMIT");
  Delete("g");
  EXPECT_TRUE(Apply("push other\ncounter b_total 1").ok());
}

TEST_F(JobBookTest, BoundsGroupsOfTheHost) {
  for (int i = 0; i < kMaxJobGroups; ++i) ASSERT_TRUE(Apply(fmt::format("push g{}", i)).ok());
  EXPECT_EQ(ReasonOf(Apply("push one-more")), "SERIES_LIMIT");
}

TEST_F(JobBookTest, AGroupAlwaysFitsIntoAReport) {
  int i = 0;
  absl::Status applied = absl::OkStatus();
  for (; applied.ok(); ++i) {
    applied = Apply(fmt::format("push g success ttl=1d\nhistogram a{{i=\"{}\",x=\"{}\"}} 1\nbuckets a 1", i,
                                std::string(1024, 'x')));
  }
  EXPECT_EQ(ReasonOf(applied), "TOO_LARGE");
  EXPECT_GT(i, 200);
  EXPECT_LE(Group("g").ByteSizeLong() + 100, kMaxJobReportBytes);
}

TEST_F(JobBookTest, ANewHelpDoesNotMakeAnotherGroupTooLarge) {
  std::string full;
  for (int i = 0; i < 220; ++i) full += fmt::format("gauge a{{i=\"{}\",x=\"{}\"}} 1\n", i, std::string(1024, 'x'));
  for (int i = 0; i < 26; ++i) full += fmt::format("gauge b{} 1\n", i);
  ASSERT_TRUE(Apply("push full\n" + full).ok());
  std::string helps = "push other\n";
  for (int i = 0; i < 26; ++i) helps += fmt::format("help b{} {}\n", i, std::string(1024, 'h'));
  EXPECT_EQ(ReasonOf(Apply(helps)), "TOO_LARGE");
  EXPECT_TRUE(Apply("push other\nhelp b0 short").ok());
  EXPECT_LE(Group("full").ByteSizeLong() + 100, kMaxJobReportBytes);
}

TEST_F(JobBookTest, ACounterGoesOnAfterItsTimeToLive) {
  ASSERT_TRUE(Apply("push daily ttl=25h\ncounter a_total 5").ok());
  EXPECT_EQ(book_.Groups(now_), 1);
  now_ = now_ + absl::Hours(25);
  book_.Expire(now_);
  EXPECT_EQ(book_.Groups(now_), 0);
  EXPECT_EQ(book_.Series(now_), 0);
  now_ = now_ + absl::Hours(24 * 300);
  book_.Expire(now_);
  ASSERT_TRUE(Apply("push daily\ncounter a_total 2").ok());
  EXPECT_EQ(Value("daily"), 7);
}

TEST_F(JobBookTest, ATombstoneIsForgottenInTheEndAndTheHubIsTold) {
  ASSERT_TRUE(Apply("push daily ttl=1h\ncounter a_total 5").ok());
  Keep();
  now_ = now_ + kTombstoneAge + absl::Hours(1);
  book_.Expire(now_);
  EXPECT_TRUE(Group("daily").is_deleted());
  EXPECT_TRUE(book_.HasChanges());
  EXPECT_TRUE(book_.families().empty());
  Keep();
  now_ = now_ + kTombstoneAge + absl::Hours(1);
  book_.Expire(now_);
  EXPECT_TRUE(book_.groups().empty());
}

TEST_F(JobBookTest, TombstonesAreBounded) {
  for (std::size_t i = 0; i < kMaxTombstones + 5; ++i) {
    ASSERT_TRUE(Apply(fmt::format("push g{} ttl=1s\ncounter a_total 1", i)).ok());
    now_ = now_ + absl::Seconds(1);
  }
  book_.Expire(now_);
  book_.Expire(now_);
  EXPECT_EQ(book_.groups().size(), kMaxTombstones);
  EXPECT_FALSE(book_.groups().contains("g4"));
}

TEST_F(JobBookTest, ADeletedGroupIsToldAndBeginsAtNothing) {
  ASSERT_TRUE(Apply("push g id=1\ncounter a_total 5").ok());
  Keep();
  Delete("g");
  EXPECT_TRUE(Group("g").is_deleted());
  Keep();
  EXPECT_EQ(*book_.Apply(PushOf("push g id=1\ncounter a_total 5"), now_), JobBook::Outcome::kKnown);
  ASSERT_TRUE(Apply("push g\ngauge a 2").ok()) << "its name is free for another type";
  EXPECT_EQ(Value("g"), 2);
}

TEST_F(JobBookTest, NoTwoGroupsHaveTheSameVersion) {
  ASSERT_TRUE(Apply("push g\ncounter a_total 5").ok());
  ASSERT_TRUE(Apply("push h\ncounter a_total 5").ok());
  Keep();
  EXPECT_EQ(Group("g").version(), 1);
  EXPECT_EQ(Group("h").version(), 2);
  ASSERT_TRUE(Apply("push g\ncounter a_total 5").ok());
  Keep();
  EXPECT_EQ(Group("g").version(), 3);
  EXPECT_EQ(book_.version(), 3);
}

TEST_F(JobBookTest, SumsStayFinite) {
  ASSERT_TRUE(Apply("push g\ncounter a_total 1.7e308\ncounter a_total 1.7e308").ok());
  EXPECT_TRUE(std::isfinite(Value("g")));
}

}  // namespace
}  // namespace muster::agent
