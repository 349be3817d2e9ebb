// Batches of records as an agent sends them, and a database that applies them and shows what came of it. For tests.
#ifndef MUSTER_HUB_STORE_TESTING_APPLY_BATCH_FIXTURE_H_
#define MUSTER_HUB_STORE_TESTING_APPLY_BATCH_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/store/agent_runs.h"
#include "hub/store/journal_writes.h"
#include "hub/store/reads.h"
#include "hub/store/testing/test_database.h"
#include "hub/store/writes.h"

namespace muster::hub {

inline absl::Time At(double second) { return kTestEpoch + absl::Seconds(second); }

// The shop came into this status at `second`, by the agent's clock.
inline agent::v1::Record Change(double second, types::v1::DeploymentStatus status,
                                const std::string& key = "compose/shop") {
  agent::v1::Record record;
  *record.mutable_observed_at() = ToProto(At(second));
  agent::v1::DeploymentState* state = record.mutable_transition()->mutable_deployment();
  state->set_key(key);
  state->set_name(key.substr(key.find('/') + 1));
  state->set_status(status);
  state->set_application_version("1.0");
  state->set_revision("r1");
  *state->mutable_change_time() = ToProto(At(second));
  return record;
}

inline agent::v1::Record Removed(double second) {
  agent::v1::Record record = Change(second, types::v1::DEPLOYMENT_STATUS_UNSPECIFIED);
  record.mutable_transition()->set_removed(true);
  return record;
}

inline agent::v1::Record Presence(double from, double to, bool observed = true) {
  agent::v1::Record record;
  *record.mutable_observed_at() = ToProto(At(to));
  *record.mutable_presence()->mutable_from() = ToProto(At(from));
  *record.mutable_presence()->mutable_to() = ToProto(At(to));
  record.mutable_presence()->set_deployments_observed(observed);
  return record;
}

inline agent::v1::Record Gap(std::int64_t first, std::int64_t last) {
  agent::v1::Record record;
  *record.mutable_observed_at() = ToProto(At(1));
  record.mutable_gap()->set_first_sequence(first);
  record.mutable_gap()->set_last_sequence(last);
  record.mutable_gap()->set_reason(agent::v1::GAP_REASON_JOURNAL_FULL);
  *record.mutable_gap()->mutable_from() = ToProto(At(2));
  *record.mutable_gap()->mutable_to() = ToProto(At(3));
  return record;
}

inline agent::v1::RecordBatch Batch(std::int64_t first, const std::vector<agent::v1::Record>& records,
                                    const std::string& epoch = "e1") {
  agent::v1::RecordBatch batch;
  batch.set_epoch(epoch);
  batch.set_lane(agent::v1::LANE_EVENTS);
  batch.set_first_sequence(first);
  for (const agent::v1::Record& record : records) *batch.add_records() = record;
  return batch;
}

// `count` changes, one a second, numbered from `first`.
inline agent::v1::RecordBatch Changes(std::int64_t first, int count, const std::string& epoch = "e1") {
  std::vector<agent::v1::Record> records;
  for (int i = 0; i < count; ++i) {
    const auto second = static_cast<double>(first + i);
    records.push_back(Change(
        second, (first + i) % 2 == 0 ? types::v1::DEPLOYMENT_STATUS_RUNNING : types::v1::DEPLOYMENT_STATUS_ERROR));
  }
  return Batch(first, records, epoch);
}

class ApplyBatchTest : public ::testing::Test {
 protected:
  ApplyBatchTest() {
    EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok());
    origin_.target_id = "tgt_1";
    origin_.run = Run("e1", 0);
    origin_.arrived = At(1000);
  }
  // The agent's run with this epoch is first heard of.
  absl::Time Run(const std::string& epoch, double second) {
    const auto run = EnsureAgentRuns(*database_, "tgt_1", {epoch}, At(second));
    EXPECT_TRUE(run.ok()) << run.status();
    return run.value_or(absl::InfinitePast());
  }
  BatchOutcome Apply(const agent::v1::RecordBatch& batch) {
    EXPECT_EQ(FindBatchDefect(batch), "");
    auto outcome = ApplyBatch(*database_, origin_, batch);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(BatchOutcome());
  }
  std::int64_t Position(const std::string& epoch = "e1") {
    agent::v1::LanePosition asked;
    asked.set_epoch(epoch);
    asked.set_lane(agent::v1::LANE_EVENTS);
    const auto positions = ReadPositions(*database_, "tgt_1", {asked});
    EXPECT_TRUE(positions.ok()) << positions.status();
    return positions->empty() ? 0 : positions->front().sequence();
  }
  // "second status": the rows of history, in their order.
  std::vector<std::string> History() {
    return database_.Rows(
        "SELECT (at_us-1800000000000000)/1000000.0, status FROM deployment_changes ORDER BY at_us, run_us, agent_us");
  }
  std::int64_t ChangeRows() { return database_.Number("SELECT count(*) FROM deployment_changes"); }
  // from|to|observed, in seconds.
  std::vector<std::string> PresenceRows() {
    return database_.Rows(
        "SELECT (from_us-1800000000000000)/1000000, (to_us-1800000000000000)/1000000, deployments_observed"
        " FROM presence ORDER BY from_us");
  }

  TestDatabase database_;
  BatchOrigin origin_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_TESTING_APPLY_BATCH_FIXTURE_H_
