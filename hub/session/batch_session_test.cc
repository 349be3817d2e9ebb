// The journal's side of a session: batches, back-pressure, and the order of answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/fleet/report_check.h"
#include "hub/session/batch_window.h"
#include "hub/session/testing/agent_session_fixture.h"

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- the window

SessionResponse AnswerOf(std::int64_t sequence) {
  SessionResponse answer;
  answer.mutable_batch_ack()->set_sequence(sequence);
  return answer;
}

std::vector<std::int64_t> Sequences(const std::vector<SessionResponse>& answers) {
  std::vector<std::int64_t> sequences;
  for (const SessionResponse& answer : answers) sequences.push_back(answer.batch_ack().sequence());
  return sequences;
}

TEST(BatchWindow, AnswersLeaveInTheOrderOfTheBatches) {
  BatchWindow window;
  const auto a = *window.Enter();
  const auto b = *window.Enter();
  const auto c = *window.Enter();
  EXPECT_THAT(Sequences(window.Answer(c, AnswerOf(3))), IsEmpty());
  EXPECT_THAT(Sequences(window.Answer(a, AnswerOf(1))), ElementsAre(1));
  EXPECT_THAT(Sequences(window.Answer(b, AnswerOf(2))), ElementsAre(2, 3));
  EXPECT_THAT(Sequences(window.Answer(*window.Enter(), AnswerOf(4))), ElementsAre(4));
}

TEST(BatchWindow, AdmitsByNumberAndBySize) {
  BatchWindow window;
  for (int i = 0; i < BatchWindow::kMaxBatches; ++i) EXPECT_TRUE(window.Admit(1));
  EXPECT_FALSE(window.Admit(1));
  window.Left(1);
  EXPECT_TRUE(window.Admit(1));
  BatchWindow large;
  EXPECT_TRUE(large.Admit(BatchWindow::kMaxBytes * 2)) << "one alone always may";
  EXPECT_FALSE(large.Admit(1));
  large.Left(BatchWindow::kMaxBytes * 2);
  EXPECT_TRUE(large.Admit(BatchWindow::kMaxBytes));
  EXPECT_FALSE(large.Admit(1));
}

TEST(BatchWindow, IsBounded) {
  BatchWindow window;
  for (std::size_t i = 0; i < BatchWindow::kMaxUnanswered; ++i) EXPECT_TRUE(window.Enter());
  EXPECT_FALSE(window.Enter());
}

// ---- the session

class BatchSessionTest : public AgentSessionTest {
 protected:
  BatchSessionTest() { SendHello(*session_, TestHello("tgt_1", "mst_one")); }

