#include "hub/cli/app.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

fleet::v1::CreateTargetResponse Created() {
  fleet::v1::CreateTargetResponse response;
  response.set_target_id("tgt_1");
  response.set_target_secret("mst_secret");
  response.set_connect_command("curl -fsS https://hub/connect/mcc_code | sudo sh");
  response.mutable_connect_expire_time()->set_seconds(1'800'086'400);
  return response;
}

// ---- what is asked

TEST(App, CreatesATargetAndShowsWhatIsShownOnce) {
  FakeApp app;
  app.hub.Answer("CreateTarget", Created());
  EXPECT_EQ(app.Run({"target", "create", "web-01", "--type", "docker", "--customer", "Blue Bakery"}), 0)
      << app.console.err;
  const auto request = app.LastRequest<fleet::v1::CreateTargetRequest>();
  EXPECT_EQ(request.name(), "web-01");
  EXPECT_EQ(request.type(), types::v1::TARGET_TYPE_DOCKER);
  EXPECT_EQ(request.customer(), "Blue Bakery");
  EXPECT_EQ(app.hub.requests[0].url, "http://hub:8080/muster.fleet.v1.FleetService/CreateTarget");
  EXPECT_EQ(app.hub.requests[0].content_type, "application/json");
  EXPECT_EQ(app.hub.requests[0].token.Reveal(), "mtk_test");
  EXPECT_EQ(app.console.out,
            "Target web-01 is created.\n"
            "\n"
            "Run this on the customer's host (good until 2027-01-16T08:00:00Z, void after the first use):\n"
            "\n"
            "curl -fsS https://hub/connect/mcc_code | sudo sh\n"
            "\n"
            "Or start the agent by hand with:\n"
            "  target id      tgt_1\n"
            "  target secret  mst_secret\n"
            "\n"
            "The command and the secret are shown this once.\n");
  EXPECT_EQ(app.console.err, "");
}

TEST(App, TheConnectCommandIsNeverCutToTheTerminal) {
  FakeApp app;
  app.console.output_is_terminal = true;
  app.console.size.columns = 20;
  app.hub.Answer("ReconnectTarget", fleet::v1::ReconnectTargetResponse());
  app.hub.Answer("CreateTarget", Created());
  EXPECT_EQ(app.Run({"target", "create", "x", "--type", "host"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("\ncurl -fsS https://hub/connect/mcc_code | sudo sh\n"));
}

TEST(App, JsonIsOneDocumentWithTheProtosNames) {
  FakeApp app;
  app.hub.Answer("CreateTarget", Created());
  EXPECT_EQ(app.Run({"-o", "json", "target", "create", "x", "--type", "docker"}), 0);
  EXPECT_THAT(app.console.out,
              AllOf(HasSubstr("\"target_id\":\"tgt_1\""), HasSubstr("\"target_secret\":\"mst_secret\""),
                    HasSubstr("\"connect_command\":\"curl -fsS https://hub/connect/mcc_code | sudo sh\"")));
  EXPECT_EQ(std::count(app.console.out.begin(), app.console.out.end(), '\n'), 1);
  EXPECT_EQ(app.console.out.back(), '\n');
}

TEST(App, GlobalOptionsWorkAfterTheVerbToo) {
  FakeApp app;
  app.hub.Answer("GetTarget", fleet::v1::GetTargetResponse());
  EXPECT_EQ(app.Run({"target", "show", "status", "--hub", "https://other/", "-o", "json"}), 0) << app.console.err;
  EXPECT_EQ(app.hub.requests[0].url, "https://other/muster.fleet.v1.FleetService/GetTarget");
  EXPECT_THAT(app.console.out, StartsWith("{"));
  // A target may be called like a command.
  EXPECT_EQ(app.LastRequest<fleet::v1::GetTargetRequest>().target(), "status");
}

TEST(App, SendsWhatTheOptionsSay) {
  const struct {
    std::vector<std::string> args;
    std::string method;
    std::string body;
  } cases[] = {
      {{"target", "list", "--customer", "B", "--state", "stale"},
       "ListTargets",
       R"({"page_size":500,"page_token":"","customer":"B","state":"TARGET_STATE_STALE"})"},
      {{"target", "set", "t", "--metrics", "off"}, "UpdateTarget", R"({"target":"t","metrics_enabled":false})"},
      {{"target", "set", "t", "--name", "n"}, "UpdateTarget", R"({"target":"t","name":"n"})"},
      {{"target", "reconnect", "t"}, "ReconnectTarget", R"({"target":"t"})"},
      {{"deployment", "list", "--target", "t", "--status", "error"},
       "ListDeployments",
       R"({"page_size":500,"page_token":"","target":"t","status":"DEPLOYMENT_STATUS_ERROR"})"},
      {{"deployment", "show", "t/d"}, "GetDeployment", R"({"deployment":"t/d"})"},
      {{"deployment", "set", "d", "--logs", "on", "--application", "a", "--version", ""},
       "UpdateDeployment",
       R"({"deployment":"d","logs_enabled":true,"application":"a","application_version":""})"},
      {{"deployment", "delete", "d"}, "DeleteDeployment", R"({"deployment":"d"})"},
      {{"status", "--limit", "7"}, "GetFleetStatus", R"({"target_limit":7})"},
      {{"history", "target", "t", "--from", "-2h", "--limit", "3"},
       "ListTargetHistory",
       R"({"target":"t","page_size":3,"page_token":"","from_time":"2027-01-15T06:00:00Z"})"},
      {{"history", "deployment", "d", "--to", "2026-11-21"},
       "ListDeploymentHistory",
       R"({"deployment":"d","page_size":500,"page_token":"","to_time":"2026-11-21T00:00:00Z"})"},
      {{"at", "-2h"}, "GetFleetAt", R"({"time":"2027-01-15T06:00:00Z"})"},
      {{"at", "2h", "ago", "-o", "json"}, "GetFleetAt", R"({"time":"2027-01-15T06:00:00Z"})"},
      {{"token", "create", "g", "--role", "viewer", "--customer", "B", "--expires", "90d"},
       "CreateToken",
       R"({"name":"g","role":"ROLE_VIEWER","customer":"B","time_to_live":"7776000s"})"},
      {{"token", "list"}, "ListTokens", R"({"page_size":500,"page_token":""})"},
      {{"token", "revoke", "g"}, "RevokeToken", R"({"token":"g"})"},
      {{"audit", "list", "--limit", "2"}, "ListAuditEntries", R"({"page_size":2,"page_token":""})"},
      {{"audit", "verify"}, "VerifyAuditLog", "{}"},
  };
  for (const auto& c : cases) {
    FakeApp app;
    app.hub.Reply(c.method, 200, "application/json", R"({"intact":true,"a_field_of_a_newer_hub":{"x":[1]}})");
    EXPECT_EQ(app.Run(c.args), 0) << c.method << ": " << app.console.err;
    ASSERT_EQ(app.hub.requests.size(), 1u) << c.method;
    EXPECT_EQ(FakeHub::MethodOf(app.hub.requests[0]), c.method);
    EXPECT_EQ(app.hub.requests[0].body, c.body);
  }
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

// ---- pages

TEST(App, MergesAllPagesIntoOneDocument) {
  FakeApp app;
  for (int page = 0; page < 3; ++page) {
    fleet::v1::ListTargetsResponse response;
    *response.add_targets() = MakeTarget(app, "t" + std::to_string(page));
    response.set_total_size(3);
    if (page < 2) response.set_next_page_token("page" + std::to_string(page + 1));
    app.hub.Answer("ListTargets", response);
  }
  EXPECT_EQ(app.Run({"target", "list", "-o", "json"}), 0) << app.console.err;
  fleet::v1::ListTargetsResponse all;
  ASSERT_TRUE(FromJson(app.console.out, &all).ok());
  ASSERT_EQ(all.targets_size(), 3);
  EXPECT_EQ(all.targets(2).name(), "t2");
  EXPECT_EQ(all.total_size(), 3);
  EXPECT_EQ(all.next_page_token(), "");
  EXPECT_EQ(app.LastRequest<fleet::v1::ListTargetsRequest>().page_token(), "page2");
}

TEST(App, PagesThatNeverEndAreAnErrorNotALoop) {
  FakeApp app;
  fleet::v1::ListTargetsResponse response;
  response.set_next_page_token("same");
  app.hub.Answer("ListTargets", response);
  EXPECT_EQ(app.Run({"target", "list"}), 1);
  EXPECT_THAT(app.console.err, HasSubstr("[BAD_REPLY]"));
  EXPECT_EQ(app.hub.requests.size(), 2u);
}

TEST(App, ALimitEndsThePaging) {
  FakeApp app;
  fleet::v1::ListAuditEntriesResponse response;
  response.add_entries()->set_sequence(9);
  response.set_next_page_token("more");
  app.hub.Answer("ListAuditEntries", response);
  EXPECT_EQ(app.Run({"audit", "list", "--limit", "1"}), 0);
  EXPECT_EQ(app.hub.requests.size(), 1u);
}

// ---- errors and exit codes

TEST(App, ExitCodesFollowTheContract) {
  const struct {
    const char* code;
    int exit;
  } cases[] = {{"invalid_argument", 1},  {"not_found", 3},       {"already_exists", 1},
               {"permission_denied", 4}, {"unauthenticated", 4}, {"failed_precondition", 1},
               {"deadline_exceeded", 6}, {"unavailable", 7},     {"resource_exhausted", 1},
               {"unimplemented", 1},     {"internal", 1}};
  for (const auto& c : cases) {
    FakeApp app;
    app.hub.Reply(
        "GetTarget", 400, "application/json",
        fmt::format(
            R"({{"code":"{}","message":"m","details":[{{"type":"muster.fleet.v1.ErrorInfo","debug":{{"reason":"R"}}}}]}})",
            c.code));
    EXPECT_EQ(app.Run({"target", "show", "x"}), c.exit) << c.code;
    EXPECT_EQ(app.console.out, "");
    EXPECT_THAT(app.console.err, AllOf(StartsWith("muster: show target x: m"), HasSubstr(" [R]\n"))) << c.code;
  }
}

TEST(App, ErrorsOfTheTransportKeepTheirMeaning) {
  FakeApp app;
  app.hub.Fail(MakeError(absl::StatusCode::kUnavailable, "HUB_UNREACHABLE", "reach https://hub: refused; start it"));
  EXPECT_EQ(app.Run({"status"}), 7);
  EXPECT_EQ(app.console.err, "muster: show the fleet: reach https://hub: refused; start it [HUB_UNREACHABLE]\n");
  app.hub.Fail(MakeError(absl::StatusCode::kDeadlineExceeded, "TIMED_OUT", "wait"));
  EXPECT_EQ(app.Run({"status"}), 6);
  app.hub.Fail(Interrupted());
  EXPECT_EQ(app.Run({"status"}), 130);
  EXPECT_EQ(app.console.err, "");  // who pressed Ctrl-C knows
}

TEST(App, AReplyThatIsNoneIsAnError) {
  FakeApp app;
  app.hub.Reply("GetTarget", 200, "text/html", "<html>login</html>");
  EXPECT_EQ(app.Run({"target", "show", "x"}), 1);
  EXPECT_THAT(app.console.err, HasSubstr("[NOT_A_HUB_REPLY]"));
  FakeApp broken;
  broken.hub.Reply("GetTarget", 200, "application/json", "{\"target\":");
  EXPECT_EQ(broken.Run({"target", "show", "x"}), 1);
  EXPECT_THAT(broken.console.err, HasSubstr("[BAD_REPLY]"));
}

TEST(App, UsageErrorsAskNothingOfTheHub) {
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"target"},
      {"nonsense"},
      {"target", "nonsense"},
      {"target", "create"},
      {"target", "create", "x"},
      {"target", "create", "x", "--type", "vm"},
      {"target", "list", "--state", "sleepy"},
      {"target", "list", "--bogus"},
      {"target", "list", "surplus"},
      {"target", "set", "x"},
      {"target", "set", "x", "--metrics", "maybe"},
      {"deployment", "set", "x"},
      {"status", "--limit", "-1"},
      {"status", "--watch", "--check"},
      {"at"},
      {"at", "yesterday"},
      {"history", "target", "x", "--from", "soon"},
      {"token", "create", "x", "--role", "king"},
      {"token", "create", "x", "--role", "viewer", "--expires", "soon"},
      {"-o", "xml", "status"},
      {"--hub", "nonsense", "status"},
  };
  for (const auto& args : cases) {
    FakeApp app;
    EXPECT_EQ(app.Run(args), 2) << ::testing::PrintToString(args);
    EXPECT_TRUE(app.hub.requests.empty());
    EXPECT_EQ(app.console.out, "");
    EXPECT_THAT(app.console.err, args.empty() ? HasSubstr("Usage:") : HasSubstr("[USAGE]"))
        << ::testing::PrintToString(args);
  }
}

TEST(App, NamesTheCommandsThereAre) {
  FakeApp app;
  app.Run({"target", "destroy"});
  EXPECT_THAT(
      app.console.err,
      HasSubstr("\"destroy\" is no command of muster target; choose one of create, list, show, reconnect, delete, "
                "set; see: muster target --help"));
}

TEST(App, WithoutATokenSaysWhereToGetOne) {
  FakeApp app;
  app.environment.erase("MUSTER_TOKEN");
  EXPECT_EQ(app.Run({"status"}), 4);
  EXPECT_THAT(app.console.err, HasSubstr("[TOKEN_MISSING]"));
  EXPECT_TRUE(app.hub.requests.empty());
}

TEST(App, OutputThatCannotBeWrittenIsAFailure) {
  FakeApp app;
  app.console.write_status = absl::AbortedError("write the output: no space left");
  app.hub.Answer("ListTokens", fleet::v1::ListTokensResponse());
  EXPECT_EQ(app.Run({"token", "list"}), 1);
  EXPECT_EQ(app.Run({"--help"}), 1);
}

TEST(App, HelpLeadsWithExamples) {
  FakeApp app;
  EXPECT_EQ(app.Run({"target", "create", "--help"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("Usage: muster target create [options] NAME"));
  EXPECT_LT(app.console.out.find("Examples:"), app.console.out.find("Usage:"));
  EXPECT_EQ(app.Run({"--version"}), 0);
  EXPECT_THAT(app.console.out, StartsWith("muster "));
}

TEST(App, ADamagedAuditLogIsANegativeCheck) {
  FakeApp app;
  fleet::v1::VerifyAuditLogResponse response;
  response.set_entries(10);
  response.set_first_bad_sequence(4);
  app.hub.Answer("VerifyAuditLog", response);
  EXPECT_EQ(app.Run({"audit", "verify", "-o", "json"}), 5);
  EXPECT_EQ(app.console.out, "{\"intact\":false,\"entries\":\"10\",\"first_bad_sequence\":\"4\"}\n");
  EXPECT_THAT(app.console.err, HasSubstr("[AUDIT_LOG_NOT_INTACT]"));
}

TEST(App, VersionAnswersWithoutAHub) {
  FakeApp app;
  app.hub.Fail(absl::UnavailableError("refused"));
  EXPECT_EQ(app.Run({"version"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("not asked: refused"));
  EXPECT_EQ(app.Run({"version", "-o", "json"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("\"hub\":null}"));
}

// ---- confirmation

class DeleteTest : public ::testing::Test {
 protected:
  DeleteTest() {
    fleet::v1::GetTargetResponse response;
    *response.mutable_target() = MakeTarget(app_, "web-01");
    app_.hub.Answer("GetTarget", response);
    app_.hub.Answer("DeleteTarget", fleet::v1::DeleteTargetResponse());
  }
  bool Deleted() const { return FakeHub::MethodOf(app_.hub.requests.back()) == "DeleteTarget"; }

  FakeApp app_;
};

TEST_F(DeleteTest, TheNameGivenOrTypedConfirms) {
  EXPECT_EQ(app_.Run({"target", "delete", "tgt_web-01", "--confirm", "web-01"}), 0) << app_.console.err;
  ASSERT_TRUE(Deleted());
  EXPECT_EQ(app_.LastRequest<fleet::v1::DeleteTargetRequest>().target(), "tgt_web-01");
  app_.console.input_is_terminal = true;
  app_.console.answer = "web-01 ";
  EXPECT_EQ(app_.Run({"target", "delete", "web-01"}), 0);
  EXPECT_TRUE(Deleted());
  EXPECT_THAT(app_.console.err, HasSubstr("Type the name web-01"));
}

TEST_F(DeleteTest, AnythingElseChangesNothing) {
  EXPECT_EQ(app_.Run({"target", "delete", "web-01", "--confirm", "web-02"}), 2);
  EXPECT_FALSE(Deleted());
  EXPECT_EQ(app_.Run({"target", "delete", "web-01"}), 2) << "stdin is no terminal";
  EXPECT_FALSE(Deleted());
  EXPECT_THAT(app_.console.err, HasSubstr("add --confirm web-01"));
  app_.console.input_is_terminal = true;
  EXPECT_EQ(app_.Run({"target", "delete", "web-01", "--no-input"}), 2);
  EXPECT_FALSE(Deleted());
  app_.console.answer = "yes";
  EXPECT_EQ(app_.Run({"target", "delete", "web-01"}), 1);
  EXPECT_FALSE(Deleted());
  EXPECT_THAT(app_.console.err, HasSubstr("[NOT_CONFIRMED]"));
  app_.console.answer.reset();
  EXPECT_EQ(app_.Run({"target", "delete", "web-01"}), 2) << "end of input";
  EXPECT_FALSE(Deleted());
}

}  // namespace
}  // namespace muster::cli
