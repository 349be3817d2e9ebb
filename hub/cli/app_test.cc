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
using ::testing::HasSubstr;
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
  EXPECT_EQ(app.hub.requests[0].url, "https://hub:8080/muster.fleet.v1.FleetService/CreateTarget");
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

TEST(App, AClustersCommandIsForWhereKubectlIs) {
  FakeApp app;
  fleet::v1::ReconnectTargetResponse response;
  response.set_connect_command("curl -sS 'https://hub/connect/x?scope=namespace' | kubectl apply -n NAMESPACE -f -");
  app.hub.Answer("ReconnectTarget", response);
  EXPECT_EQ(app.Run({"target", "reconnect", "prod"}), 0);
  EXPECT_THAT(app.console.out, HasSubstr("Run this where kubectl reaches the customer's cluster, with a namespace of "
                                         "it for NAMESPACE (good until"));
  EXPECT_THAT(app.console.out, HasSubstr("\n" + response.connect_command() + "\n"));
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
      {{"availability", "target", "t"}, "GetAvailability", R"({"target":"t"})"},
      {{"availability", "deployment", "t/d", "--from", "-2h", "--to", "2027-01-15T07:00:00Z"},
       "GetAvailability",
       R"({"deployment":"t/d","from_time":"2027-01-15T06:00:00Z","to_time":"2027-01-15T07:00:00Z"})"},
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
