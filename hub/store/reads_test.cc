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

using ::testing::IsEmpty;

absl::Time At(std::int64_t second) { return kTestEpoch + absl::Seconds(second); }

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
