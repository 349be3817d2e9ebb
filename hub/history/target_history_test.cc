#include "hub/history/target_history.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/history/testing/scene.h"

namespace muster::hub {
namespace {

using namespace types::v1;  // NOLINT(google-build-using-namespace): this file is about these words
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Line(const std::string& span, const std::string& word, const std::string& why) {
  return span + " " + word + ": " + why;
}

// ---- the target

TEST(TargetHistory, WithNothingSpecialIsWhatTheFleetStored) {
  Scene scene;
  scene.facts.intervals = {
      Interval(TARGET_STATE_STALE, 200, 250, "silent"), Interval(TARGET_STATE_NOT_CONNECTED, 50, 100, "created"),
      Interval(TARGET_STATE_CONNECTED, 250, kOn, "back"), Interval(TARGET_STATE_CONNECTED, 100, 200)};
  EXPECT_THAT(scene.Target(), ElementsAre("50-100 none: created", "100-200 connected: live", "200-250 stale: silent",
                                          "250-... connected: back"));
}

TEST(TargetHistory, OfNothingIsEmpty) {
  Scene scene;
  scene.facts = {};
  EXPECT_THAT(scene.Target(), IsEmpty());
  EXPECT_EQ(scene.History().At(At(5)), std::nullopt);
}

TEST(TargetHistory, EndsWithTheTarget) {
  Scene scene;
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 200)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-200 connected: live"));
}

TEST(TargetHistory, WhileTheHubWasAwayIsUnknown) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-500 connected: live", Line("500-660", "unknown", kAway), "660-... connected: live"))
      << "and until the minute after its start is over";
}

TEST(TargetHistory, WhileTheHubWasAwayPresenceTells) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.presence = {Ran(495, 555), Ran(555, 605)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-500 connected: live", Line("500-605", "connected", kAgentRan),
                                          "605-... connected: live"));
  scene.facts.presence = {Ran(495, 520), Ran(580, 605)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-500 connected: live", Line("500-520", "connected", kAgentRan),
                                          Line("520-580", "unknown", kAway), Line("580-605", "connected", kAgentRan),
                                          "605-... connected: live"));
}

TEST(TargetHistory, PresenceWithoutARuntimeIsPresenceOfTheTarget) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.presence = {Ran(495, 605, false)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-500 connected: live", Line("500-605", "connected", kAgentRan),
                                          "605-... connected: live"));
}

TEST(TargetHistory, AfterAStartIsUnknownUntilTheTargetIsHeard) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 400), Interval(TARGET_STATE_STALE, 400, 620, "silent"),
                           Interval(TARGET_STATE_CONNECTED, 620, kOn, "back")};
  EXPECT_THAT(scene.Target(), ElementsAre("100-400 connected: live", "400-500 stale: silent",
                                          Line("500-620", "unknown", kAway), "620-... connected: back"));
}

TEST(TargetHistory, AfterAStartAnUnheardTargetIsUnknownThenStale) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 661),
                           Interval(TARGET_STATE_STALE, 661, kOn, "silent")};
  // The agent ran for a while without reaching the hub: not heard, however that looks like the end of a presence.
  scene.facts.presence = {Ran(495, 540), Ran(610, 640)};
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-500 connected: live", Line("500-540", "connected", kAgentRan),
                          Line("540-610", "unknown", kAway), Line("610-640", "connected", kAgentRan),
                          Line("640-660", "unknown", kAway), "660-661 connected: live", "661-... stale: silent"));
}

TEST(TargetHistory, AGraceThatIsNotOverIsNotJudged) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.now = 659;
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-500 connected: live", Line("500-600", "unknown", kAway), "600-... connected: live"))
      << "as the fleet shows it";
  scene.now = 660;
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-500 connected: live", Line("500-660", "unknown", kAway), "660-... connected: live"));
}

TEST(TargetHistory, WhatBeganAfterAStartIsKnown) {
  Scene scene;
  scene.facts.intervals = {Interval(TARGET_STATE_NOT_CONNECTED, 5, 12, "created"),
                           Interval(TARGET_STATE_CONNECTED, 12, kOn)};
  EXPECT_THAT(scene.Target(), ElementsAre("5-12 none: created", "12-... connected: live"));
}

