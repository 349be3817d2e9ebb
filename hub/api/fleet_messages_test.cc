#include "hub/api/fleet_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages
using ::testing::ElementsAre;

TEST(RequireRole, IsALadderBesideWhichMetricsStands) {
  const std::vector<Role> roles = {ROLE_UNSPECIFIED, ROLE_METRICS, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN};
  const std::vector<Role> ladder = {ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN};
  for (const Role role : roles) {
    for (const Role needed : ladder) {
      const Caller caller{.token_id = "", .token_name = "t", .role = role, .customer = ""};
      const bool allowed = role >= needed && role != ROLE_METRICS;
      EXPECT_EQ(ReasonOf(RequireRole(caller, needed)), allowed ? "OK" : "ROLE_TOO_LOW") << role << " " << needed;
    }
  }
}

TEST(ReadPage, BoundsSizesAndRefusesForeignTokens) {
  EXPECT_EQ(ReadPage(0, "", 100, 1000)->size, 100);
  EXPECT_EQ(ReadPage(7, "", 100, 1000)->size, 7);
  EXPECT_EQ(ReadPage(5000, "", 100, 1000)->size, 1000);
  EXPECT_EQ(ReadPage(7, "35", 100, 1000)->position, 35);
  for (const char* token : {"0", "-1", "x", "1x", " 1", "99999999999999999999", "1.5"}) {
    EXPECT_EQ(ReasonOf(ReadPage(1, token, 100, 1000).status()), "BAD_PAGE") << token;
  }
  EXPECT_EQ(ReasonOf(ReadPage(-1, "", 100, 1000).status()), "BAD_PAGE");
}

