#include "hub/store/journal_writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/store/reads.h"
#include "hub/store/testing/apply_batch_fixture.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

using agent::v1::LANE_EVENTS;
using agent::v1::Record;
using agent::v1::RecordBatch;
using ::testing::ElementsAre;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

// ---- positions

TEST_F(ApplyBatchTest, PositionDecidesWhatIsApplied) {
  struct Step {
    RecordBatch batch;
    std::int64_t position;
    std::int64_t applied;
    std::int64_t duplicates;
    std::optional<std::int64_t> expected;
  };
  const struct {
    const char* name;
    std::vector<Step> steps;
    std::int64_t rows;
  } cases[] = {
      {"new", {{Changes(1, 3), 3, 3, 0, {}}}, 3},
      {"in order", {{Changes(1, 3), 3, 3, 0, {}}, {Changes(4, 2), 5, 2, 0, {}}}, 5},
      {"duplicate", {{Changes(1, 3), 3, 3, 0, {}}, {Changes(1, 3), 3, 0, 3, {}}}, 3},
      {"overlap", {{Changes(1, 3), 3, 3, 0, {}}, {Changes(2, 4), 5, 2, 2, {}}}, 5},
      {"inside", {{Changes(1, 5), 5, 5, 0, {}}, {Changes(2, 2), 5, 0, 2, {}}}, 5},
      {"hole at the start", {{Changes(2, 3), 0, 0, 0, 1}}, 0},
      {"hole", {{Changes(1, 3), 3, 3, 0, {}}, {Changes(5, 3), 3, 0, 0, 4}}, 3},
      {"new epoch", {{Changes(1, 3), 3, 3, 0, {}}, {Changes(1, 2, "e2"), 2, 2, 0, {}}}, 4},
      {"gap from the start", {{Batch(1, {Gap(1, 7), Change(8, DEPLOYMENT_STATUS_ERROR)}), 8, 1, 0, {}}}, 1},
      {"gap over what is there",
       {{Changes(1, 3), 3, 3, 0, {}}, {Batch(2, {Gap(2, 9), Change(10, DEPLOYMENT_STATUS_ERROR)}), 10, 1, 0, {}}},
       4},
      {"gap that is there", {{Batch(1, {Gap(1, 7)}), 7, 0, 0, {}}, {Batch(1, {Gap(1, 7)}), 7, 0, 1, {}}}, 0},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    for (const Step& step : c.steps) {
      const BatchOutcome outcome = Apply(step.batch);
      EXPECT_EQ(outcome.position, step.position) << c.name;
      EXPECT_EQ(outcome.applied, step.applied) << c.name;
      EXPECT_EQ(outcome.duplicates, step.duplicates) << c.name;
      EXPECT_EQ(outcome.expected, step.expected) << c.name;
      EXPECT_EQ(Position(step.batch.epoch()), step.position) << c.name;
    }
    EXPECT_EQ(ChangeRows(), c.rows) << c.name;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(ApplyBatchTest, LanesAndTargetsCountForThemselves) {
  ASSERT_TRUE(InsertTarget(*database_, NewTarget("tgt_2", "two")).ok());
  Apply(Changes(1, 3));
  origin_.target_id = "tgt_2";
  EXPECT_EQ(Apply(Changes(1, 2)).applied, 2);
  EXPECT_EQ(Position(), 3);
}

// A hub that was restored from a backup has an older position: the agent sends its tail again.
TEST_F(ApplyBatchTest, RestoredHubTakesTheTailAgain) {
  Apply(Changes(1, 10));
  ASSERT_TRUE(database_
                  ->Execute("UPDATE journal_positions SET sequence=4; DELETE FROM deployment_changes WHERE"
                            " at_us>1800000006000000")
                  .ok());
  const BatchOutcome again = Apply(Changes(5, 6));
  EXPECT_EQ(again.position, 10);
  EXPECT_EQ(again.applied, 6);
  EXPECT_EQ(ChangeRows(), 10) << "what the backup had is not there twice";
}

TEST_F(ApplyBatchTest, GapsSayWhatIsLost) {
  Apply(Changes(1, 3));
  const BatchOutcome outcome = Apply(Batch(2, {Gap(2, 9)}));
  EXPECT_EQ(outcome.gaps, 1);
  EXPECT_THAT(database_.Rows("SELECT target_id, epoch, lane, first_sequence, last_sequence, reason,"
                             " (from_us-1800000000000000)/1000000, (to_us-1800000000000000)/1000000 FROM journal_gaps"),
              ElementsAre("tgt_1|e1|1|4|9|1|2|3"))
      << "without the numbers that the hub has";
}

TEST_F(ApplyBatchTest, GapWithoutTimesLiesBetweenTheRecordBeforeAndNow) {
  Apply(Changes(1, 3));
  Record gap = Gap(4, 9);
  gap.mutable_gap()->clear_from();
  gap.mutable_gap()->clear_to();
  Apply(Batch(4, {gap}));
  EXPECT_THAT(database_.Rows("SELECT (from_us-1800000000000000)/1000000, (to_us-1800000000000000)/1000000"
                             " FROM journal_gaps"),
              ElementsAre("3|1000"));
}

TEST_F(ApplyBatchTest, BatchesThatAreNoneAreFoundOut) {
  EXPECT_EQ(FindBatchDefect(Changes(1, 1)), "");
  EXPECT_NE(FindBatchDefect(Changes(1, 1, "")), "");
  EXPECT_NE(FindBatchDefect(Changes(1, 1, std::string(65, 'e'))), "");
  EXPECT_NE(FindBatchDefect(Changes(0, 1)), "");
  EXPECT_NE(FindBatchDefect(Changes(-1, 1)), "");
  EXPECT_NE(FindBatchDefect(Changes(std::numeric_limits<std::int64_t>::max(), 1)), "");
  EXPECT_NE(FindBatchDefect(Batch(1, {})), "");
  EXPECT_NE(FindBatchDefect(Batch(1, std::vector<Record>(kMaxBatchRecords + 1))), "");
}

// ---- records that can never be stored

TEST_F(ApplyBatchTest, PoisonIsNamedAndHoldsNothingUp) {
  const auto with = [](Record record, const std::function<void(Record&)>& change) {
    change(record);
    return record;
  };
  const Record good = Change(5, DEPLOYMENT_STATUS_RUNNING);
  const auto deployment = [](Record& record) { return record.mutable_transition()->mutable_deployment(); };
  const struct {
    const char* name;
    Record record;
  } cases[] = {
      {"no payload", with(good, [](Record& r) { r.clear_payload(); })},
      {"host sample", with(good, [](Record& r) { r.mutable_host_sample()->set_memory_used_bytes(-1); })},
      {"log lines", with(good, [](Record& r) { r.mutable_log_lines(); })},
      {"no key", with(good, [&](Record& r) { deployment(r)->clear_key(); })},
      {"long key", with(good, [&](Record& r) { deployment(r)->set_key(std::string(kMaxKeyBytes + 1, 'k')); })},
      {"the hub's word", with(good, [&](Record& r) { deployment(r)->set_status(types::v1::DEPLOYMENT_STATUS_STALE); })},
      {"no status", with(good, [&](Record& r) { deployment(r)->clear_status(); })},
      {"newer status",
       with(good, [&](Record& r) { deployment(r)->set_status(static_cast<types::v1::DeploymentStatus>(99)); })},
      {"no time", with(good, [](Record& r) { r.clear_observed_at(); })},
      {"before 1970", with(good, [](Record& r) { r.mutable_observed_at()->set_seconds(-1); })},
      {"after 9999", with(good, [](Record& r) { r.mutable_observed_at()->set_seconds(253'402'300'800); })},
      {"no such nanosecond", with(good, [](Record& r) { r.mutable_observed_at()->set_nanos(1'000'000'000); })},
      {"change before 1970", with(good, [&](Record& r) { deployment(r)->mutable_change_time()->set_seconds(-1); })},
      {"presence without times", with(Presence(1, 2), [](Record& r) { r.mutable_presence()->clear_from(); })},
      {"presence backwards", Presence(2, 1)},
      {"gap elsewhere", Gap(3, 9)},
      {"gap backwards", Gap(2, 1)},
      {"endless gap", Gap(2, std::numeric_limits<std::int64_t>::max())},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    const RecordBatch batch =
        Batch(1, {Change(1, DEPLOYMENT_STATUS_ERROR), c.record, Change(9, DEPLOYMENT_STATUS_HEALTHY)});
    const BatchOutcome outcome = Apply(batch);
    EXPECT_EQ(outcome.applied, 2) << c.name;
    EXPECT_EQ(outcome.position, 3) << c.name;
    ASSERT_EQ(outcome.refused.size(), 1U) << c.name;
    EXPECT_EQ(outcome.refused[0].sequence(), 2) << c.name;
    EXPECT_FALSE(outcome.refused[0].reason().empty()) << c.name;
    EXPECT_EQ(database_.Number("SELECT sequence FROM poisoned_records"), 2) << c.name;
    const BatchOutcome again = Apply(batch);
    EXPECT_EQ(again.duplicates, 3) << c.name;
    ASSERT_EQ(again.refused.size(), 1U) << c.name << ": the answer that was lost";
    EXPECT_EQ(again.refused[0].reason(), outcome.refused[0].reason()) << c.name;
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
}

TEST_F(ApplyBatchTest, PoisonDoesNotGrowWithoutBound) {
  for (int i = 0; i < 3; ++i) {
    origin_.arrived = At(1000 + i);
    const BatchOutcome outcome = Apply(Batch(1 + 900 * i, std::vector<Record>(900)));
    EXPECT_EQ(outcome.refused.size(), 900U);
    EXPECT_EQ(outcome.refused.back().reason(), "") << "an ack must fit into a frame";
  }
  // A batch that came at one time is kept or forgotten as one.
  EXPECT_LE(database_.Number("SELECT count(*) FROM poisoned_records"), kKeptPoisoned + 900);
}

TEST_F(ApplyBatchTest, EpochsDoNotGrowWithoutBound) {
  for (int i = 0; i < kKeptPositions + 50; ++i) {
    origin_.arrived = At(1000 + i);
    Apply(Batch(1, {Presence(1, 2)}, "e" + std::to_string(i)));
  }
  EXPECT_EQ(database_.Number("SELECT count(*) FROM journal_positions"), kKeptPositions);
  EXPECT_EQ(Position("e0"), 0) << "the one that was silent for longest goes";
}

// ---- who may write

TEST_F(ApplyBatchTest, DeletedTargetAndRotatedSecretStoreNothing) {
  Apply(Changes(1, 1));
  const auto reason = [&] { return ReasonOf(ApplyBatch(*database_, origin_, Changes(2, 1)).status()); };
  ASSERT_TRUE(database_->Execute("BEGIN").ok());
  ASSERT_TRUE(RotateSecret(*database_, "tgt_1", HashSecret("new"), At(10)).ok());
  EXPECT_EQ(reason(), "SECRET_ROTATED");
  ASSERT_TRUE(database_->Execute("ROLLBACK; BEGIN").ok());
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(10)).ok());
  EXPECT_EQ(reason(), "TARGET_NOT_FOUND");
  EXPECT_EQ(Position(), 1);
  ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  EXPECT_EQ(reason(), "OK");
}

TEST_F(ApplyBatchTest, ReadPositionsTellsOnlyWhatWasApplied) {
  Apply(Changes(1, 3));
  std::vector<agent::v1::LanePosition> asked(3);
  asked[0].set_epoch("e1");
  asked[0].set_lane(LANE_EVENTS);
  asked[1].set_epoch("e1");
  asked[1].set_lane(agent::v1::LANE_LOGS);
  asked[2].set_epoch("e2");
  asked[2].set_lane(LANE_EVENTS);
  const auto positions = ReadPositions(*database_, "tgt_1", asked);
  ASSERT_TRUE(positions.ok()) << positions.status();
  ASSERT_EQ(positions->size(), 1U);
  EXPECT_EQ(positions->front().epoch(), "e1");
  EXPECT_EQ(positions->front().sequence(), 3);
}

}  // namespace
}  // namespace muster::hub
