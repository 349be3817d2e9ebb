#include "hub/api/history_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/testing/past_fleet_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// And what was.
class HistoryCallsTest : public PastFleetTest {
 protected:
  HistoryCallsTest() {
    for (int i = 0; i < 9; ++i) InsertChange("dep_1", i % 2 == 0 ? 5 : 3, At(i * 100), std::to_string(i));
  }

  void InsertChange(const std::string& id, int status, absl::Time at, const std::string& version) {
    Write(
        "INSERT INTO deployment_changes(deployment_id, at_us, agent_us, status, message, application_version, revision)"
        " VALUES(?,?,?,?,'',?,'')",
        [&](sqlite::Statement& s) {
          s.Bind(1, id).Bind(2, at).Bind(3, at - absl::Seconds(2)).Bind(4, status).Bind(5, version);
        });
  }
  void InsertGap(const std::string& target, absl::Time from, absl::Time to) {
    Write(
        "INSERT INTO journal_gaps(target_id, epoch, lane, first_sequence, last_sequence, reason, from_us, to_us)"
        " VALUES(?,'e',1,1,12,1,?,?)",
        [&](sqlite::Statement& s) { s.Bind(1, target).Bind(2, from).Bind(3, to); });
  }

  absl::StatusOr<GetAvailabilityResponse> AvailabilityOf(const std::string& target, const std::string& deployment,
                                                         std::optional<absl::Time> from = {},
                                                         std::optional<absl::Time> to = {},
                                                         const std::string& customer = "") {
    GetAvailabilityRequest request;
    if (!target.empty()) request.set_target(target);
    if (!deployment.empty()) request.set_deployment(deployment);
    if (from) *request.mutable_from_time() = ToProto(*from);
    if (to) *request.mutable_to_time() = ToProto(*to);
    return Call<GetAvailabilityResponse>("GetAvailability", request, CallerOf(ROLE_VIEWER, customer));
  }
};

TEST_F(HistoryCallsTest, ReachWhatIsGoneByIdAndByName) {
  for (const char* reference : {"tgt_1", "one"}) {
    ListTargetHistoryRequest request;
    request.set_target(reference);
    const auto history = Call<ListTargetHistoryResponse>("ListTargetHistory", request);
    ASSERT_TRUE(history.ok()) << history.status();
    ASSERT_EQ(history->intervals_size(), 4);
    EXPECT_EQ(history->intervals(1).state(), types::v1::TARGET_STATE_STALE);
    EXPECT_EQ(FromProto(history->intervals(0).to_time()), At(1000));
  }
  for (const char* reference : {"dep_1", "one/shop"}) {
    ListDeploymentHistoryRequest request;
    request.set_deployment(reference);
    const auto history = Call<ListDeploymentHistoryResponse>("ListDeploymentHistory", request);
    ASSERT_TRUE(history.ok()) << history.status();
    ASSERT_EQ(history->intervals_size(), 9);
    EXPECT_EQ(FromProto(history->intervals(0).to_time()), At(900)) << "archived";
    EXPECT_EQ(FromProto(history->intervals(0).agent_time()), At(798));
  }
  for (const char* reference : {"dep_9", "one/other", "other/shop", "shop", ""}) {
    ListDeploymentHistoryRequest request;
    request.set_deployment(reference);
    EXPECT_EQ(ReasonOf(Call<ListDeploymentHistoryResponse>("ListDeploymentHistory", request).status()),
              "DEPLOYMENT_NOT_FOUND")
        << reference;
  }
}

TEST_F(HistoryCallsTest, CustomersSeeTheirOwnAlone) {
  const Caller globex = CallerOf(ROLE_ADMIN, "Globex");
  for (const char* reference : {"tgt_1", "one"}) {
    ListTargetHistoryRequest request;
    request.set_target(reference);
    EXPECT_TRUE(absl::IsNotFound(Call<ListTargetHistoryResponse>("ListTargetHistory", request, globex).status()));
    EXPECT_TRUE(absl::IsNotFound(AvailabilityOf(reference, "", {}, {}, "Globex").status()));
  }
  for (const char* reference : {"dep_1", "one/shop"}) {
    ListDeploymentHistoryRequest request;
    request.set_deployment(reference);
    EXPECT_TRUE(
        absl::IsNotFound(Call<ListDeploymentHistoryResponse>("ListDeploymentHistory", request, globex).status()));
    EXPECT_TRUE(absl::IsNotFound(AvailabilityOf("", reference, {}, {}, "Globex").status()));
  }
  GetFleetAtRequest request;
  *request.mutable_time() = ToProto(At(150));
  const auto all = Call<GetFleetAtResponse>("GetFleetAt", request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->targets_size(), 2);
  EXPECT_EQ(all->deployments_size(), 1);
  EXPECT_EQ(FromProto(all->deployments(0).interval().from_time()), At(100));
  const auto own = Call<GetFleetAtResponse>("GetFleetAt", request, globex);
  ASSERT_TRUE(own.ok()) << own.status();
  ASSERT_EQ(own->targets_size(), 1);
  EXPECT_EQ(own->targets(0).target_name(), "two");
  EXPECT_EQ(own->deployments_size(), 0);
}

