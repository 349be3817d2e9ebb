#include "hub/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CompletionTest : public ::testing::Test {
 protected:
  CompletionTest() {
    fleet::v1::ListTargetsResponse targets;
    targets.add_targets()->set_name("web-01");
    targets.add_targets()->set_name("web 02");
    targets.add_targets()->set_name("evil\nrm -rf");
    app_.hub.Answer("ListTargets", targets);
    fleet::v1::ListDeploymentsResponse deployments;
    deployments.add_deployments()->set_name("shop");
    deployments.mutable_deployments(0)->set_target_name("web-01");
    app_.hub.Answer("ListDeployments", deployments);
    fleet::v1::ListLogResourcesResponse resources;
    resources.add_resources()->set_name("web");
    resources.add_resources()->set_name("worker");
    app_.hub.Answer("ListLogResources", resources);
    fleet::v1::ListTokensResponse tokens;
    tokens.add_tokens()->set_name("grafana");
    app_.hub.Answer("ListTokens", tokens);
  }
  std::string Complete(std::vector<std::string> words) {
    words.insert(words.begin(), kCompleteCommand);
    EXPECT_EQ(app_.Run(words), 0);
    EXPECT_EQ(app_.console.err, "");
    return app_.console.out;
  }

  FakeApp app_;
};

TEST_F(CompletionTest, OffersNounsVerbsOptionsAndWords) {
  EXPECT_EQ(Complete({"t"}), "target\ntoken\n");
  EXPECT_EQ(Complete({"target", "re"}), "reconnect\n");
  EXPECT_EQ(Complete({"target", "create", "x", "--t"}), "--type\n--token-file\n");
  EXPECT_EQ(Complete({"target", "create", "x", "--type", ""}), "docker\nkubernetes\nhost\n");
  EXPECT_EQ(Complete({"target", "create", "x", "--type", "=", "k"}), "kubernetes\n");
  EXPECT_EQ(Complete({"target", "create", "x", "--type=k"}), "--type=kubernetes\n");
  EXPECT_EQ(Complete({"target", "create", "x", "--bogus=k"}), "");
  EXPECT_EQ(Complete({"target", "set", "x", "--metrics", "o"}), "on\noff\n");
  EXPECT_EQ(Complete({"-o", "j"}), "json\n");
  EXPECT_EQ(Complete({"-o", "json", "target", "l"}), "list\n");
  EXPECT_EQ(Complete({"avail"}), "availability\n");
  EXPECT_EQ(Complete({"availability", ""}), "target\ndeployment\n");
  EXPECT_EQ(Complete({"availability", "target", "x", "--f"}), "--from\n");
  EXPECT_EQ(Complete({"l"}), "logs\n");
  EXPECT_EQ(Complete({"logs", "x", "--level", "e"}), "error\n");
  EXPECT_EQ(Complete({"logs", "x", "--ansi", ""}), "auto\nkeep\nstrip\n");
  EXPECT_EQ(Complete({"logs", "x", "--export="}), "--export=text\n--export=jsonl\n");
  EXPECT_EQ(Complete({"logs", "x", "-C", ""}), "");
  EXPECT_EQ(Complete({"logs", "x", "-f", "--re"}), "--resource\n--revision\n--reverse\n--resources\n");
  EXPECT_EQ(Complete({"--hub", ""}), "");
  EXPECT_THAT(Complete({""}), AllOf(StartsWith("status\n"), Not(HasSubstr("__complete"))));
  EXPECT_TRUE(app_.hub.requests.empty());
}

TEST_F(CompletionTest, OffersNamesOfTheFleet) {
  EXPECT_EQ(Complete({"target", "show", ""}), "web-01\nweb 02\n");
  EXPECT_EQ(Complete({"target", "show", "web-"}), "web-01\n");
  EXPECT_EQ(Complete({"target", "show", "web-01", ""}), "");
  EXPECT_EQ(Complete({"history", "target", "w"}), "web-01\nweb 02\n");
  EXPECT_EQ(Complete({"availability", "target", "w"}), "web-01\nweb 02\n");
  EXPECT_EQ(Complete({"availability", "deployment", "w"}), "web-01/shop\n");
  EXPECT_EQ(Complete({"deployment", "list", "--target", "web-"}), "web-01\n");
  EXPECT_EQ(Complete({"deployment", "show", "--no-color", "web-01/"}), "web-01/shop\n");
  EXPECT_EQ(Complete({"logs", "-f", "w"}), "web-01/shop\n");
  EXPECT_EQ(Complete({"agent-logs", "web-"}), "web-01\n");
  EXPECT_EQ(Complete({"token", "revoke", "g"}), "grafana\n");
  EXPECT_EQ(Complete({"target", "create", ""}), "");
}

TEST_F(CompletionTest, OffersWhatLoggedOfTheDeploymentThatIsThere) {
  EXPECT_EQ(Complete({"logs", "web-01/shop", "--resource", "w"}), "web\nworker\n");
  EXPECT_EQ(app_.LastRequest<fleet::v1::ListLogResourcesRequest>().deployment(), "web-01/shop");
  const std::size_t asked = app_.hub.requests.size();
  EXPECT_EQ(Complete({"logs", "--resource", "w"}), "");
  EXPECT_EQ(app_.hub.requests.size(), asked);
}

TEST_F(CompletionTest, AsksTheHubThatTheLineNames) {
  Complete({"--hub=https://other:1", "target", "show", "w"});
  EXPECT_THAT(app_.hub.requests.back().url, StartsWith("https://other:1/"));
  EXPECT_LE(app_.hub.requests.back().timeout, absl::Seconds(3));
  Complete({"target", "show", "--hub", "https://another:2", "w"});
  EXPECT_THAT(app_.hub.requests.back().url, StartsWith("https://another:2/"));
}

TEST_F(CompletionTest, FailsSilently) {
  app_.hub.Fail(absl::UnavailableError("refused"));
  EXPECT_EQ(Complete({"target", "show", ""}), "");
  EXPECT_EQ(Complete({"nonsense", "show", ""}), Complete({""}));
  EXPECT_EQ(Complete({"--bogus", "target", "re"}), "reconnect\n");
  EXPECT_EQ(Complete({"--hub", "no url", "target", "show", ""}), "");
  EXPECT_EQ(app_.Run({kCompleteCommand}), 0);
}

}  // namespace
}  // namespace muster::cli
