// SessionLogic with a journal: what Hello and heartbeats say of it, and when its records travel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/session/testing/session_logic_fixture.h"

namespace muster::agent {
namespace {

using testing::SizeIs;

class FakeSource : public RecordSource {
 public:
  RecordsView View() const override { return view; }
  void Read(const ReadRequest& /*request*/, std::function<void(v1::RecordBatch)> /*done*/) override {
    ADD_FAILURE() << "the logic asks its driver";
  }
  void Acknowledge(const v1::BatchAck& ack) override { acks.push_back(ack); }
  void Resume(const std::vector<v1::LanePosition>& applied) override { resumed = applied; }
  void SetListener(std::function<void()> /*changed*/) override {}

  void SetLast(std::int64_t last) {
    view.lanes = {{.epoch = "e1", .lane = v1::LANE_EVENTS, .oldest_sequence = 1, .last_sequence = last}};
    view.depth.set_records(last);
  }

  RecordsView view;
  std::vector<v1::BatchAck> acks;
  std::vector<v1::LanePosition> resumed;
};

class SessionRecordsTest : public SessionLogicTest {
 protected:
  SessionRecordsTest()
      : logic_(
            {.target_id = "tgt_1", .secret = Secret("mst_first"), .session_counter = 7},
            {.facts = [] { return v1::Hello(); }, .use = [] { return OwnUse(); }, .records = &source_},
            [] { return 0.5; }, &output_) {
    source_.view.epoch = "e1";
  }

  void Frame(const v1::SessionResponse& frame) { logic_.OnFrame(frame, Now()); }
  void Sent() { logic_.OnSent(Now()); }
  void Greet() {
    logic_.Start(Now());
    Sent();
    logic_.OnPresent(PresentWith("compose/shop"), Now());
    v1::SessionResponse frame;
    frame.mutable_welcome()->set_session_counter(8);
    Frame(frame);
  }
  // The journal answers what it was asked last.
  void Answer(int records = 1) {
    ASSERT_FALSE(output_.reads.empty());
    v1::RecordBatch batch;
    batch.set_epoch(output_.reads.back().epoch);
    batch.set_lane(output_.reads.back().lane);
    batch.set_first_sequence(output_.reads.back().first_sequence);
    for (int i = 0; i < records; ++i) batch.add_records()->mutable_transition();
    logic_.OnRecords(batch, Now());
  }
  void AckBatch(std::int64_t sequence) {
    v1::SessionResponse frame;
    frame.mutable_batch_ack()->set_epoch("e1");
    frame.mutable_batch_ack()->set_lane(v1::LANE_EVENTS);
    frame.mutable_batch_ack()->set_sequence(sequence);
    Frame(frame);
  }