TEST_F(HistoryCallsTest, PagesLoseAndRepeatNone) {
  InsertGap("tgt_1", At(450), At(460));
  for (const int size : {1, 3, 5, 9, 10}) {
    std::vector<std::string> versions;
    int gaps = 0;
    ListDeploymentHistoryRequest request;
    request.set_deployment("dep_1");
    request.set_page_size(size);
    do {
      const auto page = Call<ListDeploymentHistoryResponse>("ListDeploymentHistory", request);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_LE(page->intervals_size(), size);
      for (const auto& interval : page->intervals()) versions.push_back(interval.application_version());
      gaps += page->gaps_size();
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    EXPECT_THAT(versions, ElementsAre("8", "7", "6", "5", "4", "3", "2", "1", "0")) << size;
    EXPECT_EQ(gaps, 1) << size;
  }
}

TEST_F(HistoryCallsTest, TellWhatIsLost) {
  InsertGap("tgt_1", At(450), At(460));
  ListTargetHistoryRequest request;
  request.set_target("one");
  const auto history = Call<ListTargetHistoryResponse>("ListTargetHistory", request);
  ASSERT_TRUE(history.ok()) << history.status();
  ASSERT_EQ(history->gaps_size(), 1);
  EXPECT_EQ(history->gaps(0).records(), 12);
  EXPECT_EQ(history->gaps(0).reason(), "JOURNAL_FULL");
  EXPECT_EQ(FromProto(history->gaps(0).from_time()), At(450));
  *request.mutable_from_time() = ToProto(At(470));
  EXPECT_EQ(Call<ListTargetHistoryResponse>("ListTargetHistory", request)->gaps_size(), 0);
}

TEST_F(HistoryCallsTest, AvailabilityCountsTheKnownAndShowsTheRest) {
  const auto target = AvailabilityOf("one", "", At(0), At(1010));
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->available().seconds(), 890);
  EXPECT_EQ(target->unavailable().seconds(), 100);
  EXPECT_EQ(target->unknown().seconds(), 20);
  EXPECT_DOUBLE_EQ(target->ratio(), 890.0 / 990.0);
  const auto shop = AvailabilityOf("", "one/shop", At(0), At(900));
  ASSERT_TRUE(shop.ok()) << shop.status();
  EXPECT_EQ(shop->available().seconds(), 500);
  EXPECT_EQ(shop->unavailable().seconds(), 400);
  EXPECT_EQ(shop->unknown().seconds(), 0);
  const auto nothing = AvailabilityOf("one", "", At(2000), At(3000));
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_FALSE(nothing->has_ratio());
  EXPECT_EQ(nothing->unknown().seconds(), 1000);
}

TEST_F(HistoryCallsTest, AvailabilityIsOfThirtyDaysUnlessItIsYounger) {
  const auto month = AvailabilityOf("one", "");
  ASSERT_TRUE(month.ok()) << month.status();
  EXPECT_EQ(FromProto(month->to_time()), clock_.Now());
  EXPECT_EQ(FromProto(month->from_time()), clock_.Now() - absl::Hours(24 * 30));
  const auto young = AvailabilityOf("one", "", {}, At(500));
  ASSERT_TRUE(young.ok()) << young.status();
  EXPECT_EQ(FromProto(young->from_time()), At(0));
  EXPECT_EQ(young->unknown().seconds(), 10);
  EXPECT_EQ(FromProto(AvailabilityOf("one", "", At(0), clock_.Now() + absl::Hours(1))->to_time()), clock_.Now())
      << "nothing is known of what has not come";
}

TEST_F(HistoryCallsTest, RefuseTimesThatMakeNoSense) {
  EXPECT_EQ(ReasonOf(AvailabilityOf("", "").status()), "SUBJECT_MISSING");
  EXPECT_EQ(ReasonOf(AvailabilityOf("one", "", At(5), At(5)).status()), "BAD_WINDOW");
  EXPECT_EQ(ReasonOf(AvailabilityOf("one", "", {}, At(-5)).status()), "BAD_WINDOW") << "before its creation";
  EXPECT_EQ(ReasonOf(AvailabilityOf("one", "", clock_.Now() + absl::Hours(1)).status()), "BAD_WINDOW");
  EXPECT_EQ(ReasonOf(AvailabilityOf("nobody", "").status()), "TARGET_NOT_FOUND");
  GetAvailabilityRequest wrong;
  wrong.set_target("one");
  wrong.mutable_from_time()->set_nanos(-1);
  EXPECT_EQ(ReasonOf(Call<GetAvailabilityResponse>("GetAvailability", wrong).status()), "BAD_TIME");
  GetFleetAtRequest at;
  const auto reason = [&] { return ReasonOf(Call<GetFleetAtResponse>("GetFleetAt", at).status()); };
  EXPECT_EQ(reason(), "TIME_MISSING");
  at.mutable_time()->set_seconds(std::int64_t{1} << 60);
  EXPECT_EQ(reason(), "BAD_TIME");
  *at.mutable_time() = ToProto(clock_.Now() + absl::Minutes(2));
  EXPECT_EQ(reason(), "TIME_IN_FUTURE");
  *at.mutable_time() = ToProto(clock_.Now() + absl::Seconds(30));
  EXPECT_EQ(FromProto(Call<GetFleetAtResponse>("GetFleetAt", at)->time()), clock_.Now()) << "a clock is a bit ahead";
  ListTargetHistoryRequest list;
  list.set_target("one");
  *list.mutable_from_time() = ToProto(clock_.Now() + absl::Seconds(1));
  EXPECT_EQ(ReasonOf(Call<ListTargetHistoryResponse>("ListTargetHistory", list).status()), "BAD_WINDOW");
}

}  // namespace
}  // namespace muster::hub
