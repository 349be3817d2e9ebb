#include "agent/session/session_logic.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "agent/session/farewell_policy.h"
#include "common/testing/fake_clock.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::agent {
namespace {

// Remembers what the session asked for.
class RecordedOutput : public SessionOutput {
 public:
  void Connect() override { ++connects; }
  void Send(const v1::SessionRequest& frame) override { sent.push_back(frame); }
  void HalfClose() override { ++half_closes; }
  void Disconnect() override { ++disconnects; }
  void KeepSessionCounter(std::int64_t counter) override {
    kept_counters.push_back(counter);
    frames_sent_before_keeping = sent.size();
  }
  void RelistIntervalChanged(absl::Duration interval) override { relist_intervals.push_back(interval); }

  int connects = 0;
  int half_closes = 0;
  int disconnects = 0;
  std::vector<v1::SessionRequest> sent;
  std::vector<std::int64_t> kept_counters;
  std::size_t frames_sent_before_keeping = 0;
  std::vector<absl::Duration> relist_intervals;
};

Present PresentWith(const std::string& key, const std::string& message = "") {
  Present present;
  v1::DeploymentState& deployment = present.deployments.emplace_back();
  deployment.set_key(key);
  deployment.set_message(message);
  deployment.set_status(types::v1::DEPLOYMENT_STATUS_RUNNING);
  return present;
}

class SessionLogicTest : public testing::Test {
 protected:
  SessionLogicTest()
      : logic_(
            {.target_id = "tgt_1", .secret = Secret("mst_first"), .session_counter = 7},
            {.facts =
                 [] {
                   v1::Hello hello;
                   hello.set_boot_id("boot");
                   hello.mutable_machine()->set_hostname("box");
                   return hello;
                 },
             .use = [this] { return use_; }},
            [this] { return uniform_; }, &output_) {}

  Moment Now() const { return clock_.Read(); }
  const v1::SessionRequest& Last() const { return output_.sent.back(); }
  std::size_t SentCount() const { return output_.sent.size(); }

  void Frame(const v1::SessionResponse& frame) { logic_.OnFrame(frame, Now()); }
  void Sent() { logic_.OnSent(Now()); }
  // Lets time pass as the loop does: from deadline to deadline; every frame is taken by the transport at once.
  void Pass(absl::Duration duration) {
    const Instant end = clock_.Monotonic() + duration;
    while (logic_.NextDeadline() <= end) {
      const Instant due = logic_.NextDeadline();
      if (due > clock_.Monotonic()) clock_.Advance(due - clock_.Monotonic());
      const std::size_t before = SentCount();
      logic_.OnTimer(Now());
      if (SentCount() > before) Sent();
    }
    clock_.Advance(end - clock_.Monotonic());
  }
  void Welcome(const v1::Settings& settings = {}, std::int64_t counter = 8) {
    v1::SessionResponse frame;
    frame.mutable_welcome()->set_session_id("s1");
    frame.mutable_welcome()->set_target_name("edge-1");
    frame.mutable_welcome()->set_session_counter(counter);
    *frame.mutable_welcome()->mutable_settings() = settings;
    Frame(frame);
  }
  // Up to and including the first heartbeat, which the transport has taken.
  void StartSession() {
    logic_.Start(Now());
    Sent();
    logic_.OnPresent(PresentWith("compose/shop"), Now());
    Welcome();
    Sent();
  }
  void Ack(std::int64_t number) {
    v1::SessionResponse frame;
    frame.mutable_heartbeat_ack()->set_number(number);
    *frame.mutable_heartbeat_ack()->mutable_hub_time() = ToProto(clock_.Now());
    Frame(frame);
  }
  void SayFarewell(v1::FarewellReason reason, std::optional<absl::Duration> retry_after = std::nullopt) {
    v1::SessionResponse frame;
    frame.mutable_farewell()->set_reason(reason);
    frame.mutable_farewell()->set_message("because");
    if (retry_after) *frame.mutable_farewell()->mutable_retry_after() = ToProto(*retry_after);
    Frame(frame);
  }
  absl::Duration WaitUntilNextAttempt() const { return logic_.NextDeadline() - clock_.Monotonic(); }

