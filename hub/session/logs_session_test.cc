// The lane of logs in a session: a writer of its own, and no word to the other lane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "hub/logs/log_store.h"
#include "hub/logs/testing/log_store_fixture.h"
#include "hub/session/testing/agent_session_fixture.h"

namespace muster::hub {
namespace {

using agent::v1::LANE_EVENTS;
using agent::v1::LANE_LOGS;
using agent::v1::SessionRequest;
using agent::v1::SessionResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LogsSessionTest : public AgentSessionTest {
 protected:
  LogsSessionTest() {
    logs_ = *LogStore::Open(dir_.path() + "/logs.db");
    deps_.logs = logs_.get();
  }
  ~LogsSessionTest() override { logs_->store().writer().Stop(); }

  std::shared_ptr<AgentSession> Begin(const std::shared_ptr<FakeSink>& sink, const agent::v1::Hello& hello) {
    auto session = NewSession(sink);
    SendHello(*session, hello);
    return session;
  }
  static SessionRequest Frame(agent::v1::RecordBatch batch) {
    SessionRequest frame;
    *frame.mutable_record_batch() = std::move(batch);
    return frame;
  }
  // One change of a deployment.
  static SessionRequest Event(std::int64_t sequence) {
    agent::v1::RecordBatch batch;
    batch.set_epoch("e1");
    batch.set_lane(LANE_EVENTS);
    batch.set_first_sequence(sequence);
    agent::v1::Record& record = *batch.add_records();
    *record.mutable_observed_at() = ToProto(LogAt(1));
    *record.mutable_transition()->mutable_deployment() =
        TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_RUNNING);
    return Frame(std::move(batch));
  }
  void DrainLogs() {
    EXPECT_TRUE(logs_->store().writer().Run([](sqlite::Database&) { return absl::OkStatus(); }).ok());
  }
  // "logs ack 3", "events BUSY 1".
  static std::vector<std::string> Answers(const FakeSink& sink) {
    std::vector<std::string> answers;
    for (const SessionResponse& frame : sink.frames()) {
      const auto lane = [](agent::v1::Lane which) { return which == LANE_LOGS ? "logs " : "events "; };
      if (frame.has_batch_ack()) {
        answers.push_back(lane(frame.batch_ack().lane()) + ("ack " + std::to_string(frame.batch_ack().sequence())));
      }
      if (!frame.has_batch_refusal()) continue;
      const agent::v1::BatchRefusal& refusal = frame.batch_refusal();
      answers.push_back(lane(refusal.lane()) + agent::v1::BatchRefusalReason_Name(refusal.reason()).substr(21) + " " +
                        std::to_string(refusal.first_sequence()));
    }
    return answers;
  }
  // Keeps the log writer inside a transaction until the gate opens.
  void CloseGate() {
    std::promise<void> entered;
    logs_->store().writer().Submit(
        [this, &entered](sqlite::Database&) {
          entered.set_value();
          gate_.get_future().wait();
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    entered.get_future().wait();
  }

  std::promise<void> gate_;
  std::shared_ptr<FakeSink> sink_ = std::make_shared<FakeSink>();
  std::unique_ptr<LogStore> logs_;
};

TEST_F(LogsSessionTest, LinesAreStoredAndAcknowledged) {
  auto session = Begin(sink_, TestHello("tgt_1", "mst_one"));
  session->OnFrame(Frame(LogBatch(1, NumberedLines(1, 3))));
  session->OnFrame(Frame(LogBatch(7, NumberedLines(7, 1))));
  DrainLogs();
  EXPECT_THAT(Answers(*sink_), ElementsAre("logs ack 3", "logs OUT_OF_ORDER 7"));
  EXPECT_EQ(logs_->tail().totals().rows, 1u);
}

TEST_F(LogsSessionTest, AHangingLogWriterDelaysNoEvent) {
  auto session = Begin(sink_, TestHello("tgt_1", "mst_one"));
  CloseGate();
  for (int i = 1; i <= BatchWindow::kMaxBatches; ++i) session->OnFrame(Frame(LogBatch(i, NumberedLines(i, 1))));
  session->OnFrame(Frame(LogBatch(9, NumberedLines(9, 1))));  // BUSY, behind the others
  session->OnFrame(Event(1));
  DrainWriter();
  EXPECT_THAT(Answers(*sink_), ElementsAre("events ack 1"));
  gate_.set_value();
  DrainLogs();
  EXPECT_THAT(Answers(*sink_), ElementsAre("events ack 1", "logs ack 1", "logs ack 2", "logs ack 3", "logs ack 4",
                                           "logs ack 5", "logs ack 6", "logs ack 7", "logs ack 8", "logs BUSY 9"));
}

TEST_F(LogsSessionTest, RotationStopsLinesInTheQueue) {
  auto session = Begin(sink_, TestHello("tgt_1", "mst_one"));
  CloseGate();
  session->OnFrame(Frame(LogBatch(1, NumberedLines(1, 3))));
  fleet_->Rotate("tgt_1", HashSecret("mst_two"), 2, clock_.Read());
  gate_.set_value();
  DrainLogs();
  EXPECT_EQ(logs_->tail().totals().rows, 0u);
  EXPECT_THAT(Answers(*sink_), IsEmpty());
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
}

TEST_F(LogsSessionTest, AFailedLogStoreIsBusyForAWhileAndEventsGoOn) {
  auto session = Begin(sink_, TestHello("tgt_1", "mst_one"));
  ASSERT_FALSE(logs_->store().writer().Run([](sqlite::Database&) { return absl::DataLossError("fsync failed"); }).ok());
  session->OnFrame(Frame(LogBatch(1, NumberedLines(1, 3))));
  session->OnFrame(Event(1));
  DrainWriter();
  EXPECT_THAT(Answers(*sink_), ElementsAre("logs BUSY 1", "events ack 1"));
  for (const SessionResponse& frame : sink_->frames()) {
    if (!frame.has_batch_refusal()) continue;
    EXPECT_EQ(frame.batch_refusal().retry_after().seconds(), 15);
  }
}

TEST_F(LogsSessionTest, WelcomeTellsThePositionsOfBothLanes) {
  {
    auto session = Begin(sink_, TestHello("tgt_1", "mst_one"));
    session->OnFrame(Frame(LogBatch(1, NumberedLines(1, 3))));
    session->OnFrame(Event(1));
    DrainWriter();
    DrainLogs();
  }
  agent::v1::Hello hello = TestHello("tgt_1", "mst_one");
  hello.set_session_counter(2);
  for (const agent::v1::Lane lane : {LANE_EVENTS, LANE_LOGS}) {
    agent::v1::LanePosition& position = *hello.add_journal_positions();
    position.set_epoch("e1");
    position.set_lane(lane);
    position.set_sequence(9);
  }
  auto later = std::make_shared<FakeSink>();
  auto session = Begin(later, hello);
  const auto frames = later->frames();
  ASSERT_FALSE(frames.empty());
  std::vector<std::string> applied;
  for (const agent::v1::LanePosition& position : frames.front().welcome().applied()) {
    applied.push_back(agent::v1::Lane_Name(position.lane()) + " " + std::to_string(position.sequence()));
  }
  EXPECT_THAT(applied, ElementsAre("LANE_EVENTS 1", "LANE_LOGS 3"));
}

}  // namespace
}  // namespace muster::hub
