#include "agent/session/job_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/session/testing/session_logic_fixture.h"

namespace muster::agent {
namespace {

// A store that says what the test wants.
class FakeJobs : public JobSource {
 public:
  std::optional<v1::JobPosition> Position() const override { return position; }
  v1::JobReport Report(std::int64_t version, std::size_t max_bytes, Moment /*now*/) override {
    asked.push_back(version);
    EXPECT_EQ(max_bytes, kMaxJobReportBytes);
    v1::JobReport report;
    report.set_store_id(position->store_id());
    report.set_version(std::min(position->version(), version + step));
    return report;
  }
  void SetListener(std::function<void()> /*changed*/) override {}

  void Set(const std::string& store_id, std::int64_t version) {
    position.emplace().set_store_id(store_id);
    position->set_version(version);
  }

  std::optional<v1::JobPosition> position;
  std::int64_t step = 1000;
  std::vector<std::int64_t> asked;
};

class JobReporterTest : public SessionLogicTest {
 protected:
  JobReporterTest()
      : session_(
            {.target_id = "tgt_1", .secret = Secret("mst_first"), .session_counter = 7},
            {.facts = [] { return v1::Hello(); }, .use = [] { return OwnUse(); }, .jobs = &jobs_}, [] { return 0.5; },
            &output_) {}

  // Up to and including the first heartbeat.
  void Begin(const std::string& store_id, std::int64_t version) {
    session_.Start(Now());
    session_.OnSent(Now());
    session_.OnPresent(PresentWith("compose/shop"), Now());
    v1::SessionResponse frame;
    if (!store_id.empty()) frame.mutable_welcome()->mutable_jobs()->set_store_id(store_id);
    if (!store_id.empty()) frame.mutable_welcome()->mutable_jobs()->set_version(version);
    frame.mutable_welcome();
    session_.OnFrame(frame, Now());
    ASSERT_TRUE(Last().has_heartbeat()) << "first of all";
    session_.OnSent(Now());
  }
  void AckJobs(const std::string& store_id, std::int64_t version) {
    v1::SessionResponse frame;
    frame.mutable_job_ack()->set_store_id(store_id);
    frame.mutable_job_ack()->set_version(version);
    session_.OnFrame(frame, Now());
  }
  void Tick() {
    session_.OnTimer(Now());
    session_.OnSent(Now());
  }
  int Reports() const {
    return static_cast<int>(std::count_if(output_.sent.begin(), output_.sent.end(),
                                          [](const v1::SessionRequest& frame) { return frame.has_job_report(); }));
  }

  FakeJobs jobs_;
  SessionLogic session_;
};

TEST_F(JobReporterTest, GoesOnBehindWhatTheHubHas) {
  jobs_.Set("s", 9);
  Begin("s", 5);
  EXPECT_EQ(jobs_.asked, std::vector<std::int64_t>{5});
  EXPECT_EQ(Last().job_report().version(), 9);
}

TEST_F(JobReporterTest, SendsNothingToAHubThatHasAll) {
  jobs_.Set("s", 9);
  Begin("s", 9);
  EXPECT_EQ(Reports(), 0);
  jobs_.Set("s", 10);
  session_.OnJobsChanged(Now());
  EXPECT_EQ(Last().job_report().version(), 10);
}

TEST_F(JobReporterTest, AStoreThatWasMadeAnewOrRolledBackIsToldWhole) {
  jobs_.Set("new", 3);
  Begin("old", 900);
  EXPECT_EQ(jobs_.asked, std::vector<std::int64_t>{0});
  AckJobs("new", 3);
  session_.OnLinkClosed(absl::OkStatus(), Now());
  clock_.Advance(absl::Minutes(2));
  session_.OnTimer(Now());
  jobs_.asked.clear();
  Begin("new", 8);
  EXPECT_EQ(jobs_.asked, std::vector<std::int64_t>{0});
}

TEST_F(JobReporterTest, HasOneUnderWayAndAtMostOneASecond) {
  jobs_.step = 1;
  jobs_.Set("s", 3);
  Begin("", 0);
  session_.OnSent(Now());
  EXPECT_EQ(Reports(), 1);
  clock_.Advance(absl::Seconds(3));
  session_.OnJobsChanged(Now());
  EXPECT_EQ(Reports(), 1) << "not acknowledged";
  AckJobs("s", 1);
  EXPECT_EQ(Reports(), 2);
  session_.OnSent(Now());
  AckJobs("s", 2);
  EXPECT_EQ(Reports(), 2) << "less than a second";
  clock_.Advance(kMinJobReportGap);
  Tick();
  EXPECT_EQ(Reports(), 3);
  EXPECT_THAT(jobs_.asked, testing::ElementsAre(0, 1, 2));
}

TEST_F(JobReporterTest, AnAckThatWasLostIsMadeUpByTheNextWelcome) {
  jobs_.Set("s", 3);
  Begin("s", 0);
  session_.OnLinkClosed(absl::OkStatus(), Now());
  clock_.Advance(absl::Minutes(2));
  session_.OnTimer(Now());
  Begin("s", 0);
  EXPECT_THAT(jobs_.asked, testing::ElementsAre(0, 0));
}

TEST_F(JobReporterTest, IgnoresAcksOfWhatIsNotUnderWay) {
  jobs_.Set("s", 3);
  Begin("s", 0);
  session_.OnSent(Now());
  AckJobs("other", 3);
  AckJobs("s", 4);
  clock_.Advance(absl::Seconds(2));
  session_.OnJobsChanged(Now());
  EXPECT_EQ(Reports(), 1);
  AckJobs("s", 3);
  AckJobs("s", 3);
  clock_.Advance(absl::Seconds(2));
  session_.OnJobsChanged(Now());
  EXPECT_EQ(Reports(), 1);
}

TEST_F(JobReporterTest, AStoreThatIsReplacedWithinTheSessionIsToldWhole) {
  jobs_.Set("s", 3);
  Begin("s", 0);
  session_.OnSent(Now());
  jobs_.Set("other", 1);
  clock_.Advance(absl::Seconds(2));
  session_.OnJobsChanged(Now());
  EXPECT_THAT(jobs_.asked, testing::ElementsAre(0, 0));
  EXPECT_EQ(Last().job_report().store_id(), "other");
}

}  // namespace
}  // namespace muster::agent
