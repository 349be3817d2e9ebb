#include "agent/session/session_logic.h"

#include <gtest/gtest.h>

#include "agent/session/testing/session_logic_fixture.h"

namespace muster::agent {
namespace {

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

TEST_F(SessionLogicTest, KeysWhoseLogsAreOffAreHandedOnWheneverTheHubSaysThem) {
  logic_.Start(Now());
  Sent();
  EXPECT_TRUE(output_.logs_off.empty()) << "not before the hub said anything";
  v1::Settings settings;
  settings.add_logs_disabled_keys("compose/shop");
  settings.add_logs_disabled_keys("container/job");
  Welcome(settings);
  const std::vector<std::string> both = {"compose/shop", "container/job"};
  EXPECT_EQ(output_.logs_off, std::vector<std::vector<std::string>>{both});
  v1::SessionResponse frame;
  *frame.mutable_settings() = settings;
  Frame(frame);
  frame.mutable_settings()->clear_logs_disabled_keys();
  Frame(frame);
  EXPECT_EQ(output_.logs_off, (std::vector<std::vector<std::string>>{both, both, {}}));
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
  for (int i = 0; i < 15; ++i) {
    logic_.OnLinkClosed(absl::UnavailableError("refused"), Now());
    waits.push_back(absl::ToDoubleSeconds(WaitUntilNextAttempt()));
    Pass(WaitUntilNextAttempt());
  }
  // Half the time since the start, where that is less than the ceiling.
  const std::vector<double> expected = {1,     1,     1,     1.5,   2.25,  3.37, 5.06, 7.59,
                                        11.39, 17.09, 25.63, 38.44, 57.67, 60,   60};
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

}  // namespace
}  // namespace muster::agent