TEST(TargetHistory, NotConnectedStaysSoWithoutAHub) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.intervals = {Interval(TARGET_STATE_NOT_CONNECTED, 50, kOn, "created")};
  scene.facts.presence = {Ran(490, 620)};
  EXPECT_THAT(scene.Target(), ElementsAre("50-... none: created"));
}

TEST(TargetHistory, StaleWithPresenceNamesTheLink) {
  Scene scene;
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 200), Interval(TARGET_STATE_STALE, 200, 300, "silent"),
                           Interval(TARGET_STATE_CONNECTED, 300, kOn)};
  scene.facts.presence = {Ran(140, 200), Ran(200, 260), Ran(280, 300)};
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-200 connected: live", Line("200-260", "stale", fmt::format("silent; {}", kLink)),
                          "260-280 stale: silent", Line("280-300", "stale", fmt::format("silent; {}", kLink)),
                          "300-... connected: live"));
}

// Every restart of the hub showed an agent behind a broken link as connected for a minute.
TEST(TargetHistory, StaleBeforeAndAfterTheHubWasAwayStaysStale) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.intervals = {Interval(TARGET_STATE_STALE, 200, 900, "silent"),
                           Interval(TARGET_STATE_CONNECTED, 900, kOn)};
  scene.facts.presence = {Ran(150, 550), Ran(580, 900)};
  const std::string why = fmt::format("silent; {}", kLink);
  EXPECT_THAT(scene.Target(), ElementsAre(Line("200-550", "stale", why), Line("550-580", "unknown", kAway),
                                          Line("580-900", "stale", why), "900-... connected: live"));
}

TEST(TargetHistory, StaleUntilTheHubWasBackIsConnectedWhereItWasPresent) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.intervals = {Interval(TARGET_STATE_STALE, 200, 605, "silent"),
                           Interval(TARGET_STATE_CONNECTED, 605, kOn)};
  scene.facts.presence = {Ran(520, 605)};
  EXPECT_THAT(scene.Target(), ElementsAre("200-500 stale: silent", Line("500-520", "unknown", kAway),
                                          Line("520-605", "connected", kAgentRan), "605-... connected: live"));
}

TEST(TargetHistory, BeforeTheFirstKnownRunNothingIsMissing) {
  Scene scene;
  scene.Runs({{5000, kOn}});
  scene.facts.presence = {Ran(4990, 5001)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-5000 connected: live", Line("5000-5001", "connected", kAgentRan),
                                          "5001-... connected: live"))
      << "runs are forgotten when they are old";
  scene.runs.clear();
  EXPECT_THAT(scene.Target(), ElementsAre("100-... connected: live"));
}

TEST(TargetHistory, RunsThatTouchOrOverlapLeaveOnlyTheirGraces) {
  Scene scene;
  scene.Runs({{300, 340}, {0, 305}, {320, kOn}});
  EXPECT_THAT(scene.Target(),
              ElementsAre("100-300 connected: live", Line("300-380", "unknown", kAway), "380-... connected: live"));
}

TEST(TargetHistory, NeighboursThatAreAlikeAreOne) {
  Scene scene;
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 200), Interval(TARGET_STATE_CONNECTED, 200, 300),
                           Interval(TARGET_STATE_CONNECTED, 300, kOn, "other")};
  scene.facts.presence = {Ran(150, 250)};
  EXPECT_THAT(scene.Target(), ElementsAre("100-300 connected: live", "300-... connected: other"));
}

