#include "hub/store/reads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "hub/store/testing/test_database.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Time At(std::int64_t second) { return kTestEpoch + absl::Seconds(second); }

absl::Status Transit(sqlite::Database& database, types::v1::TargetState state, absl::Time at) {
  return RecordTargetTransition(
      database, {.target_id = "tgt_1", .state = state, .at = at, .reason = "a reason", .last_seen = {}});
}

// Ten intervals of the target, each 10 s long: [0,10) ... [80,90) and [90, ...), and the same of a deployment.
class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() {
    EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_1", "one")).ok());
    auto shop = NewTransition("tgt_1", "shop", types::v1::DEPLOYMENT_STATUS_RUNNING, At(0));
    shop.deployment.open.revision = "r0";
    deployment_ = shop.deployment.id;
    EXPECT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
    for (int i = 1; i < 10; ++i) {
      const auto state = i % 2 == 1 ? types::v1::TARGET_STATE_CONNECTED : types::v1::TARGET_STATE_STALE;
      EXPECT_TRUE(Transit(*database_, state, At(i * 10)).ok());
      shop.deployment.open.from = At(i * 10);
      shop.deployment.open.revision = "r" + std::to_string(i);
      EXPECT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
    }
  }

  // The numbers of the intervals in the window, of the target and of the deployment alike.
  std::vector<int> Numbers(const HistoryWindow& window) {
    const auto targets = ReadTargetHistory(*database_, "tgt_1", window);
    const auto deployments = ReadDeploymentHistory(*database_, deployment_, window);
    EXPECT_TRUE(targets.ok() && deployments.ok()) << targets.status() << deployments.status();
    std::vector<int> numbers;
    for (const auto& i : *targets) numbers.push_back(static_cast<int>((i.from - kTestEpoch) / absl::Seconds(10)));
    std::vector<int> others;
    for (const auto& i : *deployments) others.push_back(std::stoi(i.revision.substr(1)));
    EXPECT_EQ(numbers, others);
    return numbers;
  }

  TestDatabase database_;
  std::string deployment_;
};

