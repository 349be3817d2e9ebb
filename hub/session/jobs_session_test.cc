// Reports of jobs in a session: stored, shown, acknowledged, and refused.
#include <gmock/gmock.h>

#include "common/time_format.h"
#include "hub/jobs/testing/job_reports.h"
#include "hub/session/testing/agent_session_fixture.h"

namespace muster::hub {
namespace {

class JobsSessionTest : public AgentSessionTest {
 protected:
  JobsSessionTest() {
    deps_.jobs = &jobs_;
    session_ = NewSession(sink_);
    Hello("mst_one");
  }
  void Hello(const std::string& secret) {
    agent::v1::Hello hello;
    hello.set_protocol_version(1);
    hello.set_target_id("tgt_1");
    hello.set_target_secret(secret);
    hello.set_journal_epoch("e1");
    SendHello(*session_, hello);
  }
  void Send(const agent::v1::JobReport& report) {
    agent::v1::SessionRequest frame;
    *frame.mutable_job_report() = report;
    session_->OnFrame(frame);
  }
  std::vector<agent::v1::JobAck> Acks() const {
    std::vector<agent::v1::JobAck> acks;
    for (const auto& frame : sink_->frames()) {
      if (frame.has_job_ack()) acks.push_back(frame.job_ack());
    }
    return acks;
  }

  JobRegistry jobs_{
      {}, [](const std::string&) { return JobRegistry::Place{.labels = "a=\"b\"", .name = "host-1", .customer = ""}; }};
  std::shared_ptr<FakeSink> sink_ = std::make_shared<FakeSink>();
  std::shared_ptr<AgentSession> session_;
};

TEST_F(JobsSessionTest, AReportIsShownAndAcknowledged) {
  Send(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 7));
  DrainWriter();
  ASSERT_EQ(Acks().size(), 1u);
  EXPECT_EQ(Acks()[0].store_id(), "store-1");
  EXPECT_EQ(Acks()[0].version(), 7);
  ASSERT_EQ(jobs_.List(clock_.Read()).size(), 1u);
  EXPECT_EQ(jobs_.List(clock_.Read())[0].series(), 1);

  // The next session is told what is there.
  sink_ = std::make_shared<FakeSink>();
  session_ = NewSession(sink_);
  Hello("mst_one");
  EXPECT_EQ(sink_->frames().front().welcome().jobs().version(), 7);
  EXPECT_EQ(sink_->frames().front().welcome().jobs().store_id(), "store-1");
}

TEST_F(JobsSessionTest, WhatIsNotShownIsNamedInTheAck) {
  Send(JobReportOf({JobGroupOf("backup", {GaugeFamily("distr_a", 5)})}, 7));
  DrainWriter();
  ASSERT_EQ(Acks().size(), 1u);
  EXPECT_THAT(Acks()[0].refusals(), testing::ElementsAre(testing::HasSubstr("INVALID distr_a")));
}

TEST_F(JobsSessionTest, ASecondReportBeforeTheAckBreaksTheContract) {
  // The writer is held up.
  Mutex mutex;
  {
    MutexLock hold(&mutex);
    store_->writer().Submit(
        [&](sqlite::Database&) {
          MutexLock lock(&mutex);
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    Send(JobReportOf({JobGroupOf("backup", {})}, 7));
    Send(JobReportOf({JobGroupOf("backup", {})}, 8));
  }
  DrainWriter();
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
}

TEST_F(JobsSessionTest, AReportWithADefectBreaksTheContract) {
  Send(JobReportOf({JobGroupOf("a b", {})}, 7));
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
}

TEST_F(JobsSessionTest, AReportUnderAnOldSecretIsNotStored) {
  const StoredTarget rotated = TestTarget("tgt_1", "host-1", "mst_two");
  ASSERT_TRUE(store_->writer()
                  .Run([&](sqlite::Database& database) {
                    return RotateSecret(database, "tgt_1", rotated.secret_hash, clock_.Now()).status();
                  })
                  .ok());
  Send(JobReportOf({JobGroupOf("backup", {})}, 7));
  DrainWriter();
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_TRUE(jobs_.List(clock_.Read()).empty());
}

// The agent takes no ack for more than it has sent, and would wait for one for ever.
TEST_F(JobsSessionTest, WhileNothingCanBeStoredARolledBackDiskIsToldThatNothingIsThere) {
  Send(JobReportOf({JobGroupOf("backup", {})}, 7));
  DrainWriter();
  store_->writer().Stop();
  Send(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 4));
  ASSERT_EQ(Acks().size(), 2u);
  EXPECT_EQ(Acks()[1].version(), 0);
}

TEST_F(JobsSessionTest, MoreReportsThanAnAgentSendsBreakTheContract) {
  for (int i = 1; i <= AgentSession::kMaxJobReportsPerWindow; ++i) {
    Send(JobReportOf({JobGroupOf("backup", {})}, i));
    DrainWriter();
  }
  EXPECT_FALSE(sink_->finished());
  Send(JobReportOf({JobGroupOf("backup", {})}, 100));
  EXPECT_EQ(FarewellOf(*sink_), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
}

TEST_F(JobsSessionTest, AReportBeforeTheGoodbyeCounts) {
  Send(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 7));
  agent::v1::SessionRequest goodbye;
  goodbye.mutable_goodbye();
  session_->OnFrame(goodbye);
  DrainWriter();
  EXPECT_EQ(jobs_.List(clock_.Read()).size(), 1u);
}

TEST_F(JobsSessionTest, AReportThatComesBehindTheNextSessionIsNotStored) {
  // It opens while the report is on its way to the writer.
  ASSERT_TRUE(store_->writer()
                  .Run([&](sqlite::Database& database) {
                    return database.Execute("UPDATE targets SET session_counter=session_counter+1");
                  })
                  .ok());
  Send(JobReportOf({JobGroupOf("backup", {})}, 7));
  DrainWriter();
  EXPECT_TRUE(jobs_.List(clock_.Read()).empty());
}

TEST_F(JobsSessionTest, WhileNothingCanBeStoredTheAckSaysWhatThereIs) {
  Send(JobReportOf({JobGroupOf("backup", {})}, 7));
  DrainWriter();
  store_->writer().Stop();
  Send(JobReportOf({JobGroupOf("backup", {CounterFamily("a_total", 5)})}, 9));
  ASSERT_EQ(Acks().size(), 2u);
  EXPECT_EQ(Acks()[1].version(), 7);
}

}  // namespace
}  // namespace muster::hub
