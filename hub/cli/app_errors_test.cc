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
using ::testing::StartsWith;

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
  const std::string help = app.console.out;
  EXPECT_EQ(app.Run({"help", "target", "create"}), 0);
  EXPECT_EQ(app.console.out, help);
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

}  // namespace
}  // namespace muster::cli