  static SessionRequest Batch(std::int64_t first, int count, const std::string& epoch = "e1") {
    SessionRequest frame;
    agent::v1::RecordBatch* batch = frame.mutable_record_batch();
    batch->set_epoch(epoch);
    batch->set_lane(agent::v1::LANE_EVENTS);
    batch->set_first_sequence(first);
    for (int i = 0; i < count; ++i) {
      agent::v1::Record* record = batch->add_records();
      const absl::Time at = absl::FromUnixSeconds(1'800'000'000 + first + i);
      *record->mutable_observed_at() = ToProto(at);
      *record->mutable_transition()->mutable_deployment() =
          TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_RUNNING);
      *record->mutable_transition()->mutable_deployment()->mutable_change_time() = ToProto(at);
    }
    return frame;
  }
  // Answers to batches: "ack 3", "BUSY 4", "OUT_OF_ORDER 9 wants 4".
  static std::vector<std::string> Answers(const FakeSink& sink) {
    std::vector<std::string> answers;
    for (const SessionResponse& frame : sink.frames()) {
      if (frame.has_batch_ack()) answers.push_back("ack " + std::to_string(frame.batch_ack().sequence()));
      if (!frame.has_batch_refusal()) continue;
      const agent::v1::BatchRefusal& refusal = frame.batch_refusal();
      std::string text = agent::v1::BatchRefusalReason_Name(refusal.reason()).substr(21) + " " +
                         std::to_string(refusal.first_sequence());
      if (refusal.expected_sequence() > 0) text += " wants " + std::to_string(refusal.expected_sequence());
      answers.push_back(text);
    }
    return answers;
  }
  std::vector<std::string> Answers() const { return Answers(*sink_); }
  std::int64_t StoredChanges() {
    std::int64_t rows = 0;
    EXPECT_TRUE(store_
                    ->Read([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT count(*) FROM deployment_changes"));
                      RETURN_IF_ERROR(s.Step().status());
                      rows = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
    return rows;
  }
  // Holds the writer until the gate is opened. Comes back when it is held: what is submitted after is in its queue, not
  // taken into the same transaction.
  void HoldWriter(Mutex& gate) ABSL_EXCLUSIVE_LOCK_FUNCTION(gate) {
    gate.Lock();
    std::promise<void> held;
    store_->writer().Submit(
        [&gate, &held](sqlite::Database&) {
          held.set_value();
          MutexLock wait(&gate);
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    held.get_future().wait();
  }
  void Execute(sqlite::Sql sql) {
    ASSERT_TRUE(store_->writer().Run([&](sqlite::Database& database) { return database.Execute(sql); }).ok());
  }

  std::shared_ptr<FakeSink> sink_ = std::make_shared<FakeSink>();
  std::shared_ptr<AgentSession> session_ = NewSession(sink_);
};

TEST_F(BatchSessionTest, AcknowledgesOnlyWhatIsCommitted) {
  Mutex gate;
  HoldWriter(gate);
  session_->OnFrame(Batch(1, 3));
  EXPECT_THAT(Answers(), IsEmpty());
  gate.Unlock();
  DrainWriter();
  EXPECT_THAT(Answers(), ElementsAre("ack 3"));
  EXPECT_EQ(StoredChanges(), 3);
  const auto ack = sink_->frames().back().batch_ack();
  EXPECT_EQ(ack.epoch(), "e1");
  EXPECT_EQ(ack.lane(), agent::v1::LANE_EVENTS);
  EXPECT_EQ(CountOf("applied"), 3);
}

TEST_F(BatchSessionTest, EveryBatchHasOneAnswerInOrder) {
  session_->OnFrame(Batch(1, 3));
  session_->OnFrame(Batch(2, 4));
  session_->OnFrame(Batch(9, 1));
  session_->OnFrame(Batch(1, 2, "e2"));
  SessionRequest logs = Batch(42, 1);
  logs.mutable_record_batch()->set_lane(agent::v1::LANE_LOGS);
  session_->OnFrame(logs);
  DrainWriter();
  EXPECT_THAT(Answers(), ElementsAre("NOT_SUPPORTED 42", "ack 3", "ack 5", "OUT_OF_ORDER 9 wants 6", "ack 2"));
  EXPECT_EQ(CountOf("batch OUT_OF_ORDER"), 1);
  EXPECT_EQ(CountOf("batch NOT_SUPPORTED"), 1);
}

TEST_F(BatchSessionTest, RefusedRecordsAreListed) {
  SessionRequest frame = Batch(1, 2);
  frame.mutable_record_batch()->mutable_records(0)->clear_payload();
  session_->OnFrame(frame);
  DrainWriter();
  EXPECT_THAT(Answers(), ElementsAre("ack 2"));
  ASSERT_EQ(sink_->frames().back().batch_ack().refused_size(), 1);
  EXPECT_EQ(sink_->frames().back().batch_ack().refused(0).sequence(), 1);
}

TEST_F(BatchSessionTest, MoreThanEightAreRefusedBehindTheAnswersBeforeThem) {
  Mutex gate;
  HoldWriter(gate);
  for (int i = 1; i <= 10; ++i) session_->OnFrame(Batch(i, 1));
  EXPECT_THAT(Answers(), IsEmpty()) << "a refusal does not overtake";
  gate.Unlock();
  DrainWriter();
  EXPECT_THAT(Answers(),
              ElementsAre("ack 1", "ack 2", "ack 3", "ack 4", "ack 5", "ack 6", "ack 7", "ack 8", "BUSY 9", "BUSY 10"));
  EXPECT_GT(sink_->frames().back().batch_refusal().retry_after().seconds(), 0);
  session_->OnFrame(Batch(9, 1));
  DrainWriter();
  EXPECT_EQ(Answers().back(), "ack 9");
  EXPECT_EQ(CountOf("batch BUSY"), 2);
}

TEST_F(BatchSessionTest, DeepWriterQueueIsBusy) {
  Mutex gate;
  HoldWriter(gate);
  for (std::size_t i = 0; i <= AgentSession::kMaxWriterQueue; ++i) {
    store_->writer().Submit([](sqlite::Database&) { return absl::OkStatus(); }, [](const absl::Status&) {});
  }
  session_->OnFrame(Batch(1, 1));
  EXPECT_THAT(Answers(), ElementsAre("BUSY 1"));
  gate.Unlock();
  DrainWriter();
}

TEST_F(BatchSessionTest, FullDiskIsBusyAndLaterTaken) {
  Execute("PRAGMA max_page_count=1");
  SessionRequest large = Batch(1, 300);
  for (agent::v1::Record& record : *large.mutable_record_batch()->mutable_records()) {
    record.mutable_transition()->mutable_deployment()->set_message(std::string(500, 'x'));
  }
  session_->OnFrame(large);
  // May share the transaction, and its fate.
  store_->writer().Run([](sqlite::Database&) { return absl::OkStatus(); }).IgnoreError();
  EXPECT_THAT(Answers(), ElementsAre("BUSY 1"));
  EXPECT_GE(sink_->frames().back().batch_refusal().retry_after().seconds(), 10);
  EXPECT_EQ(StoredChanges(), 0);
  Execute("PRAGMA max_page_count=100000");
  session_->OnFrame(large);
  DrainWriter();
  EXPECT_THAT(Answers(), ElementsAre("BUSY 1", "ack 300"));
}

TEST_F(BatchSessionTest, SenderThatDoesNotWaitBreaksTheContract) {
  Mutex gate;
  HoldWriter(gate);
  for (std::size_t i = 0; i <= BatchWindow::kMaxUnanswered; ++i) session_->OnFrame(Batch(1, 1));
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
  gate.Unlock();
  DrainWriter();
}

TEST_F(BatchSessionTest, WhatIsNoBatchBreaksTheContract) {
  session_->OnFrame(Batch(0, 1));
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
}

TEST_F(BatchSessionTest, RotationThatIsCommittedFirstStopsBatchesInTheQueue) {
  Mutex gate;
  HoldWriter(gate);
  store_->writer().Submit(
      [](sqlite::Database& database) {
        return RotateSecret(database, "tgt_1", HashSecret("x"), absl::UnixEpoch()).status();
      },
      [](const absl::Status&) {});
  session_->OnFrame(Batch(1, 1));
  gate.Unlock();
  DrainWriter();
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_TRUE(session_->ended());
  EXPECT_EQ(StoredChanges(), 0);
}

TEST_F(BatchSessionTest, OldSecretIsToldSoAtOnce) {
  // As if the frame arrived between the rotation and the farewell that it causes.
  fleet_->Rotate("tgt_1", HashSecret("mst_new"), 2, clock_.Read());
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  session_->OnFrame(Batch(1, 1));
  DrainWriter();
  EXPECT_EQ(StoredChanges(), 0);
}

TEST_F(BatchSessionTest, DeletedTargetsBatchInTheQueueStoresNothing) {
  Mutex gate;
  HoldWriter(gate);
  store_->writer().Submit(
      [](sqlite::Database& database) { return MarkTargetDeleted(database, "tgt_1", absl::UnixEpoch()); },
      [](const absl::Status&) {});
  session_->OnFrame(Batch(1, 1));
  gate.Unlock();
  DrainWriter();
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_TARGET_DELETED);
  EXPECT_EQ(StoredChanges(), 0);
}

TEST_F(BatchSessionTest, WelcomeTellsThePositionsOfTheListedEpochs) {
  session_->OnFrame(Batch(1, 3));
  session_->OnFrame(Batch(1, 1, "e2"));
  DrainWriter();
  agent::v1::Hello hello = TestHello("tgt_1", "mst_one");
  for (const char* epoch : {"e1", "", "e3"}) {
    agent::v1::LanePosition* position = hello.add_journal_positions();
    position->set_epoch(epoch);
    position->set_lane(agent::v1::LANE_EVENTS);
  }
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, hello);
  const agent::v1::Welcome welcome = sink->frames().at(0).welcome();
  ASSERT_EQ(welcome.applied_size(), 1);
  EXPECT_EQ(welcome.applied(0).epoch(), "e1");
  EXPECT_EQ(welcome.applied(0).sequence(), 3);
}

TEST_F(BatchSessionTest, HelloMayListAThousandPositions) {
  agent::v1::Hello hello = TestHello("tgt_1", "mst_one");
  session_->OnFrame(Batch(1, 1, "last"));
  for (int i = 0; i < kMaxListedPositions; ++i) {
    hello.add_journal_positions()->set_epoch("e" + std::to_string(i));
  }
  hello.add_journal_positions()->set_epoch("last");
  hello.mutable_journal_positions(kMaxListedPositions)->set_lane(agent::v1::LANE_EVENTS);
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, hello);
  ASSERT_TRUE(sink->frames().at(0).has_welcome());
  EXPECT_EQ(sink->frames().at(0).welcome().applied_size(), 0) << "what is beyond is not read";
}

// A hub whose clock and the agent's differ by a day: the skew of Hello holds for the first batches.
TEST_F(BatchSessionTest, TimesAreCorrectedByTheSkewOfHello) {
  agent::v1::Hello hello = TestHello("tgt_1", "mst_one");
  *hello.mutable_sent_at() = ToProto(clock_.Now() - absl::Hours(24));
  auto sink = std::make_shared<FakeSink>();
  auto session = NewSession(sink);
  SendHello(*session, hello);
  clock_.Advance(absl::Seconds(100));
  SessionRequest frame = Batch(1, 1);
  *frame.mutable_record_batch()->mutable_records(0)->mutable_observed_at() =
      ToProto(absl::FromUnixSeconds(1'800'000'050) - absl::Hours(24));
  session->OnFrame(frame);
  DrainWriter();
  EXPECT_THAT(Answers(*sink), ElementsAre("ack 1"));
  std::int64_t at = 0;
  ASSERT_TRUE(store_
                  ->Read([&](sqlite::Database& database) -> absl::Status {
                    ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT at_us FROM deployment_changes"));
                    RETURN_IF_ERROR(s.Step().status());
                    at = s.Int64(0);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(at, 1'800'000'050'000'000);
}

TEST_F(BatchSessionTest, BatchesTouchNothingThatIsShownAsPresent) {
  SendBeat(*session_, SnapshotBeat(1, 1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY)}));
  const std::int64_t version = fleet_->version();
  session_->OnFrame(Batch(1, 5));
  DrainWriter();
  EXPECT_EQ(fleet_->FindDeployment("shop", "")->status(), types::v1::DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(fleet_->version(), version);
}

}  // namespace
}  // namespace muster::hub
