// How sessions end: farewells, new secrets, broken streams, stopping.

#include <gtest/gtest.h>

#include "agent/session/testing/session_logic_fixture.h"

namespace muster::agent {
namespace {

struct FarewellCase {
  v1::FarewellReason reason;
  std::optional<absl::Duration> retry_after;
  absl::Duration least;
  absl::Duration most;
};

TEST_F(SessionLogicTest, ActsOnEachFarewell) {
  const absl::Duration s = absl::Seconds(1);
  const absl::Duration min = absl::Minutes(1);
  const std::vector<FarewellCase> cases = {
      {v1::FAREWELL_REASON_SECRET_ROTATED, std::nullopt, min, 5 * min},
      {v1::FAREWELL_REASON_BAD_SECRET, std::nullopt, min, 5 * min},
      {v1::FAREWELL_REASON_TARGET_DELETED, std::nullopt, min, 5 * min},
      {v1::FAREWELL_REASON_UNKNOWN_TARGET, std::nullopt, min, 5 * min},
      {v1::FAREWELL_REASON_UNKNOWN_TARGET, 10 * min, 10 * min, 10 * min},
      {v1::FAREWELL_REASON_SUPERSEDED, std::nullopt, 5 * min, 6 * min},
      {v1::FAREWELL_REASON_SUPERSEDED, s, 5 * min, 6 * min},
      {v1::FAREWELL_REASON_OVERLOADED, 10 * s, 10 * s, 12 * s},
      {v1::FAREWELL_REASON_OVERLOADED, std::nullopt, kMinReconnectDelay, s},
      {v1::FAREWELL_REASON_DRAINING, 5 * s, 5 * s, 6 * s},
      {v1::FAREWELL_REASON_DRAINING, -5 * s, kMinReconnectDelay, kMinReconnectDelay},
      {v1::FAREWELL_REASON_DRAINING, absl::Hours(1000), absl::Hours(1), absl::Hours(1.2)},
      {v1::FAREWELL_REASON_PROTOCOL_ERROR, std::nullopt, 30 * s, min},
      {v1::FAREWELL_REASON_TOO_OLD, std::nullopt, 5 * min, 6 * min},
      {v1::FAREWELL_REASON_UNSPECIFIED, std::nullopt, kMinReconnectDelay, s},
      {static_cast<v1::FarewellReason>(99), std::nullopt, kMinReconnectDelay, s},
  };
  for (const FarewellCase& c : cases) {
    for (const double uniform : {0.0, 0.5, 0.999}) {
      SCOPED_TRACE(ReasonName(c.reason) + " " + std::to_string(uniform));
      RecordedOutput output;
      SessionLogic logic(
          {.target_id = "t", .secret = Secret("mst_x")},
          {.facts = [] { return v1::Hello(); }, .use = [] { return OwnUse(); }}, [uniform] { return uniform; },
          &output);
      logic.Start(Now());
      logic.OnSent(Now());
      v1::SessionResponse frame;
      frame.mutable_farewell()->set_reason(c.reason);
      if (c.retry_after) *frame.mutable_farewell()->mutable_retry_after() = ToProto(*c.retry_after);
      logic.OnFrame(frame, Now());
      EXPECT_EQ(output.disconnects, 1);
      const absl::Duration wait = logic.NextDeadline() - clock_.Monotonic();
      EXPECT_GE(wait, c.least);
      EXPECT_LE(wait, c.most);
      EXPECT_EQ(logic.status().last_farewell_reason, ReasonName(c.reason));

      logic.OnSecretChanged(Secret("mst_new"), Now());
      EXPECT_EQ(output.connects, 2) << "a new secret ends any wait";
      EXPECT_EQ(output.sent.back().hello().target_secret(), "mst_new");
    }
  }
}

TEST_F(SessionLogicTest, FarewellWithinASessionEndsIt) {
  StartSession();
  Ack(1);
  SayFarewell(v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_EQ(output_.disconnects, 1);
  EXPECT_FALSE(logic_.status().connected);
  EXPECT_EQ(logic_.status().last_farewell_reason, "SECRET_ROTATED");
  EXPECT_EQ(logic_.status().last_farewell_message, "because");
  const std::size_t sent = SentCount();
  logic_.OnPresent(PresentWith("compose/other"), Now());
  Pass(absl::Seconds(59));
  EXPECT_EQ(SentCount(), sent) << "keeps observing, sends nothing";
}

TEST_F(SessionLogicTest, NewSecretWithinASessionSaysGoodbyeAndComesBackAtOnce) {
  StartSession();
  logic_.OnSecretChanged(Secret("mst_second"), Now());
  EXPECT_EQ(Last().goodbye().reason(), v1::GOODBYE_REASON_NEW_SECRET);
  EXPECT_EQ(output_.half_closes, 0);
  Sent();
  EXPECT_EQ(output_.half_closes, 1);
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  EXPECT_EQ(output_.connects, 2);
  EXPECT_EQ(Last().hello().target_secret(), "mst_second");
}

TEST_F(SessionLogicTest, NewSecretDoesNotWaitForAHubThatKeepsTheStreamOpen) {
  StartSession();
  logic_.OnSecretChanged(Secret("mst_second"), Now());
  Sent();
  Pass(kClosingTimeout);
  EXPECT_EQ(output_.connects, 2);
}

TEST_F(SessionLogicTest, NewSecretWhileGreetingDialsAgain) {
  logic_.Start(Now());
  logic_.OnSecretChanged(Secret("mst_second"), Now());
  EXPECT_EQ(output_.disconnects, 1);
  EXPECT_EQ(output_.connects, 2);
  EXPECT_EQ(Last().hello().target_secret(), "mst_second");
}

TEST_F(SessionLogicTest, FramesOutOfOrderEndTheSessionWithALongWait) {
  logic_.Start(Now());
  Sent();
  Ack(1);
  EXPECT_EQ(output_.disconnects, 1);
  EXPECT_GE(WaitUntilNextAttempt(), absl::Seconds(30));
  Pass(absl::Minutes(1));
  Sent();
  Welcome();
  Welcome();
  EXPECT_EQ(output_.disconnects, 2);
  EXPECT_GE(WaitUntilNextAttempt(), absl::Seconds(30));
}

TEST_F(SessionLogicTest, FramesOfTheJournalAreIgnored) {
  StartSession();
  v1::SessionResponse frame;
  frame.mutable_batch_ack()->set_sequence(5);
  Frame(frame);
  frame.mutable_batch_refusal()->set_first_sequence(5);
  Frame(frame);
  EXPECT_EQ(output_.disconnects, 0);
}

TEST_F(SessionLogicTest, AStreamThatBrokeWithoutAStatusIsGivenUp) {
  StartSession();
  logic_.OnReadEnded(Now());
  Pass(absl::Milliseconds(999));
  EXPECT_EQ(output_.disconnects, 0);
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(output_.disconnects, 1);
}

TEST_F(SessionLogicTest, StopSaysGoodbyeAndEndsWithTheStream) {
  StartSession();
  logic_.Stop(v1::GOODBYE_REASON_STOPPED, Now());
  EXPECT_EQ(Last().goodbye().reason(), v1::GOODBYE_REASON_STOPPED);
  Sent();
  EXPECT_EQ(output_.half_closes, 1);
  EXPECT_FALSE(logic_.stopped());
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  EXPECT_TRUE(logic_.stopped());
  EXPECT_EQ(output_.connects, 1);
}

TEST_F(SessionLogicTest, StopWaitsForTheFrameUnderWay) {
  StartSession();
  Pass(absl::Seconds(1));
  logic_.OnPresent(PresentWith("x"), Now());  // not taken yet
  logic_.Stop(v1::GOODBYE_REASON_STOPPED, Now());
  EXPECT_TRUE(Last().has_heartbeat());
  Sent();
  EXPECT_TRUE(Last().has_goodbye());
}

TEST_F(SessionLogicTest, StopNeverTakesLongerThanTwoSeconds) {
  StartSession();
  logic_.Stop(v1::GOODBYE_REASON_STOPPED, Now());
  Pass(kClosingTimeout);
  EXPECT_TRUE(logic_.stopped());
}

TEST_F(SessionLogicTest, StopWithoutASessionIsImmediate) {
  logic_.Start(Now());
  logic_.Stop(v1::GOODBYE_REASON_STOPPED, Now());
  EXPECT_TRUE(logic_.stopped());
  EXPECT_EQ(output_.disconnects, 1);
  EXPECT_EQ(logic_.NextDeadline() - Instant(), absl::InfiniteDuration());
}

TEST_F(SessionLogicTest, AStepOfTheWallClockChangesNothingButTheTimesSent) {
  StartSession();
  clock_.StepWall(-absl::Hours(24 * 365));
  Pass(absl::Seconds(5));
  EXPECT_EQ(SentCount(), 3u);
  EXPECT_EQ(FromProto(Last().heartbeat().sent_at()), clock_.Now());
  clock_.StepWall(absl::Hours(24 * 3650));
  Pass(absl::Seconds(10));
  EXPECT_EQ(SentCount(), 5u);
}

}  // namespace
}  // namespace muster::agent
