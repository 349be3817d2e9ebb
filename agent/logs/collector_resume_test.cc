// Going on behind the last message taken, after restarts of the agent, rotations and losses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/loop_fixture.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::StartsWith;

class CollectorResumeTest : public LoopTest {};

TEST_F(CollectorResumeTest, ARestartGoesOnBehindWhatWasCommitted) {
  Add("web");
  Write("web", "a");
  Write("web", "b", LogStream::kStderr);
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b"));
  Write("web", "c");
  Pass(absl::Seconds(1));
  KillAgent();
  StartAgent();
  Write("web", "d");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c", "d"));
  Write("web", "e");
  loop_->Turn();
  loop_->Finish();
  journal_.Commit();
  EXPECT_THAT(TextsOf(journal_.records(), "web"), ElementsAre("a", "b", "c", "d", "e")) << "what was read is appended";
}

TEST_F(CollectorResumeTest, LostPositionsBeginBehindTheNewestRecord) {
  Add("web", absl::Minutes(5));
  Write("web", "a");
  clock_.Advance(absl::Seconds(10));
  journal_.memory().lost_since = clock_.Now();
  clock_.Advance(absl::Seconds(10));
  Write("web", "b");
  Add("young");
  Write("young", "c");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("<DAMAGED 0>", "b"));
  EXPECT_THAT(Texts("young"), ElementsAre("c"));
  KillAgent();
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("<DAMAGED 0>", "b")) << "said once";
}

TEST_F(CollectorResumeTest, AnUnreadablePositionLosesNothingThatIsLater) {
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  journal_.positions().at("web").open = "garbage";
  Write("web", "b");
  KillAgent();
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a", "<DAMAGED 0>", "b"));
}

TEST_F(CollectorResumeTest, RotatedAwayIsAMarkerInPlace) {
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  KillAgent();
  Write("web", "b");
  Write("web", "c");
  engine_.Rotate("web", 1);
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a", "<ROTATED 0>", "c"));
}

TEST_F(CollectorResumeTest, WhatAnEngineGivesTwiceBehindARotationIsTakenOnce) {
  Add("web");
  StartAgent();
  Write("web", "a");
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  Write("web", "b");
  Write("web", "c", LogStream::kStderr);
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c"));
  engine_.Rotate("web", 2);
  engine_.Repeat("web", 2);
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c"));
  Write("web", "d");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c", "d"));
  engine_.Repeat("web", 1);
  Write("web", "e");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(CollectorResumeTest, TruncatedToNothingIsAMarkerInFrontOfWhatComes) {
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  engine_.Rotate("web", 0);
  engine_.Hang("web");
  Pass(absl::Minutes(30));
  EXPECT_LE(engine_.requests().size(), 30U) << "that it is empty is not found out again and again";
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  Write("web", "b");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "<ROTATED 0>", "b"));
}

TEST_F(CollectorResumeTest, ALogThatLostItsEndGoesOnBehindTheLastTime) {
  Add("web");
  Write("web", "a");
  clock_.Advance(absl::Seconds(5));
  Write("web", "b");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b"));
  KillAgent();
  engine_.LoseEnd("web", 1);
  Write("web", "c");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "c")) << "nothing twice, and no marker";
}

TEST_F(CollectorResumeTest, ALineDividedByARotationOfItsFirstPiecesGoesOn) {
  Add("web");
  const std::int64_t time_ns = absl::ToUnixNanos(clock_.Now());
  const auto piece = [&](char c, bool ends) {
    engine_.Write("web", {.time_ns = time_ns, .text = std::string(kMaxMessageTextBytes, c), .has_newline = ends});
  };
  piece('a', false);
  piece('b', false);
  piece('c', false);
  StartAgent();
  EXPECT_THAT(Texts("web"), SizeIs(3));
  KillAgent();
  piece('d', true);
  engine_.Rotate("web", 2);
  StartAgent();
  const std::vector<std::string> texts = Texts("web");
  ASSERT_THAT(texts, SizeIs(4)) << "nothing was lost";
  EXPECT_THAT(texts[3], StartsWith("dd"));
  Write("web", "next");
  KillAgent();
  StartAgent();
  EXPECT_THAT(Texts("web"), SizeIs(5)) << "counted as the engine has them now";
}

TEST_F(CollectorResumeTest, ManyAlikeOfOneTimeAreNotTakenTwice) {
  Add("web");
  const std::int64_t time_ns = absl::ToUnixNanos(clock_.Now());
  const auto write = [&](int count) {
    for (; count > 0; --count) engine_.Write("web", {.time_ns = time_ns, .text = "x"});
  };
  write(1500);
  StartAgent();
  EXPECT_THAT(Texts("web"), SizeIs(1500));
  KillAgent();
  write(700);
  StartAgent();
  EXPECT_THAT(Texts("web"), SizeIs(2200));
}

TEST_F(CollectorResumeTest, ARestartBetweenTwoPiecesDividesNoCharacter) {
  Add("web");
  const std::int64_t time_ns = absl::ToUnixNanos(clock_.Now());
  const std::string x(kMaxMessageTextBytes - 1, 'x');
  engine_.Write("web", {.time_ns = time_ns, .text = x + '\xC3', .has_newline = false});
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre(x));
  KillAgent();
  engine_.Write("web", {.time_ns = time_ns, .text = "\xA4 end"});
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre(x, "\u00E4 end"));
}

TEST_F(CollectorResumeTest, APrivateKeyIsMaskedOverARestart) {
  Add("web");
  Write("web", "-----BEGIN RSA PRIVATE KEY-----");
  StartAgent();
  Texts("web");
  KillAgent();
  Write("web", "MIIEowIBAAKCAQEA");
  Write("web", "-----END RSA PRIVATE KEY-----");
  Write("web", "ready");
  StartAgent();
  for (const std::string& text : Texts("web")) EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("MII")));
  EXPECT_THAT(Texts("web"), SizeIs(4));
  EXPECT_EQ(Texts("web").back(), "ready");
}

}  // namespace
}  // namespace muster::agent
