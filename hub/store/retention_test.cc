#include "hub/store/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/status.h"
#include "hub/store/journal_writes.h"
#include "hub/store/store.h"
#include "hub/store/testing/test_database.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

absl::Time At(std::int64_t second) { return kTestEpoch + absl::Seconds(second); }

class HistoryTrimTest : public ::testing::Test {
 protected:
  HistoryTrimTest() { EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok()); }

  void Transit(int second) {
    const auto state = second % 2 == 0 ? types::v1::TARGET_STATE_STALE : types::v1::TARGET_STATE_CONNECTED;
    EXPECT_TRUE(RecordTargetTransition(
                    *database_, {.target_id = "tgt_1", .state = state, .at = At(second), .reason = "", .last_seen = {}})
                    .ok());
  }
  void Change(const std::string& name, int second) {
    auto change = NewTransition("tgt_1", name, DEPLOYMENT_STATUS_RUNNING, At(second));
    change.change->fact.revision = std::to_string(second);
    EXPECT_TRUE(RecordDeploymentTransition(*database_, change).ok());
  }
  // Steps that the pass took.
  int Trim(absl::Time cutoff) {
    HistoryTrim trim(cutoff);
    int steps = 0;
    bool more = true;
    while (more) {
      const auto step = trim.Step(*database_);
      EXPECT_TRUE(step.ok()) << step.status();
      more = step.value_or(false);
      ++steps;
    }
    deleted_ = trim.deleted();
    return steps;
  }

  TestDatabase database_;
  std::int64_t deleted_ = 0;
};

TEST_F(HistoryTrimTest, ForgetsWhatEndedBeforeAndKeepsWhatHeldThen) {
  for (const int second : {10, 21, 30, 41}) Transit(second);
  for (const int second : {10, 20, 30, 40}) Change("shop", second);
  Change("old", 5);
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(1), .reason = ""}).ok());
  ASSERT_TRUE(EndSilence(*database_, "tgt_1", At(9)).ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(12), .reason = ""}).ok());
  ASSERT_TRUE(BeginRun(*database_, At(0)).ok());
  ASSERT_TRUE(EndRun(*database_, At(0), At(20)).ok());
  ASSERT_TRUE(BeginRun(*database_, At(22)).ok());
  Trim(At(35));
  EXPECT_THAT(database_.Rows("SELECT (from_us-1800000000000000)/1000000 FROM target_intervals"),
              ElementsAre("30", "41"));
  EXPECT_THAT(database_.Rows("SELECT revision FROM deployment_changes ORDER BY at_us"), ElementsAre("5", "30", "40"))
      << "the last change of a deployment stays";
  EXPECT_THAT(database_.Rows("SELECT (from_us-1800000000000000)/1000000 FROM silences"), ElementsAre("12"))
      << "it goes on";
  EXPECT_THAT(database_.Rows("SELECT (started_us-1800000000000000)/1000000 FROM hub_runs"), IsEmpty());
}

TEST_F(HistoryTrimTest, KeepsTheRunThatGoesOn) {
  ASSERT_TRUE(BeginRun(*database_, At(0)).ok());
  ASSERT_TRUE(TouchRun(*database_, At(0), At(100)).ok());
  Trim(At(35));
  EXPECT_EQ(database_.Number("SELECT count(*) FROM hub_runs"), 1);
}

