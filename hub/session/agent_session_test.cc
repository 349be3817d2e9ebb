#include "hub/session/agent_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/session/session_registry.h"
#include "hub/session/testing/agent_session_fixture.h"
#include "hub/store/reads.h"

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;

TEST_F(AgentSessionTest, WelcomesAfterTheOpeningIsCommitted) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  const std::vector<SessionResponse> frames = sink->frames();
  ASSERT_EQ(frames.size(), 1u);
  const agent::v1::Welcome& welcome = frames[0].welcome();
  EXPECT_EQ(welcome.session_counter(), 1);
  EXPECT_EQ(welcome.hub_epoch(), "hub_1");
  EXPECT_EQ(welcome.target_name(), "host-1");
  EXPECT_EQ(welcome.settings().heartbeat_interval().seconds(), 5);
  std::vector<StoredTarget> stored;
  ASSERT_TRUE(store_
                  ->Read([&](sqlite::Database& database) {
                    stored = *LoadTargets(database);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(stored.at(0).session_counter, 1);
  EXPECT_EQ(stored.at(0).agent_version, "0.1.0");
}

TEST_F(AgentSessionTest, RefusalsAreFarewellsThatEndTheStream) {
  const struct {
    agent::v1::Hello hello;
    agent::v1::FarewellReason reason;
  } cases[] = {
      {TestHello("tgt_1", "mst_wrong"), agent::v1::FAREWELL_REASON_BAD_SECRET},
      {TestHello("tgt_unknown", "mst_one"), agent::v1::FAREWELL_REASON_UNKNOWN_TARGET},
      {agent::v1::Hello(), agent::v1::FAREWELL_REASON_TOO_OLD},
  };
  for (const auto& c : cases) {
    auto sink = std::make_shared<FakeSink>();
    auto session = NewSession(sink);
    SendHello(*session, c.hello);
    EXPECT_EQ(FarewellOf(*sink), c.reason);
    EXPECT_TRUE(sink->finished());
    EXPECT_TRUE(session->ended());
  }
  EXPECT_EQ(fleet_->FindTarget("host-1", "")->target.state(), types::v1::TARGET_STATE_NOT_CONNECTED);
}

TEST_F(AgentSessionTest, FramesOutOfOrderAreProtocolErrors) {
  SessionRequest beat;
  *beat.mutable_heartbeat() = SnapshotBeat(1, 1, {});
  SessionRequest hello;
  *hello.mutable_hello() = TestHello("tgt_1", "mst_one");
  const struct {
    const char* name;
    std::vector<SessionRequest> frames;
  } cases[] = {
      {"heartbeat first", {beat}},
      {"empty frame first", {SessionRequest()}},
      {"second Hello", {hello, hello}},
      {"heartbeat number repeated", {hello, beat, beat}},
  };
  for (const auto& c : cases) {
    auto sink = std::make_shared<FakeSink>();
    auto session = NewSession(sink);
    for (const SessionRequest& frame : c.frames) {
      session->OnFrame(frame);
      DrainWriter();
    }
    EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR) << c.name;
    EXPECT_TRUE(sink->finished()) << c.name;
  }
}

TEST_F(AgentSessionTest, HeartbeatBeforeWelcomeIsAProtocolError) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SessionRequest hello;
  *hello.mutable_hello() = TestHello("tgt_1", "mst_one");
  // Holds the writer so that the opening cannot be committed yet.
  Mutex gate;
  gate.Lock();
  store_->writer().Submit(
      [&gate](sqlite::Database&) {
        MutexLock wait(&gate);
        return absl::OkStatus();
      },
      [](const absl::Status&) {});
  session->OnFrame(hello);
  SendBeat(*session, SnapshotBeat(1, 1, {}));
  gate.Unlock();
  DrainWriter();
  EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
  EXPECT_FALSE(fleet_->FindTarget("host-1", "")->target.has_session());
}

TEST_F(AgentSessionTest, AcknowledgesTheFirstHeartbeatAndThenSparsely) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  agent::v1::Heartbeat first = SnapshotBeat(1, 1, {});
  first.mutable_sent_at()->set_seconds(12345);
  SendBeat(*session, first);
  for (int i = 2; i <= 13; ++i) {
    clock_.Advance(absl::Seconds(5));
    SendBeat(*session, DigestBeat(i, 1));
  }
  std::vector<std::int64_t> acked;
  for (const SessionResponse& frame : sink->frames()) {
    if (frame.has_heartbeat_ack()) acked.push_back(frame.heartbeat_ack().number());
  }
  EXPECT_THAT(acked, testing::ElementsAre(1, 6, 11));
  EXPECT_EQ(sink->frames()[1].heartbeat_ack().echo_sent_at().seconds(), 12345);
}

TEST_F(AgentSessionTest, FrameOfANewerKindIsIgnored) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  session->OnFrame(SessionRequest());
  EXPECT_FALSE(session->ended());
}

TEST_F(AgentSessionTest, FloodOfHeartbeatsIsAProtocolError) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  SendBeat(*session, SnapshotBeat(1, 1, {}));
  for (int i = 2; i <= AgentSession::kMaxBeatsPerWindow; ++i) SendBeat(*session, DigestBeat(i, 1));
  EXPECT_FALSE(session->ended());
  SendBeat(*session, DigestBeat(AgentSession::kMaxBeatsPerWindow + 1, 1));
  EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
}