TEST(TargetHistory, IsCutToTheWindow) {
  Scene scene;
  scene.facts.intervals = {Interval(TARGET_STATE_CONNECTED, 100, 200),
                           Interval(TARGET_STATE_STALE, 200, kOn, "silent")};
  const auto in = [&](absl::Time from, absl::Time to) {
    scene.window = {.from = from, .to = to};
    return scene.Target();
  };
  EXPECT_THAT(in(At(150), At(250)), ElementsAre("150-200 connected: live", "200-250 stale: silent"));
  EXPECT_THAT(in(At(150), At(200)), ElementsAre("150-200 connected: live")) << "half open";
  EXPECT_THAT(in(At(200), At(201)), ElementsAre("200-201 stale: silent"));
  EXPECT_THAT(in(At(200) - absl::Microseconds(1), At(200) + absl::Microseconds(1)),
              ElementsAre("199999999us-200 connected: live", "200-200000001us stale: silent"));
  EXPECT_THAT(in(At(0), At(100)), IsEmpty());
  EXPECT_THAT(in(At(5000), absl::InfiniteFuture()), ElementsAre("5000-... stale: silent"));
  EXPECT_THAT(in(At(150), At(150)), IsEmpty());
  EXPECT_THAT(in(At(160), At(150)), IsEmpty());
}

TEST(TargetHistory, IsExactToTheMicrosecond) {
  Scene scene;
  const absl::Duration us = absl::Microseconds(1);
  scene.runs = {{.from = At(0), .to = At(500)}, {.from = At(500) + us, .to = At(kOn)}};
  scene.facts.presence = {{.from = At(500), .to = At(500) + 2 * us, .runtime_seen = true}};
  EXPECT_THAT(scene.Target(), ElementsAre("100-500 connected: live", Line("500-500000002us", "connected", kAgentRan),
                                          "500000002us-... connected: live"));
}

TEST(TargetHistory, AtAMomentTellsSinceWhenTheFactSaysSo) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.presence = {Ran(550, 605)};
  const auto at = [&](int second) { return Text(*scene.History().At(At(second))); };
  EXPECT_EQ(scene.History().At(At(99)), std::nullopt);
  EXPECT_EQ(at(100), "100-... connected: live");
  EXPECT_EQ(at(520), Line("500-...", "unknown", kAway));
  EXPECT_EQ(at(599), Line("550-...", "connected", kAgentRan));
  EXPECT_EQ(at(700), "100-... connected: live");
}

// ---- a deployment

TEST(DeploymentHistory, WithNothingSpecialIsItsChanges) {
  Scene scene;
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110, "up", 109),
                   Change(DEPLOYMENT_STATUS_ERROR, 200, "exited", 198),
                   Change(DEPLOYMENT_STATUS_RUNNING, 300, "up", 297)};
  EXPECT_THAT(scene.Deployment(),
              ElementsAre("110-200 running: up @109", "200-300 error: exited @198", "300-... running: up @297"));
  scene.changes.clear();
  EXPECT_THAT(scene.Deployment(), IsEmpty());
}

TEST(DeploymentHistory, LateFactsTakeTheirPlace) {
  Scene scene;
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110), Change(DEPLOYMENT_STATUS_RUNNING, 300),
                   Change(DEPLOYMENT_STATUS_ERROR, 200)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-200 running: m", "200-300 error: m", "300-... running: m"));
}

TEST(DeploymentHistory, OfChangesAtOneMomentTheLastToArriveHolds) {
  Scene scene;
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110), Change(DEPLOYMENT_STATUS_ERROR, 110, "e"),
                   Change(DEPLOYMENT_STATUS_RUNNING, 110, "r")};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-... running: r"));
}

TEST(DeploymentHistory, EqualChangesAreOne) {
  Scene scene;
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110, "up", 109), Change(DEPLOYMENT_STATUS_RUNNING, 200, "up", 198),
                   Change(DEPLOYMENT_STATUS_RUNNING, 300, "up 2", 298)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-300 running: up @109", "300-... running: up 2 @298"));
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110), Change(DEPLOYMENT_STATUS_RUNNING, 120),
                   Change(DEPLOYMENT_STATUS_RUNNING, 130), Change(DEPLOYMENT_STATUS_RUNNING, 140)};
  scene.changes[1].application_version = "2";
  scene.changes[2].application_version = "2";
  scene.changes[2].revision = "r2";
  scene.changes[3] = scene.changes[2];
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-120 running: m", "120-130 running: m", "130-... running: m"))
      << "a version or a revision is a difference";
}

