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
  status->set_log_store_fault("no room for lines");
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
            "✖ the hub cannot store log lines: no room for lines\n"
            "\n"
            "TARGET      STATE                            FOR    DETAIL\n"
            "web-01      ● connected                      3h 0m\n"
            "  shop 2.1    ▲ stale (last known: ✖ error)  5m 0s  web exited with 1\n"
            "and 2 more targets; see them with --limit N or muster target list\n");
  EXPECT_EQ(app.Run({"status", "--check"}), 5);
  EXPECT_THAT(app.console.err,
              HasSubstr("1 deployments stale, the hub cannot store history, the hub cannot store log lines"));
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

TEST(App, ShowsADeploymentWithItsContainers) {
  FakeApp app;
  fleet::v1::GetDeploymentResponse response;
  fleet::v1::Deployment* shop = response.mutable_deployment();
  shop->set_id("dep_1");
  shop->set_name("shop");
  shop->set_target_id("tgt_1");
  shop->set_target_name("web-01");
  shop->set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  shop->set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
  *shop->mutable_status_time() = Before(app, absl::Minutes(5));
  *shop->mutable_reported_time() = Before(app, absl::Seconds(3));
  shop->set_message("web exited with 1");
  shop->set_application("Shop");
  shop->set_application_version("2.1");
  shop->set_revision("4");
  auto* web = shop->add_resources();
  web->set_name("web");
  web->set_state("exited");
  web->set_exit_code(1);
  web->set_restart_count(3);
  web->set_image("shop/web:2.1");
  auto* db = shop->add_resources();
  db->set_name("db");
  db->set_state("running");
  db->set_health("healthy");
  db->set_image("postgres:15");
  *db->mutable_start_time() = Before(app, absl::Hours(49));
  app.hub.Answer("GetDeployment", response);
  EXPECT_EQ(app.Run({"deployment", "show", "shop"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "deployment   shop\n"
            "id           dep_1\n"
            "target       web-01 (tgt_1)\n"
            "kind         compose\n"
            "status       ✖ error for 5m 0s, since 2027-01-15T07:55:00Z\n"
            "message      web exited with 1\n"
            "reported     3s ago\n"
            "application  Shop 2.1\n"
            "revision     4\n"
            "logs         off\n"
            "\n"
            "RESOURCE  STATE    HEALTH   RESTARTS  EXIT  UP     IMAGE\n"
            "web       exited            3         1            shop/web:2.1\n"
            "db        running  healthy                  2d 1h  postgres:15\n");
}

TEST(App, ShowsHistoryAsIntervals) {
  FakeApp app;
  fleet::v1::ListDeploymentHistoryResponse response;
  auto* now = response.add_intervals();
  now->set_status(types::v1::DEPLOYMENT_STATUS_HEALTHY);
  *now->mutable_from_time() = Before(app, absl::Minutes(10));
  now->set_application_version("2.1");
  auto* then = response.add_intervals();
  then->set_status(types::v1::DEPLOYMENT_STATUS_UNKNOWN);
  *then->mutable_from_time() = Before(app, absl::Minutes(12));
  *then->mutable_to_time() = Before(app, absl::Minutes(10));
  then->set_message("the hub was down");
  app.hub.Answer("ListDeploymentHistory", response);
  EXPECT_EQ(app.Run({"history", "deployment", "shop"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "FROM                  TO                    FOR     STATUS     MESSAGE           VERSION\n"
            "2027-01-15T07:50:00Z  now                   10m 0s  ● healthy                    2.1\n"
            "2027-01-15T07:48:00Z  2027-01-15T07:50:00Z  2m 0s   ? unknown  the hub was down\n");
}

TEST(App, ShowsGapsWhereTheyAre) {
  FakeApp app;
  fleet::v1::ListTargetHistoryResponse response;
  auto* now = response.add_intervals();
  now->set_state(types::v1::TARGET_STATE_CONNECTED);
  *now->mutable_from_time() = Before(app, absl::Minutes(10));
  auto* then = response.add_intervals();
  then->set_state(types::v1::TARGET_STATE_STALE);
  *then->mutable_from_time() = Before(app, absl::Minutes(30));
  *then->mutable_to_time() = Before(app, absl::Minutes(10));
  then->set_reason("no heartbeat for 60 s");
  const auto gap = [&](int from, int to, int records, const std::string& reason) {
    auto* added = response.add_gaps();
    *added->mutable_from_time() = Before(app, absl::Minutes(from));
    *added->mutable_to_time() = Before(app, absl::Minutes(to));
    added->set_records(records);
    added->set_reason(reason);
  };
  gap(10, 10, 1, "DISK_FULL");
  gap(25, 20, 1200, "JOURNAL_FULL");
  gap(40, 29, 7, "NOT_KEPT");
  app.hub.Answer("ListTargetHistory", response);
  EXPECT_EQ(app.Run({"history", "target", "web-01"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "FROM                  TO                    FOR     STATE        REASON\n"
            "2027-01-15T07:50:00Z  2027-01-15T07:50:00Z  0s      ! gap        1 record of the agent lost: disk full\n"
            "2027-01-15T07:50:00Z  now                   10m 0s  ● connected\n"
            "2027-01-15T07:35:00Z  2027-01-15T07:40:00Z  5m 0s   ! gap        1200 records of the agent lost: "
            "journal full\n"
            "2027-01-15T07:30:00Z  2027-01-15T07:50:00Z  20m 0s  ▲ stale      no heartbeat for 60 s\n"
            "2027-01-15T07:20:00Z  2027-01-15T07:31:00Z  11m 0s  ! gap        7 records of the agent lost: not "
            "kept\n");
}

TEST(App, HistoryAsJsonHasTheAgentsTimeAndTheGaps) {
  FakeApp app;
  fleet::v1::ListDeploymentHistoryResponse page;
  auto* interval = page.add_intervals();
  *interval->mutable_from_time() = Before(app, absl::Minutes(10));
  *interval->mutable_agent_time() = Before(app, absl::Minutes(11));
  page.add_gaps()->set_records(3);
  page.set_next_page_token("77");
  app.hub.Answer("ListDeploymentHistory", page);
  page.clear_next_page_token();
  app.hub.Answer("ListDeploymentHistory", page);
  EXPECT_EQ(app.Run({"history", "deployment", "shop", "-o", "json"}), 0) << app.console.err;
  fleet::v1::ListDeploymentHistoryResponse shown;
  ASSERT_TRUE(FromJson(app.console.out, &shown).ok()) << app.console.out;
  EXPECT_EQ(shown.intervals_size(), 2);
  EXPECT_EQ(shown.gaps_size(), 2);
  EXPECT_EQ(FromProto(shown.intervals(0).agent_time()), app.clock.Now() - absl::Minutes(11));
}

TEST(App, ShowsAvailability) {
  FakeApp app;
  fleet::v1::GetAvailabilityResponse response;
  *response.mutable_from_time() = Before(app, absl::Hours(240));
  *response.mutable_to_time() = Before(app, absl::ZeroDuration());
  *response.mutable_available() = ToProto(absl::Hours(220));
  *response.mutable_unavailable() = ToProto(absl::Seconds(7));
  *response.mutable_unknown() = ToProto(absl::Hours(20) - absl::Seconds(7));
  response.set_ratio(220.0 * 3600 / (220 * 3600 + 7));
  app.hub.Answer("GetAvailability", response);
  EXPECT_EQ(app.Run({"availability", "target", "web-01"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "window       2027-01-05T08:00:00Z to 2027-01-15T08:00:00Z, 10d 0h\n"
            "available    9d 4h\n"
            "unavailable  7s\n"
            "unknown      19h 59m\n"
            "ratio        99.999 %\n");
  response.set_ratio(1.0);
  app.hub.Answer("GetAvailability", response);
  app.Run({"availability", "target", "web-01"});
  EXPECT_EQ(app.Run({"availability", "target", "web-01"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("ratio        100.000 %\n"));
  response.set_ratio(0.29);
  app.hub.Answer("GetAvailability", response);
  app.Run({"availability", "target", "web-01"});
  EXPECT_EQ(app.Run({"availability", "target", "web-01"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("ratio        29.000 %\n"));
}

TEST(App, AvailabilityOfNothingKnownIsUnknown) {
  FakeApp app;
  fleet::v1::GetAvailabilityResponse response;
  *response.mutable_from_time() = Before(app, absl::Hours(1));
  *response.mutable_to_time() = Before(app, absl::ZeroDuration());
  *response.mutable_unknown() = ToProto(absl::Hours(1));
  app.hub.Answer("GetAvailability", response);
  EXPECT_EQ(app.Run({"availability", "deployment", "web-01/shop"}), 0) << app.console.err;
  EXPECT_THAT(app.console.out, HasSubstr("ratio        unknown\n"));
  EXPECT_EQ(app.Run({"availability", "deployment", "web-01/shop", "-o", "json"}), 0);
  EXPECT_THAT(app.console.out, AllOf(HasSubstr("\"unknown\":\"3600s\""), Not(HasSubstr("ratio"))));
}

TEST(App, ShowsTheFleetAsItWas) {
  FakeApp app;
  fleet::v1::GetFleetAtResponse response;
  *response.mutable_time() = Before(app, absl::Hours(1));
  auto* target = response.add_targets();
  target->set_target_id("tgt_1");
  target->set_target_name("web-01");
  target->mutable_interval()->set_state(types::v1::TARGET_STATE_STALE);
  *target->mutable_interval()->mutable_from_time() = Before(app, absl::Hours(2));
  target->mutable_interval()->set_reason("no heartbeat");
  auto* shop = response.add_deployments();
  shop->set_target_id("tgt_1");
  shop->set_name("shop");
  shop->mutable_interval()->set_status(types::v1::DEPLOYMENT_STATUS_RUNNING);
  *shop->mutable_interval()->mutable_from_time() = Before(app, absl::Minutes(90));
  app.hub.Answer("GetFleetAt", response);
  EXPECT_EQ(app.Run({"at", "1h ago"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out,
            "The fleet at 2027-01-15T07:00:00Z\n"
            "\n"
            "TARGET  STATE        FOR     DETAIL\n"
            "web-01  ▲ stale      1h 0m   no heartbeat\n"
            "  shop    ▶ running  30m 0s\n");
}

TEST(App, ShowsTokensAndAuditWithoutSecrets) {
  FakeApp app;
  fleet::v1::ListTokensResponse tokens;
  auto* valid = tokens.add_tokens();
  valid->set_name("grafana");
  valid->set_id("tok_1");
  valid->set_role(fleet::v1::ROLE_VIEWER);
  *valid->mutable_expire_time() = Before(app, absl::Hours(-2));
  auto* expired = tokens.add_tokens();
  expired->set_name("old");
  expired->set_id("tok_2");
  expired->set_role(fleet::v1::ROLE_ADMIN);
  *expired->mutable_expire_time() = Before(app, absl::Hours(2));
  app.hub.Answer("ListTokens", tokens);
  EXPECT_EQ(app.Run({"token", "list"}), 0);
  EXPECT_EQ(app.console.out,
            "NAME     ID     ROLE    STATE\n"
            "grafana  tok_1  viewer  ● valid for 2h 0m\n"
            "old      tok_2  admin   ○ expired 2h 0m ago\n");
  fleet::v1::ListAuditEntriesResponse audit;
  auto* entry = audit.add_entries();
  entry->set_sequence(7);
  *entry->mutable_time() = Before(app, absl::ZeroDuration());
  entry->set_actor("admin");
  entry->set_action("target.create");
  entry->set_subject("tgt_1");
  app.hub.Answer("ListAuditEntries", audit);
  EXPECT_EQ(app.Run({"audit", "list"}), 0);
  EXPECT_EQ(app.console.out,
            "NUMBER  TIME                  ACTOR  ACTION         SUBJECT\n"
            "7       2027-01-15T08:00:00Z  admin  target.create  tgt_1\n");
}

}  // namespace
}  // namespace muster::cli
