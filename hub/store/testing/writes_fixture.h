// A database with one target, tgt_1, and looks at its history. For tests.
#ifndef MUSTER_HUB_STORE_TESTING_WRITES_FIXTURE_H_
#define MUSTER_HUB_STORE_TESTING_WRITES_FIXTURE_H_

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "hub/store/reads.h"
#include "hub/store/testing/test_database.h"
#include "hub/store/writes.h"

namespace muster::hub {

inline absl::Time At(std::int64_t second) { return kTestEpoch + absl::Seconds(second); }

class WritesTest : public ::testing::Test {
 protected:
  WritesTest() { EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok()); }

  // "from-to state reason", in seconds since the tests' zero, "..." for what goes on.
  std::vector<std::string> TargetHistory() {
    return database_.Rows(
        "SELECT ((from_us-1800000000000000)/1000000) || '-' ||"
        " coalesce((to_us-1800000000000000)/1000000, '...') || ' ' || state || ' ' || reason"
        " FROM target_intervals ORDER BY from_us");
  }
  // "second status".
  std::vector<std::string> DeploymentHistory() {
    return database_.Rows(
        "SELECT ((at_us-1800000000000000)/1000000) || ' ' || status FROM deployment_changes"
        " ORDER BY at_us, run_us, agent_us");
  }
  std::vector<std::string> Silences() {
    return database_.Rows(
        "SELECT ((from_us-1800000000000000)/1000000) || '-' ||"
        " coalesce((to_us-1800000000000000)/1000000, '...') || ' ' || reason FROM silences"
        " ORDER BY from_us");
  }
  absl::Status Transit(types::v1::TargetState state, absl::Time at, const std::string& reason = "",
                       std::optional<absl::Time> last_seen = {}) {
    return RecordTargetTransition(
        *database_, {.target_id = "tgt_1", .state = state, .at = at, .reason = reason, .last_seen = last_seen});
  }
  absl::Status OpenSession(std::int64_t generation, std::int64_t counter, absl::Time at) {
    return RecordSessionOpening(*database_, {.target_id = "tgt_1",
                                             .secret_generation = generation,
                                             .session_counter = counter,
                                             .identity_warning = "",
                                             .agent_version = "0.1.0",
                                             .machine = {},
                                             .epochs = {},
                                             .at = at})
        .status();
  }
  StoredTarget Load() {
    auto targets = LoadTargets(*database_);
    EXPECT_TRUE(targets.ok()) << targets.status();
    EXPECT_EQ(targets->size(), 1U);
    return targets->front();
  }

  TestDatabase database_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_TESTING_WRITES_FIXTURE_H_
