#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/app.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

google::protobuf::Timestamp Before(const FakeApp& app, absl::Duration ago) { return ToProto(app.clock.Now() - ago); }

fleet::v1::Target MakeTarget(const FakeApp& app, const std::string& name) {
  fleet::v1::Target target;
  target.set_id("tgt_" + name);
  target.set_name(name);
  target.set_type(types::v1::TARGET_TYPE_DOCKER);
  target.set_state(types::v1::TARGET_STATE_CONNECTED);
  *target.mutable_state_time() = Before(app, absl::Hours(3));
  *target.mutable_last_seen_time() = Before(app, absl::Seconds(2));
  target.mutable_session()->set_id("ses_1");
  return target;
}

// ---- what is shown

TEST(App, ListsTargetsAsATable) {
  FakeApp app;
  fleet::v1::ListTargetsResponse response;
  fleet::v1::Target* good = response.add_targets();
  *good = MakeTarget(app, "web-01");
  auto* count = good->add_deployments();
  count->set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
  count->set_count(2);
  fleet::v1::Target* stale = response.add_targets();
  *stale = MakeTarget(app, "日本");
  stale->set_customer("Blue Bakery");
  stale->set_state(types::v1::TARGET_STATE_STALE);
  stale->clear_session();
  *stale->mutable_last_seen_time() = Before(app, absl::Minutes(6));
  *stale->mutable_session_end()->mutable_end_time() = Before(app, absl::Seconds(350));
  stale->mutable_session_end()->set_reason("connection reset");
  fleet::v1::Target* fresh = response.add_targets();
  fresh->set_name("new");
  fresh->set_type(types::v1::TARGET_TYPE_KUBERNETES);
  fresh->set_state(types::v1::TARGET_STATE_NOT_CONNECTED);
  app.hub.Answer("ListTargets", response);
  EXPECT_EQ(app.Run({"target", "list"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "NAME    TYPE        CUSTOMER     STATE            LAST SEEN  DEPLOYMENTS  NOTE\n"
            "web-01  docker                   ● connected      2s ago     ✖ 2 error\n"
            "日本    docker      Blue Bakery  ▲ stale          6m 0s ago               session closed 5m 50s ago: "
            "connection reset; last seen 6m 0s ago\n"
            "new     kubernetes               ○ not connected  -\n");
}

TEST(App, AConnectedTargetWithoutASessionSaysSo) {
  FakeApp app;
  fleet::v1::GetTargetResponse response;
  *response.mutable_target() = MakeTarget(app, "web-01");
  response.mutable_target()->clear_session();
  *response.mutable_target()->mutable_session_end()->mutable_end_time() = Before(app, absl::Seconds(12));
  response.mutable_target()->mutable_session_end()->set_reason("agent stopped");
  *response.mutable_target()->mutable_session_end()->mutable_expected_return() = Before(app, absl::Seconds(-30));
  response.mutable_target()->set_observer_fault("open /var/run/docker.sock: permission denied");
  response.mutable_target()->set_identity_warning("two machines use this identity");
  app.hub.Answer("GetTarget", response);
  EXPECT_EQ(app.Run({"target", "show", "web-01"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("● connected for 3h 0m, since 2027-01-15T05:00:00Z"));
  EXPECT_THAT(
      app.console.out,
      HasSubstr("identity: two machines use this identity; session closed 12s ago: agent stopped; expected back "
                "in 30s; cannot see deployments: open /var/run/docker.sock: permission denied\n"));
}

TEST(App, ShowsTheFleetWithItsTruths) {
  FakeApp app;
  fleet::v1::GetFleetStatusResponse response;
  fleet::v1::FleetStatus* status = response.mutable_status();
  status->set_organization("Acme");
  *status->mutable_hub_time() = ToProto(app.clock.Now());
  *status->mutable_grace_until() = Before(app, absl::Seconds(-48));
  status->set_store_fault("disk full");
  auto* states = status->add_targets();
  states->set_state(types::v1::TARGET_STATE_CONNECTED);
  states->set_count(3);
  auto* statuses = status->add_deployments();
  statuses->set_status(types::v1::DEPLOYMENT_STATUS_STALE);
  statuses->set_count(1);
  auto* entry = status->add_target_statuses();
  *entry->mutable_target() = MakeTarget(app, "web-01");
  auto* shop = entry->add_deployments();
  shop->set_name("shop");
  shop->set_application_version("2.1");
  shop->set_status(types::v1::DEPLOYMENT_STATUS_STALE);
  shop->set_last_known_status(types::v1::DEPLOYMENT_STATUS_ERROR);
  *shop->mutable_status_time() = Before(app, absl::Minutes(5));
  shop->set_message("web exited with 1");
  app.hub.Answer("GetFleetStatus", response);
  EXPECT_EQ(app.Run({"status"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "Acme  2027-01-15T08:00:00Z\n"
            "targets      3   ● 3 connected\n"
            "deployments  1   ▲ 1 stale\n"
            "the hub has just started: nobody is called stale for another 48s\n"
            "✖ the hub cannot store history: disk full\n"
            "\n"
            "TARGET      STATE                            FOR    DETAIL\n"
            "web-01      ● connected                      3h 0m\n"
            "  shop 2.1    ▲ stale (last known: ✖ error)  5m 0s  web exited with 1\n"
            "and 2 more targets; see them with --limit N or muster target list\n");
  EXPECT_EQ(app.Run({"status", "--check"}), 5);
  EXPECT_THAT(app.console.err, HasSubstr("1 deployments stale, the hub cannot store history"));
}

TEST(App, HostileNamesCannotReachTheTerminal) {
  FakeApp app;
  app.console.output_is_terminal = true;
  app.console.size.columns = 200;
  fleet::v1::ListDeploymentsResponse response;
  auto* deployment = response.add_deployments();
  deployment->set_target_name("t\x1b]0;owned\x07");
  deployment->set_name("a\nb\u202e\u009b31m");
  deployment->set_message("\x1b[2J\r");
  app.hub.Answer("ListDeployments", response);
  EXPECT_EQ(app.Run({"deployment", "list", "--no-color"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("a\\nb\\u202e\\x9b31m"));
  EXPECT_THAT(app.console.out, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\x07")), Not(HasSubstr("\r"))));
  EXPECT_EQ(std::count(app.console.out.begin(), app.console.out.end(), '\n'), 2);
  app.hub.Reply("GetTarget", 404, "application/json", R"({"code":"not_found","message":"no \u001b[31m","details":[]})");
  EXPECT_EQ(app.Run({"target", "show", "x"}), 3);
  EXPECT_THAT(app.console.err, AllOf(HasSubstr("no \\x1b[31m"), Not(HasSubstr("\x1b"))));
}

TEST(App, ColoursAppearOnlyOnATerminalThatWantsThem) {
  FakeApp app;
  fleet::v1::ListTargetsResponse response;
  *response.add_targets() = MakeTarget(app, "web-01");
  app.hub.Answer("ListTargets", response);
  EXPECT_EQ(app.Run({"target", "list"}), 0);
  EXPECT_THAT(app.console.out, Not(HasSubstr("\x1b[")));
  app.console.output_is_terminal = true;
  EXPECT_EQ(app.Run({"target", "list"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("\x1b[32m● connected\x1b[0m"));
  EXPECT_EQ(app.Run({"target", "list", "--no-color"}), 0);
  EXPECT_THAT(app.console.out, Not(HasSubstr("\x1b[")));
  app.environment["NO_COLOR"] = "1";
  EXPECT_EQ(app.Run({"target", "list"}), 0);
  EXPECT_THAT(app.console.out, Not(HasSubstr("\x1b[")));
}

}  // namespace
}  // namespace muster::cli