TEST_F(HistoryTest, WithoutLimitsIsWholeAndNewestFirst) {
  EXPECT_THAT(Numbers({}), ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

TEST_F(HistoryTest, WindowTakesWhatOverlapsIt) {
  EXPECT_THAT(Numbers({.from = At(25), .to = At(45)}), ElementsAre(4, 3, 2));
  EXPECT_THAT(Numbers({.from = At(30), .to = At(40)}), ElementsAre(3)) << "half open: ends touch, nothing overlaps";
  EXPECT_THAT(Numbers({.from = At(30), .to = At(40) + absl::Microseconds(1)}), ElementsAre(4, 3));
  EXPECT_THAT(Numbers({.from = At(30) - absl::Microseconds(1), .to = At(40)}), ElementsAre(3, 2));
  EXPECT_THAT(Numbers({.from = At(1000), .to = At(2000)}), ElementsAre(9)) << "the open one goes on";
  EXPECT_THAT(Numbers({.from = At(-100), .to = At(0)}), IsEmpty());
}

TEST_F(HistoryTest, PagesLoseAndRepeatNothing) {
  for (int size = 1; size <= 11; ++size) {
    std::vector<int> all;
    HistoryWindow window{.from = At(15), .to = At(95), .limit = size};
    while (true) {
      const std::vector<int> page = Numbers(window);
      if (page.empty()) break;
      all.insert(all.end(), page.begin(), page.end());
      window.before = At(page.back() * 10);
    }
    EXPECT_THAT(all, ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1)) << size;
  }
}

TEST_F(HistoryTest, OfSomethingUnknownIsEmpty) {
  EXPECT_THAT(*ReadTargetHistory(*database_, "tgt_9", {}), IsEmpty());
  EXPECT_THAT(*ReadDeploymentHistory(*database_, "dep_9", {}), IsEmpty());
}

TEST(ReadFleetAt, ShowsTheFleetAsItWas) {
  TestDatabase database;
  ASSERT_TRUE(InsertTarget(*database, NewTarget("tgt_2", "beta", "ACME", At(100))).ok());
  ASSERT_TRUE(InsertTarget(*database, NewTarget("tgt_1", "alpha", "", At(0))).ok());
  ASSERT_TRUE(Transit(*database, types::v1::TARGET_STATE_CONNECTED, At(50)).ok());
  auto shop = NewTransition("tgt_1", "shop", types::v1::DEPLOYMENT_STATUS_RUNNING, At(60), "up");
  ASSERT_TRUE(RecordDeploymentTransition(*database, shop).ok());
  ASSERT_TRUE(ArchiveDeployment(*database, shop.deployment.id, At(200)).ok());

  const auto at = [&](absl::Time time) {
    auto fleet = ReadFleetAt(*database, time);
    EXPECT_TRUE(fleet.ok()) << fleet.status();
    return *fleet;
  };
  EXPECT_THAT(at(At(-1)).targets, IsEmpty());
  ASSERT_EQ(at(At(0)).targets.size(), 1U);
  EXPECT_EQ(at(At(49)).targets[0].interval.state, types::v1::TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(at(At(50)).targets[0].interval.state, types::v1::TARGET_STATE_CONNECTED) << "an interval has its start";
  EXPECT_EQ(at(At(50)).targets[0].interval.from, At(50));
  EXPECT_THAT(at(At(59)).deployments, IsEmpty());
  const FleetAt later = at(At(150));
  ASSERT_EQ(later.targets.size(), 2U);
  EXPECT_EQ(later.targets[0].target_name, "alpha");
  EXPECT_EQ(later.targets[1].target_name, "beta");
  EXPECT_EQ(later.targets[1].customer, "ACME");
  ASSERT_EQ(later.deployments.size(), 1U);
  EXPECT_EQ(later.deployments[0].name, "shop");
  EXPECT_EQ(later.deployments[0].target_name, "alpha");
  EXPECT_EQ(later.deployments[0].interval.to, At(200));
  EXPECT_THAT(at(At(200)).deployments, IsEmpty()) << "and not its end";
  EXPECT_EQ(at(absl::InfiniteFuture()).targets.size(), 2U);
  EXPECT_THAT(at(absl::InfinitePast()).targets, IsEmpty());
}

TEST(LoadTargets, SkipsDeploymentsOfDeletedTargets) {
  TestDatabase database;
  ASSERT_TRUE(InsertTarget(*database, NewTarget("tgt_1", "one")).ok());
  ASSERT_TRUE(
      RecordDeploymentTransition(*database, NewTransition("tgt_1", "a", types::v1::DEPLOYMENT_STATUS_RUNNING, At(1)))
          .ok());
  ASSERT_TRUE(RotateSecret(*database, "tgt_1", HashSecret("new"), At(2)).ok());
  ASSERT_TRUE(MarkTargetDeleted(*database, "tgt_1", At(3)).ok());
  const auto targets = LoadTargets(*database);
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->size(), 1U);
  EXPECT_TRUE(targets->front().deleted);
  EXPECT_THAT(targets->front().deployments, IsEmpty());
  EXPECT_EQ(targets->front().retired_secrets.size(), 1U) << "its agent is still told apart from a stranger";
}

// Every target that ever was stayed in memory, a kilobyte each.
TEST(LoadTargets, ForgetsTargetsThatWereDeletedLongAgo) {
  TestDatabase database;
  for (const char* id : {"tgt_1", "tgt_2", "tgt_3"}) ASSERT_TRUE(InsertTarget(*database, NewTarget(id, id)).ok());
  ASSERT_TRUE(MarkTargetDeleted(*database, "tgt_1", At(10)).ok());
  ASSERT_TRUE(MarkTargetDeleted(*database, "tgt_2", At(20)).ok());
  const auto targets = LoadTargets(*database, At(15));
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->size(), 2U);
  EXPECT_EQ((*targets)[0].id, "tgt_2");
  EXPECT_EQ((*targets)[1].id, "tgt_3");
}