  FakeClock clock_;
  double uniform_ = 0.5;
  OwnUse use_{.cpu_seconds_total = 1.5, .resident_bytes = 4096};
  RecordedOutput output_;
  SessionLogic logic_;
};

TEST_F(SessionLogicTest, SendsHelloAtStart) {
  logic_.Start(Now());
  EXPECT_EQ(output_.connects, 1);
  ASSERT_EQ(SentCount(), 1u);
  const v1::Hello& hello = Last().hello();
  EXPECT_EQ(hello.protocol_version(), kProtocolVersion);
  EXPECT_EQ(hello.target_id(), "tgt_1");
  EXPECT_EQ(hello.target_secret(), "mst_first");
  EXPECT_EQ(hello.session_counter(), 7);
  EXPECT_EQ(hello.boot_id(), "boot");
  EXPECT_EQ(hello.machine().hostname(), "box");
  EXPECT_TRUE(hello.journal_epoch().empty());
  EXPECT_EQ(FromProto(hello.sent_at()), clock_.Now());
}

TEST_F(SessionLogicTest, KeepsTheCounterBeforeTheFirstHeartbeatAndShowsItNextTime) {
  StartSession();
  EXPECT_EQ(output_.kept_counters, std::vector<std::int64_t>{8});
  EXPECT_EQ(output_.frames_sent_before_keeping, 1u) << "only Hello may come before";
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last().hello().session_counter(), 8);
}

TEST_F(SessionLogicTest, IgnoresANegativeCounter) {
  logic_.Start(Now());
  Sent();
  Welcome({}, -1);
  EXPECT_TRUE(output_.kept_counters.empty());
}

TEST_F(SessionLogicTest, FirstHeartbeatCarriesASnapshotLaterOnesItsDigest) {
  StartSession();
  ASSERT_TRUE(Last().heartbeat().has_snapshot());
  EXPECT_EQ(Last().heartbeat().number(), 1);
  EXPECT_EQ(Last().heartbeat().snapshot().deployments(0).key(), "compose/shop");
  const auto digest = Last().heartbeat().snapshot().digest();
  Pass(absl::Milliseconds(4999));
  EXPECT_EQ(SentCount(), 2u) << "not before 5 s";
  Pass(absl::Milliseconds(1));
  ASSERT_EQ(SentCount(), 3u);
  EXPECT_EQ(Last().heartbeat().number(), 2);
  EXPECT_EQ(Last().heartbeat().snapshot_digest(), digest);
  Pass(absl::Seconds(50));
  EXPECT_EQ(SentCount(), 13u);
}

TEST_F(SessionLogicTest, ReportsOwnUseAsDifference) {
  StartSession();
  EXPECT_DOUBLE_EQ(Last().heartbeat().cpu_seconds(), 1.5);
  EXPECT_EQ(Last().heartbeat().resident_bytes(), 4096);
  use_.cpu_seconds_total = 1.75;
  Pass(absl::Seconds(5));
  EXPECT_DOUBLE_EQ(Last().heartbeat().cpu_seconds(), 0.25);
}

TEST_F(SessionLogicTest, UnchangedPictureIsNoReasonToSend) {
  StartSession();
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  Pass(absl::Seconds(4));
  EXPECT_EQ(SentCount(), 2u);
}

TEST_F(SessionLogicTest, ChangeIsSentAtOnceAsASnapshot) {
  StartSession();
  Pass(absl::Seconds(2));
  logic_.OnPresent(PresentWith("compose/shop", "now different"), Now());
  ASSERT_EQ(SentCount(), 3u);
  EXPECT_EQ(Last().heartbeat().snapshot().deployments(0).message(), "now different");
}

TEST_F(SessionLogicTest, ManyChangesAreMergedIntoTenHeartbeatsASecond) {
  StartSession();
  for (int i = 0; i < 1000; ++i) {
    Pass(absl::Milliseconds(1));
    logic_.OnPresent(PresentWith("compose/shop", std::to_string(i)), Now());
    if (Last().heartbeat().snapshot().deployments(0).message() == std::to_string(i)) Sent();
  }
  Pass(absl::Milliseconds(100));
  EXPECT_LE(SentCount(), 2u + 11u);
  EXPECT_GE(SentCount(), 2u + 9u);
  EXPECT_EQ(Last().heartbeat().snapshot().deployments(0).message(), "999") << "the last change is never lost";
}