  FakeSource source_;
  SessionLogic logic_;
};

TEST_F(SessionRecordsTest, HelloListsTheJournalAndHeartbeatsTellItsDepth) {
  source_.SetLast(5);
  source_.view.lanes[0].oldest_sequence = 2;
  Greet();
  const v1::Hello& hello = output_.sent[0].hello();
  EXPECT_EQ(hello.journal_epoch(), "e1");
  ASSERT_EQ(hello.journal_positions_size(), 1);
  EXPECT_EQ(hello.journal_positions(0).sequence(), 5);
  EXPECT_EQ(hello.journal_positions(0).oldest_sequence(), 2);
  EXPECT_EQ(Last().heartbeat().journal().records(), 5);
}

TEST_F(SessionRecordsTest, NothingIsReadOrSentBeforeTheFirstHeartbeat) {
  source_.SetLast(5);
  logic_.Start(Now());
  Sent();
  logic_.OnRecordsChanged(Now());
  EXPECT_THAT(output_.reads, SizeIs(0));
  v1::SessionResponse frame;
  frame.mutable_welcome()->set_session_counter(8);
  Frame(frame);  // no picture yet: the heartbeat waits for it
  EXPECT_THAT(output_.reads, SizeIs(0));
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  EXPECT_TRUE(Last().has_heartbeat());
  EXPECT_THAT(output_.reads, SizeIs(1));
}

TEST_F(SessionRecordsTest, WelcomeIsPassedOnToTheJournal) {
  source_.SetLast(5);
  logic_.Start(Now());
  Sent();
  v1::SessionResponse frame;
  v1::LanePosition& applied = *frame.mutable_welcome()->add_applied();
  applied.set_epoch("e1");
  applied.set_lane(v1::LANE_EVENTS);
  applied.set_sequence(3);
  Frame(frame);
  ASSERT_THAT(source_.resumed, SizeIs(1));
  EXPECT_EQ(source_.resumed[0].sequence(), 3);
  logic_.OnPresent(PresentWith("compose/shop"), Now());
  EXPECT_EQ(output_.reads.at(0).first_sequence, 4);
}

TEST_F(SessionRecordsTest, ABatchFollowsTheHeartbeatAndItsAckReachesTheJournal) {
  source_.SetLast(1);
  Greet();
  Answer();
  EXPECT_TRUE(Last().has_heartbeat()) << "which the transport has not taken yet";
  Sent();
  ASSERT_TRUE(Last().has_record_batch());
  EXPECT_EQ(Last().record_batch().first_sequence(), 1);
  Sent();
  AckBatch(1);
  ASSERT_THAT(source_.acks, SizeIs(1));
  EXPECT_EQ(source_.acks[0].sequence(), 1);
}

TEST_F(SessionRecordsTest, AHeartbeatNeverWaitsForRecords) {
  source_.SetLast(1000);
  Greet();
  Answer();
  Sent();
  ASSERT_TRUE(Last().has_record_batch());
  clock_.Advance(absl::Seconds(1));
  logic_.OnPresent(PresentWith("compose/shop", "now different"), Now());
  AckBatch(1);
  Answer();  // the next batch is there, too
  const std::size_t before = SentCount();
  Sent();
  ASSERT_EQ(SentCount(), before + 1);
  EXPECT_TRUE(Last().has_heartbeat());
  Sent();
  EXPECT_TRUE(Last().has_record_batch());
}

TEST_F(SessionRecordsTest, NewRecordsAreReadWhenTheyAreThere) {
  Greet();
  Sent();
  EXPECT_THAT(output_.reads, SizeIs(0));
  source_.SetLast(1);
  logic_.OnRecordsChanged(Now());
  EXPECT_THAT(output_.reads, SizeIs(1));
}

TEST_F(SessionRecordsTest, RefusedRecordsAreCleanedAndPutAside) {
  source_.SetLast(1);
  Greet();
  Answer();
  Sent();
  Sent();
  v1::SessionResponse frame;
  frame.mutable_batch_ack()->set_epoch("e1");
  frame.mutable_batch_ack()->set_lane(v1::LANE_EVENTS);
  frame.mutable_batch_ack()->set_sequence(1);
  frame.mutable_batch_ack()->add_refused()->set_sequence(1);
  frame.mutable_batch_ack()->mutable_refused(0)->set_reason(std::string(5000, 'x'));
  Frame(frame);
  ASSERT_THAT(source_.acks, SizeIs(1));
  EXPECT_LE(source_.acks[0].refused(0).reason().size(), kMaxMessageBytes);
}

TEST_F(SessionRecordsTest, ABusyHubIsTriedAgainByTheTimer) {
  source_.SetLast(1);
  Greet();
  Answer();
  Sent();
  Sent();
  v1::SessionResponse frame;
  frame.mutable_batch_refusal()->set_epoch("e1");
  frame.mutable_batch_refusal()->set_lane(v1::LANE_EVENTS);
  frame.mutable_batch_refusal()->set_first_sequence(1);
  frame.mutable_batch_refusal()->set_reason(v1::BATCH_REFUSAL_REASON_BUSY);
  *frame.mutable_batch_refusal()->mutable_retry_after() = ToProto(absl::Seconds(2));
  Frame(frame);
  EXPECT_EQ(logic_.NextDeadline(), clock_.Monotonic() + absl::Seconds(2));
  clock_.Advance(absl::Seconds(2));
  logic_.OnTimer(Now());
  EXPECT_THAT(output_.reads, SizeIs(2));
}

TEST_F(SessionRecordsTest, AfterGoodbyeNoRecordsFollow) {
  source_.SetLast(1000);
  Greet();
  Answer();
  logic_.Stop(v1::GOODBYE_REASON_STOPPED, Now());
  Sent();
  EXPECT_TRUE(Last().has_goodbye());
  Sent();
  logic_.OnRecordsChanged(Now());
  EXPECT_TRUE(Last().has_goodbye());
}

TEST_F(SessionRecordsTest, AnAgentWithoutAJournalIgnoresAnswersAboutOne) {
  StartSession();
  v1::SessionResponse frame;
  frame.mutable_batch_ack()->set_sequence(5);
  SessionLogicTest::Frame(frame);
  frame.mutable_batch_refusal()->set_first_sequence(5);
  SessionLogicTest::Frame(frame);
  EXPECT_EQ(output_.disconnects, 0);
}

}  // namespace
}  // namespace muster::agent