TEST(DeploymentHistory, EndsWhereItWasArchivedAndMayReturn) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.silences = {Silent(450, 700)};
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110), Change(DEPLOYMENT_STATUS_UNSPECIFIED, 400),
                   Change(DEPLOYMENT_STATUS_ERROR, 800)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-400 running: m", "800-... error: m"));
}

TEST(DeploymentHistory, InASilenceIsStale) {
  Scene scene;
  scene.facts.silences = {Silent(200, 300), Silent(400, kOn), Silent(50, 105)};
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110, "up", 109),
                   Change(DEPLOYMENT_STATUS_ERROR, 250, "late", 250)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-200 running: up @109", "200-300 stale: not reported",
                                              "300-400 error: late", "400-... stale: not reported"))
      << "what begins with the end of a silence is the hub's judgement";
}

TEST(DeploymentHistory, PresenceThatSawTheRuntimeFillsASilence) {
  Scene scene;
  scene.facts.silences = {Silent(200, 300)};
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110, "up", 109),
                   Change(DEPLOYMENT_STATUS_ERROR, 250, "late", 249)};
  scene.facts.presence = {Ran(150, 300)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-250 running: up @109", "250-... error: late @249"));
  scene.facts.presence = {Ran(150, 220), Ran(220, 260, false), Ran(260, 300)};
  EXPECT_THAT(scene.Deployment(),
              ElementsAre("110-220 running: up @109", "220-260 stale: not reported", "260-... error: late"));
}

TEST(DeploymentHistory, WhileTheHubWasAwayIsUnknownUnlessTheAgentSawTheRuntime) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.changes = {Change(DEPLOYMENT_STATUS_RUNNING, 110, "up", 109),
                   Change(DEPLOYMENT_STATUS_ERROR, 550, "late", 549)};
  EXPECT_THAT(scene.Deployment(),
              ElementsAre("110-500 running: up @109", Line("500-660", "unknown", kAway), "660-... error: late"));
  scene.facts.presence = {Ran(495, 605, false)};
  EXPECT_THAT(scene.Deployment(),
              ElementsAre("110-500 running: up @109", Line("500-605", "unknown", kAway), "605-... error: late"));
  scene.facts.presence = {Ran(495, 605)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-550 running: up @109", "550-... error: late @549"));
}

TEST(DeploymentHistory, UnknownComesBeforeStale) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.facts.silences = {Silent(300, 700)};
  EXPECT_THAT(scene.Deployment(),
              ElementsAre("110-300 running: up @109", "300-500 stale: not reported", Line("500-660", "unknown", kAway),
                          "660-700 stale: not reported", "700-... running: up"));
}

TEST(DeploymentHistory, CutByTheWindowHasNoAgentTime) {
  Scene scene;
  scene.window = {.from = At(110) + absl::Microseconds(1), .to = At(200)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110000001us-200 running: up"));
  scene.window = {.from = At(110), .to = At(200)};
  EXPECT_THAT(scene.Deployment(), ElementsAre("110-200 running: up @109"));
  scene.window = {.from = At(0), .to = At(110)};
  EXPECT_THAT(scene.Deployment(), IsEmpty());
}

TEST(DeploymentHistory, AStaleOneKeepsItsVersionAnUnknownOneHasNone) {
  Scene scene;
  scene.Runs({{0, 500}, {600, kOn}});
  scene.changes[0].application_version = "1.0";
  scene.changes[0].revision = "r1";
  scene.facts.silences = {Silent(300, 400)};
  const auto at = [&](int second) { return *scene.History().DeploymentAt(scene.changes[0], At(second)); };
  EXPECT_EQ(at(350).application_version, "1.0");
  EXPECT_EQ(at(350).revision, "r1");
  EXPECT_EQ(at(350).from, At(300));
  EXPECT_EQ(at(550).application_version, "");
  EXPECT_EQ(at(550).from, At(500));
  EXPECT_EQ(at(1000).from, At(110)) << "when the fact that says so began";
  EXPECT_EQ(at(1000).agent_time, At(109));
}

}  // namespace
}  // namespace muster::hub