// ---- audit

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    for (int i = 1; i <= 5; ++i) {
      EXPECT_TRUE(AppendAudit(*database_, {.sequence = 0,
                                           .at = At(i) + absl::Nanoseconds(i * 137),
                                           .actor = "admin",
                                           .action = "target.create",
                                           .subject = "tgt_" + std::to_string(i),
                                           .detail = "name \"x\""})
                      .ok());
    }
  }
  std::int64_t FirstBad() {
    const auto verdict = VerifyAudit(*database_);
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict->first_bad.value_or(0);
  }
  TestDatabase database_;
};

TEST_F(AuditTest, ChainVerifies) {
  const auto verdict = VerifyAudit(*database_);
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->entries, 5);
  EXPECT_FALSE(verdict->first_bad);
  EXPECT_EQ(VerifyAudit(*TestDatabase())->entries, 0);
}

TEST_F(AuditTest, PagesAreNewestFirst) {
  const auto page = ReadAudit(*database_, 4, 2);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 2U);
  EXPECT_EQ((*page)[0].sequence, 3);
  EXPECT_EQ((*page)[0].subject, "tgt_3");
  EXPECT_EQ((*page)[1].sequence, 2);
}

TEST_F(AuditTest, EveryChangedFieldIsNamed) {
  ASSERT_EQ(FirstBad(), 0);
  const std::vector<sqlite::Sql> forgeries = {
      "UPDATE audit SET at_us=at_us+1 WHERE sequence=3",
      "UPDATE audit SET actor='Admin' WHERE sequence=3",
      "UPDATE audit SET action='target.delete' WHERE sequence=3",
      "UPDATE audit SET subject=subject||' ' WHERE sequence=3",
      "UPDATE audit SET detail='' WHERE sequence=3",
      "UPDATE audit SET actor='', action='admin'||action WHERE sequence=3",
      "UPDATE audit SET hash=zeroblob(32) WHERE sequence=3",
      "UPDATE audit SET hash=CAST(substr(hash, 1, 31)||X'00' AS BLOB) WHERE sequence=3",
      "UPDATE audit SET hash=CAST(hash||X'00' AS BLOB) WHERE sequence=3",
      "UPDATE audit SET hash=X'' WHERE sequence=3",
  };
  for (const sqlite::Sql& forgery : forgeries) {
    ASSERT_TRUE(database_->Execute("BEGIN").ok());
    ASSERT_TRUE(database_->Execute(forgery).ok()) << forgery.text();
    EXPECT_EQ(FirstBad(), 3) << forgery.text();
    ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
  }
  EXPECT_EQ(FirstBad(), 0);
}

TEST_F(AuditTest, RemovedAndSwappedEntriesAreNamed) {
  ASSERT_TRUE(database_->Execute("BEGIN; DELETE FROM audit WHERE sequence=2").ok());
  EXPECT_EQ(FirstBad(), 3);
  ASSERT_TRUE(database_->Execute("ROLLBACK; BEGIN; DELETE FROM audit WHERE sequence=1").ok());
  EXPECT_EQ(FirstBad(), 2);
  ASSERT_TRUE(
      database_
          ->Execute("ROLLBACK; BEGIN; UPDATE audit SET sequence=99 WHERE sequence=2;"
                    "UPDATE audit SET sequence=2 WHERE sequence=3; UPDATE audit SET sequence=3 WHERE sequence=99")
          .ok());
  EXPECT_EQ(FirstBad(), 2);
  ASSERT_TRUE(database_->Execute("ROLLBACK").ok());
}

}  // namespace
}  // namespace muster::hub