TEST_F(AgentSessionTest, RotationClosesWithItsReason) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  fleet_->Rotate("tgt_1", HashSecret("mst_new"), 2, clock_.Read());
  EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_TRUE(sink->finished());
  EXPECT_EQ(CountOf("ended SECRET_ROTATED"), 1);
}

TEST_F(AgentSessionTest, GoodbyeTellsWhyAndWhenItIsBack) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  SessionRequest frame;
  frame.mutable_goodbye()->set_reason(agent::v1::GOODBYE_REASON_STOPPED);
  frame.mutable_goodbye()->mutable_expected_return()->set_seconds(1'800'000'600);
  session->OnFrame(frame);
  session->OnPeerClosed("the connection was lost");
  const auto target = fleet_->FindTarget("host-1", "")->target;
  EXPECT_EQ(target.session_end().reason(), "the agent was stopped");
  EXPECT_EQ(target.session_end().expected_return().seconds(), 1'800'000'600);
  EXPECT_EQ(target.state(), types::v1::TARGET_STATE_CONNECTED) << "not yet stale";
  EXPECT_EQ(CountOf("ended GOODBYE"), 1);
  EXPECT_EQ(CountOf("ended LOST"), 0);
}

TEST_F(AgentSessionTest, ConnectionLostWhileOpeningLeavesNoSession) {
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SessionRequest hello;
  *hello.mutable_hello() = TestHello("tgt_1", "mst_one");
  session->OnFrame(hello);
  session->OnPeerClosed("the connection was lost");
  DrainWriter();
  EXPECT_FALSE(fleet_->FindTarget("host-1", "")->target.has_session());
}

TEST_F(AgentSessionTest, StoppedWriterAsksForPatience) {
  store_->writer().Stop();
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SessionRequest hello;
  *hello.mutable_hello() = TestHello("tgt_1", "mst_one");
  session->OnFrame(hello);
  EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_OVERLOADED);
  EXPECT_GT(sink->frames().back().farewell().retry_after().seconds(), 0);
}

TEST_F(AgentSessionTest, SilentStreamIsEndedAfterTenSeconds) {
  SessionRegistry registry(10);
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  ASSERT_TRUE(registry.Add(session));
  clock_.Advance(absl::Seconds(9));
  registry.Tick(clock_.Monotonic());
  EXPECT_FALSE(session->ended());
  clock_.Advance(absl::Seconds(1));
  registry.Tick(clock_.Monotonic());
  EXPECT_TRUE(session->ended());
}

TEST_F(AgentSessionTest, AgentThatFallsSilentIsEndedAfterTwoMinutes) {
  SessionRegistry registry(10);
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  ASSERT_TRUE(registry.Add(session));
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  const auto look = [&](int times) {
    for (int i = 0; i < times; ++i) registry.Tick(clock_.Monotonic());
  };
  look(24);
  SessionRequest beat;
  *beat.mutable_heartbeat() = SnapshotBeat(1, 1, {});
  session->OnFrame(beat);
  look(24);
  EXPECT_FALSE(session->ended());
  look(1);
  EXPECT_TRUE(session->ended());
  EXPECT_TRUE(sink->finished());
  EXPECT_FALSE(fleet_->FindTarget("host-1", "")->target.has_session());
}

TEST_F(AgentSessionTest, HubThatStoodStillDoesNotTakeItForSilence) {
  SessionRegistry registry(10);
  auto session = NewSession(std::make_shared<FakeSink>());
  ASSERT_TRUE(registry.Add(session));
  SendHello(*session, TestHello("tgt_1", "mst_one"));
  clock_.Advance(absl::Hours(1));
  registry.Tick(clock_.Monotonic());
  EXPECT_FALSE(session->ended());
}

TEST_F(AgentSessionTest, DrainingSpreadsTheReturnAndTakesNobodyNew) {
  SessionRegistry registry(10);
  std::vector<std::shared_ptr<FakeSink>> sinks;
  std::vector<std::shared_ptr<AgentSession>> sessions;
  for (int i = 0; i < 5; ++i) {
    sinks.push_back(std::make_shared<FakeSink>());
    sessions.push_back(NewSession(sinks.back()));
    ASSERT_TRUE(registry.Add(sessions.back()));
  }
  registry.Drain(absl::Seconds(4));
  for (const auto& sink : sinks) {
    EXPECT_EQ(FarewellOf(*sink), agent::v1::FAREWELL_REASON_DRAINING);
    EXPECT_GE(sink->frames().back().farewell().retry_after().seconds(), 1);
    EXPECT_LE(sink->frames().back().farewell().retry_after().seconds(), 5);
  }
  EXPECT_FALSE(registry.Add(NewSession(std::make_shared<FakeSink>())));
}

TEST_F(AgentSessionTest, RegistryTakesNoMoreThanItsLimit) {
  SessionRegistry registry(2);
  auto a = NewSession(std::make_shared<FakeSink>());
  auto b = NewSession(std::make_shared<FakeSink>());
  EXPECT_TRUE(registry.Add(a));
  EXPECT_TRUE(registry.Add(b));
  EXPECT_FALSE(registry.Add(NewSession(std::make_shared<FakeSink>())));
  b.reset();
  registry.Tick(clock_.Monotonic());
  EXPECT_TRUE(registry.Add(NewSession(std::make_shared<FakeSink>())));
}

}  // namespace
}  // namespace muster::hub