TEST(ReadTime, RefusesWhatIsNoTime) {
  google::protobuf::Timestamp time;
  time.set_seconds(253402300799);
  time.set_nanos(999'999'999);
  EXPECT_TRUE(ReadTime("time", time).ok());
  time.set_seconds(253402300800);
  EXPECT_EQ(ReasonOf(ReadTime("time", time).status()), "BAD_TIME");
  time.set_seconds(-62135596801);
  EXPECT_EQ(ReasonOf(ReadTime("time", time).status()), "BAD_TIME");
  time.set_seconds(0);
  for (const int nanos : {-1, 1'000'000'000}) {
    time.set_nanos(nanos);
    EXPECT_EQ(MessageOf(ReadTime("to_time", time).status()).substr(0, 7), "to_time");
  }
}

TEST(ReadWindow, WithoutTimesIsEverything) {
  const auto window = ReadWindow(nullptr, nullptr, {.position = 0, .size = 10}, absl::FromUnixSeconds(1000));
  ASSERT_TRUE(window.ok()) << window.status();
  EXPECT_EQ(window->from, absl::InfinitePast());
  EXPECT_EQ(window->to, absl::InfiniteFuture());
  EXPECT_EQ(window->before, absl::InfiniteFuture());
  EXPECT_EQ(window->limit, 10);
}

TEST(ReadWindow, EndsWhereItSaysOrGoesOn) {
  const auto from = ToProto(absl::FromUnixSeconds(100));
  const auto to = ToProto(absl::FromUnixSeconds(200));
  const Page page{.position = 150'000'000, .size = 10};
  const auto past = ReadWindow(&from, &to, page, absl::FromUnixSeconds(1000));
  ASSERT_TRUE(past.ok()) << past.status();
  EXPECT_EQ(past->to, absl::FromUnixSeconds(200));
  EXPECT_EQ(past->before, absl::FromUnixSeconds(150));
  EXPECT_EQ(ReadWindow(&from, &to, page, absl::FromUnixSeconds(199))->to, absl::InfiniteFuture());
}

TEST(ReadWindow, RefusesAnEmptyOne) {
  const auto time = ToProto(absl::FromUnixSeconds(100));
  const auto later = ToProto(absl::FromUnixSeconds(101));
  const Page page{.position = 0, .size = 10};
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(ReasonOf(ReadWindow(&time, &time, page, now).status()), "BAD_WINDOW");
  EXPECT_EQ(ReasonOf(ReadWindow(&later, &time, page, now).status()), "BAD_WINDOW");
  EXPECT_TRUE(ReadWindow(&time, &later, page, now).ok());
  EXPECT_EQ(ReasonOf(ReadWindow(&time, nullptr, page, absl::FromUnixSeconds(99)).status()), "BAD_WINDOW")
      << "it has not begun";
}

TargetSnapshot TargetWith(const std::string& name, types::v1::TargetState state,
                          const std::vector<types::v1::DeploymentStatus>& statuses) {
  TargetSnapshot target;
  target.target.set_name(name);
  target.target.set_state(state);
  for (const auto status : statuses) target.deployments.emplace_back().set_status(status);
  return target;
}

TEST(Summarize, PutsWhatNeedsAttentionFirstAndCountsAll) {
  using namespace types::v1;  // NOLINT(google-build-using-namespace)
  FleetSnapshot fleet{.taken = absl::FromUnixSeconds(100), .organization = "vendor", .targets = {}};
  fleet.targets = {
      TargetWith("a-healthy", TARGET_STATE_CONNECTED, {DEPLOYMENT_STATUS_HEALTHY}),
      TargetWith("b-new", TARGET_STATE_NOT_CONNECTED, {}),
      TargetWith("c-progressing", TARGET_STATE_CONNECTED, {DEPLOYMENT_STATUS_HEALTHY, DEPLOYMENT_STATUS_PROGRESSING}),
      TargetWith("d-blind", TARGET_STATE_CONNECTED, {DEPLOYMENT_STATUS_STALE}),
      TargetWith("e-error", TARGET_STATE_CONNECTED, {DEPLOYMENT_STATUS_RUNNING, DEPLOYMENT_STATUS_ERROR}),
      TargetWith("f-stale", TARGET_STATE_STALE, {DEPLOYMENT_STATUS_STALE}),
      TargetWith("g-error", TARGET_STATE_CONNECTED, {DEPLOYMENT_STATUS_ERROR}),
  };
  const auto names = [&](int limit) {
    std::vector<std::string> found;
    const FleetStatus status = Summarize(fleet, limit);
    for (const auto& entry : status.target_statuses()) found.push_back(entry.target().name());
    return found;
  };
  EXPECT_THAT(names(100),
              ElementsAre("f-stale", "e-error", "g-error", "d-blind", "c-progressing", "b-new", "a-healthy"));
  EXPECT_THAT(names(2), ElementsAre("f-stale", "e-error"));
  const FleetStatus status = Summarize(fleet, 1);
  EXPECT_EQ(status.organization(), "vendor");
  EXPECT_EQ(status.hub_time().seconds(), 100);
  int targets = 0;
  for (const auto& count : status.targets()) targets += count.count();
  int deployments = 0;
  for (const auto& count : status.deployments()) deployments += count.count();
  EXPECT_EQ(targets, 7) << "counted are all, whatever the limit";
  EXPECT_EQ(deployments, 8);
}

TEST(ToMessage, LeavesOutWhatIsNotThere) {
  hub::TargetPeriod target{.state = types::v1::TARGET_STATE_STALE, .from = absl::FromUnixSeconds(1), .reason = "r"};
  EXPECT_FALSE(ToMessage(target).has_to_time());
  target.to = absl::FromUnixSeconds(9);
  EXPECT_EQ(ToMessage(target).to_time().seconds(), 9);
  hub::DeploymentPeriod deployment;
  EXPECT_FALSE(ToMessage(deployment).has_agent_time());
  EXPECT_FALSE(ToMessage(deployment).has_to_time());
  deployment.agent_time = absl::FromUnixSeconds(7);
  EXPECT_EQ(ToMessage(deployment).agent_time().seconds(), 7);
  StoredToken token;
  token.created = absl::FromUnixSeconds(5);
  EXPECT_FALSE(ToMessage(token).has_expire_time());
  EXPECT_FALSE(ToMessage(token).has_revoke_time());
  EXPECT_EQ(ToMessage(token).create_time().seconds(), 5);
}

TEST(ToMessage, NamesGapsWithoutTheirEnumsPrefix) {
  const LostRecords gap{.from = absl::FromUnixSeconds(1),
                        .to = absl::FromUnixSeconds(2),
                        .records = 7,
                        .reason = agent::v1::GAP_REASON_JOURNAL_FULL};
  EXPECT_EQ(ToMessage(gap).reason(), "JOURNAL_FULL");
  EXPECT_EQ(ToMessage(gap).records(), 7);
  // Of an agent that is newer than the hub.
  LostRecords newer = gap;
  newer.reason = static_cast<agent::v1::GapReason>(99);
  EXPECT_EQ(ToMessage(newer).reason(), "UNSPECIFIED");
}

TEST(ToMessage, AvailabilityOfNothingKnownHasNoRatio) {
  hub::Availability availability({.from = absl::FromUnixSeconds(0), .to = absl::FromUnixSeconds(10)});
  EXPECT_FALSE(ToMessage(availability).has_ratio());
  EXPECT_EQ(ToMessage(availability).unknown().seconds(), 10);
  hub::TargetPeriod stale{.state = types::v1::TARGET_STATE_STALE, .from = absl::FromUnixSeconds(4), .reason = ""};
  availability.Add(stale);
  EXPECT_TRUE(ToMessage(availability).has_ratio());
  EXPECT_EQ(ToMessage(availability).ratio(), 0.0);
  EXPECT_EQ(ToMessage(availability).unavailable().seconds(), 6);
}

}  // namespace
}  // namespace muster::hub