TEST_F(SessionLogicTest, WaitsForTheTransportAndThenSendsOnlyTheNewest) {
  StartSession();
  Pass(absl::Seconds(1));
  logic_.OnPresent(PresentWith("compose/shop", "a"), Now());
  ASSERT_EQ(SentCount(), 3u);  // the transport does not take it
  clock_.Advance(absl::Seconds(20));
  logic_.OnTimer(Now());
  logic_.OnPresent(PresentWith("compose/shop", "b"), Now());
  logic_.OnPresent(PresentWith("compose/shop", "c"), Now());
  EXPECT_EQ(SentCount(), 3u);
  Sent();
  ASSERT_EQ(SentCount(), 4u);
  EXPECT_EQ(Last().heartbeat().snapshot().deployments(0).message(), "c");
  EXPECT_EQ(Last().heartbeat().number(), 3);
}

TEST_F(SessionLogicTest, FaultIsSentAtOnceAndASnapshotFollowsIt) {
  StartSession();
  Pass(absl::Seconds(1));
  Present broken;
  broken.fault.emplace().set_message("docker socket: permission denied");
  logic_.OnPresent(broken, Now());
  Sent();
  ASSERT_EQ(SentCount(), 3u);
  EXPECT_EQ(Last().heartbeat().observer_fault().message(), "docker socket: permission denied");
  Pass(absl::Seconds(5));
  EXPECT_TRUE(Last().heartbeat().has_observer_fault()) << "as long as it lasts";
  Pass(absl::Seconds(1));
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  EXPECT_TRUE(Last().heartbeat().has_snapshot());
}

TEST_F(SessionLogicTest, WaitsAMomentForTheFirstPicture) {
  logic_.Start(Now());
  Sent();
  Welcome();
  EXPECT_EQ(SentCount(), 1u);
  Pass(absl::Milliseconds(500));
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  ASSERT_EQ(SentCount(), 2u);
  EXPECT_TRUE(Last().heartbeat().has_snapshot());
}

TEST_F(SessionLogicTest, WithoutAFirstPictureReportsAFaultAndNeverAnEmptyHost) {
  logic_.Start(Now());
  Sent();
  Welcome();
  Pass(absl::Seconds(1));
  ASSERT_EQ(SentCount(), 2u);
  EXPECT_TRUE(Last().heartbeat().has_observer_fault());
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  Pass(kMinHeartbeatGap);
  EXPECT_TRUE(Last().heartbeat().has_snapshot());
}

TEST_F(SessionLogicTest, ANewSessionBeginsWithASnapshotAndNumberOne) {
  StartSession();
  Pass(absl::Seconds(30));
  logic_.OnLinkClosed(absl::UnavailableError("gone"), Now());
  Pass(absl::Seconds(1));
  ASSERT_TRUE(Last().has_hello());
  Welcome();
  EXPECT_EQ(Last().heartbeat().number(), 1);
  EXPECT_TRUE(Last().heartbeat().has_snapshot());
}

TEST_F(SessionLogicTest, MeasuresRoundTripAndSkewFromTheEcho) {
  StartSession();
  const absl::Time sent_wall = clock_.Now();
  clock_.Advance(absl::Milliseconds(40));
  clock_.StepWall(absl::Hours(5));  // must not enter the round trip
  v1::SessionResponse frame;
  frame.mutable_heartbeat_ack()->set_number(1);
  *frame.mutable_heartbeat_ack()->mutable_hub_time() = ToProto(sent_wall - absl::Seconds(3));
  Frame(frame);
  Pass(absl::Seconds(5));
  EXPECT_EQ(FromProto(Last().heartbeat().round_trip()), absl::Milliseconds(40));
  EXPECT_EQ(FromProto(Last().heartbeat().clock_skew()), absl::Seconds(3) + absl::Milliseconds(20));
}

TEST_F(SessionLogicTest, IsConnectedFromTheFirstAck) {
  StartSession();
  EXPECT_FALSE(logic_.status().connected);
  Ack(17);  // never sent
  EXPECT_FALSE(logic_.status().connected);
  Ack(1);
  EXPECT_TRUE(logic_.status().connected);
  EXPECT_EQ(logic_.status().target_name, "edge-1");
  EXPECT_EQ(logic_.status().last_ack_time, clock_.Now());
  logic_.OnLinkClosed(absl::UnavailableError("gone"), Now());
  EXPECT_FALSE(logic_.status().connected);
  EXPECT_EQ(logic_.status().last_error, "gone");
}