TEST_F(HistoryTrimTest, ForgetsWhatJournalsLeft) {
  agent::v1::RecordBatch batch;
  batch.set_epoch("e1");
  batch.set_lane(agent::v1::LANE_EVENTS);
  batch.set_first_sequence(1);
  batch.add_records();
  agent::v1::Record* gap = batch.add_records();
  gap->mutable_gap()->set_first_sequence(2);
  gap->mutable_gap()->set_last_sequence(3);
  agent::v1::Record* presence = batch.add_records();
  presence->mutable_observed_at()->set_seconds(absl::ToUnixSeconds(At(10)));
  presence->mutable_presence()->mutable_from()->set_seconds(absl::ToUnixSeconds(At(5)));
  presence->mutable_presence()->mutable_to()->set_seconds(absl::ToUnixSeconds(At(10)));
  ASSERT_TRUE(ApplyBatch(*database_,
                         {.target_id = "tgt_1", .secret_generation = 1, .run = {}, .arrived = At(20), .skew = {}},
                         batch)
                  .ok());
  const auto left = [&] {
    return database_.Number(
        "SELECT (SELECT count(*) FROM presence)+(SELECT count(*) FROM journal_gaps)"
        "+(SELECT count(*) FROM poisoned_records)+(SELECT count(*) FROM journal_positions)"
        "+(SELECT count(*) FROM agent_runs)");
  };
  Trim(At(9));
  EXPECT_EQ(left(), 5);
  Trim(At(20));
  EXPECT_EQ(left(), 2) << "position and run are asked for as long as there is a target";
  EXPECT_EQ(deleted_, 3);
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(30)).ok());
  Trim(At(30));
  EXPECT_EQ(left(), 0);
}

TEST_F(HistoryTrimTest, ForgetsDeploymentsThatWereArchivedLongAgo) {
  for (const char* name : {"job", "shop"}) {
    ASSERT_TRUE(RecordDeploymentTransition(*database_,
                                           NewTransition("tgt_1", name, types::v1::DEPLOYMENT_STATUS_RUNNING, At(10)))
                    .ok());
  }
  ASSERT_TRUE(ArchiveDeployment(*database_, DerivedId("dep_", "tgt_1", "compose/job"), At(20)).ok());
  Trim(At(19));
  EXPECT_EQ(database_.Number("SELECT count(*) FROM deployments"), 2);
  Trim(At(20));
  EXPECT_EQ(database_.Number("SELECT count(*) FROM deployments"), 1) << "only the one that is there";
  EXPECT_EQ(database_.Number("SELECT count(*) FROM deployment_changes"), 1);
}

TEST_F(HistoryTrimTest, TakesAThousandRowsAStep) {
  for (int second = 1; second <= 2500; ++second) Transit(second);
  for (int second = 1; second <= 1200; ++second) Change("shop", second);
  HistoryTrim trim(At(10'000));
  bool more = true;
  while (more) {
    const std::int64_t before = trim.deleted();
    more = trim.Step(*database_).value_or(false);
    EXPECT_LE(trim.deleted() - before, HistoryTrim::kMaxRows);
  }
  EXPECT_EQ(database_.Number("SELECT count(*) FROM target_intervals"), 1);
  EXPECT_EQ(database_.Number("SELECT count(*) FROM deployment_changes"), 1);
}

TEST_F(HistoryTrimTest, LooksAtManyInSeveralSteps) {
  for (int i = 0; i < 3 * HistoryTrim::kMaxLooks; ++i) Change("d" + std::to_string(i), 1);
  EXPECT_GE(Trim(At(100)), 3);
  EXPECT_EQ(deleted_, 0);
}

TEST(Retention, RunsThroughTheWriter) {
  TempDir dir;
  auto store = *Store::Open(dir.path() + "/hub.db");
  Retention retention(&store->writer(), absl::Seconds(100));
  ASSERT_TRUE(store->writer()
                  .Run([](sqlite::Database& database) -> absl::Status {
                    RETURN_IF_ERROR(InsertTarget(database, NewTarget("tgt_1", "one")));
                    for (int i = 1; i <= 3000; ++i) {
                      RETURN_IF_ERROR(BeginSilence(database, "tgt_1", {.from = At(i), .reason = ""}));
                      RETURN_IF_ERROR(EndSilence(database, "tgt_1", At(i) + absl::Milliseconds(1)));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  retention.Start(At(100'000));
  retention.Start(At(100'000));
  std::int64_t left = 1;
  for (int step = 0; step < 100 && left > 0; ++step) {
    // Behind every step comes this.
    ASSERT_TRUE(store->writer()
                    .Run([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT count(*) FROM silences"));
                      RETURN_IF_ERROR(s.Step().status());
                      left = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_EQ(left, 0);
  store->writer().Stop();
}

}  // namespace
}  // namespace muster::hub