TEST_F(SessionLogicTest, SettingsAreClamped) {
  struct Case {
    absl::Duration asked;
    absl::Duration expected;
  };
  for (const Case& c : std::vector<Case>{{absl::ZeroDuration(), kMinHeartbeatInterval},
                                         {-absl::Hours(1), kMinHeartbeatInterval},
                                         {absl::Hours(24 * 365), kMaxHeartbeatInterval},
                                         {absl::Seconds(2), absl::Seconds(2)}}) {
    SCOPED_TRACE(absl::FormatDuration(c.asked));
    RecordedOutput output;
    SessionLogic logic(
        {.target_id = "t", .secret = Secret("mst_x")},
        {.facts = [] { return v1::Hello(); }, .use = [] { return OwnUse(); }}, [] { return 0.5; }, &output);
    logic.Start(Now());
    logic.OnSent(Now());
    logic.OnPresent(Present(), Now());
    v1::SessionResponse frame;
    *frame.mutable_welcome()->mutable_settings()->mutable_heartbeat_interval() = ToProto(c.asked);
    *frame.mutable_welcome()->mutable_settings()->mutable_relist_interval() = ToProto(-absl::Hours(1));
    logic.OnFrame(frame, Now());
    logic.OnSent(Now());
    EXPECT_EQ(logic.NextDeadline() - clock_.Monotonic(), c.expected);
    EXPECT_EQ(output.relist_intervals, std::vector<absl::Duration>{kMinRelistInterval});
  }
}

TEST_F(SessionLogicTest, SettingsWithinASessionTakeEffect) {
  StartSession();
  v1::SessionResponse frame;
  *frame.mutable_settings()->mutable_heartbeat_interval() = ToProto(absl::Seconds(2));
  Frame(frame);
  EXPECT_EQ(logic_.NextDeadline() - clock_.Monotonic(), absl::Seconds(2));
}

TEST_F(SessionLogicTest, HangsUpOnASilentHub) {
  StartSession();
  Ack(1);
  Pass(absl::Milliseconds(74'999));
  EXPECT_EQ(output_.disconnects, 0);
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(output_.disconnects, 1);
  EXPECT_EQ(logic_.status().last_error, "the hub has been silent for 1m 15s");
  Pass(absl::Seconds(1));
  EXPECT_EQ(output_.connects, 2);
}

TEST_F(SessionLogicTest, EveryFrameOfTheHubCountsAgainstSilence) {
  StartSession();
  for (int i = 0; i < 10; ++i) {
    Pass(absl::Seconds(70));
    Frame(v1::SessionResponse());  // from a newer hub
  }
  EXPECT_EQ(output_.disconnects, 0);
}

TEST_F(SessionLogicTest, GivesUpOnAHubThatDoesNotAnswerHello) {
  logic_.Start(Now());
  Sent();
  Pass(kGreetingTimeout);
  EXPECT_EQ(output_.disconnects, 1);
  Pass(absl::Seconds(1));
  EXPECT_EQ(output_.connects, 2);
}

TEST_F(SessionLogicTest, BacksOffToSixtySecondsAndAnewAfterAStableSession) {
  uniform_ = 0.999999;
  logic_.Start(Now());
  std::vector<double> waits;
  for (int i = 0; i < 9; ++i) {
    logic_.OnLinkClosed(absl::UnavailableError("refused"), Now());
    waits.push_back(absl::ToDoubleSeconds(WaitUntilNextAttempt()));
    Pass(WaitUntilNextAttempt());
  }
  const std::vector<double> expected = {1, 2, 4, 8, 16, 32, 60, 60, 60};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(waits[i], expected[i], 0.01) << i;

  logic_.OnPresent(PresentWith("a"), Now());
  Sent();
  Welcome();
  Sent();
  Pass(kStableSession - absl::Milliseconds(1));
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  EXPECT_NEAR(absl::ToDoubleSeconds(WaitUntilNextAttempt()), 60, 0.01) << "not stable yet";
  Pass(WaitUntilNextAttempt());
  Sent();
  Welcome();
  Sent();
  Pass(kStableSession);
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  EXPECT_NEAR(absl::ToDoubleSeconds(WaitUntilNextAttempt()), 1, 0.01);
}

TEST_F(SessionLogicTest, NeverReconnectsInABusyLoop) {
  uniform_ = 0;
  logic_.Start(Now());
  logic_.OnLinkClosed(absl::UnavailableError("refused"), Now());
  EXPECT_EQ(WaitUntilNextAttempt(), kMinReconnectDelay);
}

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
