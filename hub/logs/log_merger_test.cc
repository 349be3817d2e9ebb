#include "hub/logs/log_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "hub/logs/testing/damage.h"
#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class LogMergerTest : public LogStoreTest {
 protected:
  LogMergerTest() {
    options_.observer.damaged = [this] { ++damaged_; };
    options_.observer.merged = [this](std::int64_t bytes) { merged_bytes_ += bytes; };
    Reopen();
  }
  void Close() {
    merger_.reset();
    logs_.reset();
  }
  void Reopen() {
    Close();
    Open();
    auto merger = LogMerger::Open(logs_.get());
    ASSERT_TRUE(merger.ok()) << merger.status();
    merger_ = *std::move(merger);
  }
  // A turn some time after the batches came.
  absl::Status TurnAfter(absl::Duration later, int merges = 1'000'000) {
    return merger_->Turn(origin_.arrived + later, [&] { return --merges > 0; });
  }
  std::int64_t Chunks() { return Number("SELECT count(*) FROM log_chunks"); }
  // A row that has pages of its own, as the second of three.
  void ApplyThreeRows(const std::string& marked) {
    Apply(LogBatch(1, {LinesRecord(1, {"one"})}));
    Apply(LogBatch(2, {LinesRecord(2, {NoiseLine(random_, 16'000)})}));
    Apply(LogBatch(3, {LinesRecord(3, {"three"})}));
    ASSERT_TRUE(logs_->store()
                    .writer()
                    .Run([&](sqlite::Database& database) {
                      return RunBound(database, "UPDATE log_tail SET text=? WHERE first_line=2",
                                      [&](sqlite::Statement& s) { s.BindBlob(1, marked.data(), marked.size()); });
                    })
                    .ok());
  }

  std::mt19937 random_{5};
  std::unique_ptr<LogMerger> merger_;
  int damaged_ = 0;
  std::int64_t merged_bytes_ = 0;
};

TEST_F(LogMergerTest, MergesWhatIsDueAndLeavesTheRest) {
  const std::vector<agent::v1::Record> records(40, LinesRecord(1, {std::string(16'000, 'x')}, "web-1"));
  Apply(LogBatch(1, records));
  Apply(LogBatch(41, {LinesRecord(1, {"small"}, "db-1")}));
  ASSERT_TRUE(TurnAfter(absl::Minutes(1)).ok());
  EXPECT_EQ(Chunks(), 1);
  EXPECT_EQ(logs_->chunks(), 1);
  EXPECT_EQ(logs_->tail().totals().rows, 1u) << "db-1 waits for company";
  EXPECT_EQ(merged_bytes_, 40 * 16'001);
  ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_EQ(Chunks(), 2);
  EXPECT_EQ(logs_->tail().totals().rows, 0u);
  EXPECT_THAT(Lines(), SizeIs(41));
}

TEST_F(LogMergerTest, StopsBehindTheMergeThatIsUnderWay) {
  for (int i = 1; i <= 3; ++i) {
    Apply(LogBatch(i, {LinesRecord(i, {"x"}, "r" + std::to_string(i))}));
  }
  ASSERT_TRUE(TurnAfter(absl::Minutes(10), 1).ok());
  EXPECT_EQ(Chunks(), 1);
  ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_EQ(Chunks(), 3);
}

TEST_F(LogMergerTest, SmallChunksBecomeOne) {
  for (int i = 1; i <= 8; ++i) {
    Apply(LogBatch(i, {LinesRecord(i, {std::to_string(i)})}));
    ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
    origin_.arrived += absl::Minutes(10);
  }
  EXPECT_EQ(Chunks(), 1);
  EXPECT_EQ(logs_->chunks(), 1);
  EXPECT_THAT(Lines(), SizeIs(8));
}

TEST_F(LogMergerTest, TheTailStaysBelowItsBound) {
  auto merger = LogMerger::Open(logs_.get(), 1000);
  ASSERT_TRUE(merger.ok());
  Apply(LogBatch(1, {LinesRecord(1, {std::string(900, 'a')}, "web-1"), LinesRecord(1, {"b"}, "db-1")}));
  ASSERT_TRUE((*merger)->Turn(origin_.arrived, [] { return true; }).ok());
  EXPECT_EQ(Chunks(), 0);
  Apply(LogBatch(3, {LinesRecord(2, {std::string(200, 'c')}, "web-1")}));
  ASSERT_TRUE((*merger)->Turn(origin_.arrived, [] { return true; }).ok());
  EXPECT_EQ(Chunks(), 1) << "the fullest source goes first, then it is enough";
  EXPECT_EQ(logs_->tail().totals().bytes, 2);
}

TEST_F(LogMergerTest, ATailRowThatIsDamagedBecomesAGapAndTheOthersGoOn) {
  ApplyThreeRows("not what was written");
  ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_EQ(damaged_, 1);
  EXPECT_EQ(Number("SELECT first_line FROM log_chunks WHERE damaged=1"), 2);
  EXPECT_EQ(Number("SELECT lines FROM log_chunks WHERE damaged=1"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks WHERE damaged=0"), 2);
  EXPECT_EQ(Number("SELECT count(*) FROM log_tail"), 0);
}

TEST_F(LogMergerTest, ATailRowWhosePagesCannotBeReadStopsNobody) {
  const std::string marked = "needle" + NoiseLine(random_, 16'000);
  ApplyThreeRows(marked);
  Close();
  DamagePage(path(), PageOf(path(), marked.substr(9000, 40)));
  Reopen();
  ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_EQ(damaged_, 1);
  EXPECT_EQ(Number("SELECT first_line FROM log_chunks WHERE damaged=1"), 2);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks WHERE damaged=0"), 2);
  EXPECT_EQ(logs_->tail().totals().rows, 0u);
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
  Apply(LogBatch(4, {LinesRecord(4, {"four"})}));
  // The row is still there, and no line of the tail any more.
  Reopen();
  EXPECT_EQ(logs_->tail().totals().rows, 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM log_tail"), 2);
}

TEST_F(LogMergerTest, ASmallChunkWhosePagesCannotBeReadIsLeftAlone) {
  const std::string marked = "needle" + NoiseLine(random_, 16'000);
  for (int i = 1; i <= 8; ++i) {
    if (i == 8) {
      ASSERT_TRUE(logs_->store()
                      .writer()
                      .Run([&](sqlite::Database& database) {
                        return RunBound(database, "UPDATE log_chunk_data SET text=? WHERE first_line=3",
                                        [&](sqlite::Statement& s) { s.BindBlob(1, marked.data(), marked.size()); });
                      })
                      .ok());
      Close();
      DamagePage(path(), PageOf(path(), marked.substr(9000, 40)));
      Reopen();
    }
    Apply(LogBatch(i, {LinesRecord(i, {std::to_string(i)})}));
    ASSERT_TRUE(TurnAfter(absl::Minutes(10)).ok());
    origin_.arrived += absl::Minutes(10);
  }
  EXPECT_EQ(Chunks(), 7) << "the two before it became one";
  EXPECT_EQ(Number("SELECT sum(lines) FROM log_chunks"), 8);
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
}

TEST_F(LogMergerTest, WhatFailsIsLeftForTheNextTurn) {
  Apply(LogBatch(1, {LinesRecord(1, {"a"})}));
  ForbidMerges(logs_->store(), true);
  EXPECT_FALSE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_EQ(logs_->tail().totals().rows, 1u);
  ForbidMerges(logs_->store(), false);
  EXPECT_TRUE(TurnAfter(absl::Minutes(10)).ok());
  EXPECT_THAT(Lines(), ElementsAre("1 1 web-1 a"));
  EXPECT_EQ(Chunks(), 1);
}

TEST_F(LogMergerTest, WhateverTheTurnsEachLineKeepsItsTimeNumberAndText) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::string epoch = "seed " + std::to_string(seed);
    std::int64_t sequence = 0;
    std::vector<std::string> expected = Lines();
    for (int step = 0; step < 40; ++step) {
      switch (random() % 4) {
        case 0:
        case 1: {
          std::vector<std::string> texts;
          const std::string resource = "r" + std::to_string(random() % 3);
          for (std::size_t i = 0; i <= random() % 20; ++i) texts.push_back(NoiseLine(random, random() % 9000));
          ++sequence;
          Apply(LogBatch(sequence, {LinesRecord(static_cast<double>(sequence), texts, resource)}, epoch));
          for (std::size_t i = 0; i < texts.size(); ++i) {
            expected.push_back(fmt::format("{} {} {} {}", expected.size() + 1,
                                           static_cast<double>(sequence) + static_cast<double>(i), resource, texts[i]));
          }
          break;
        }
        case 2:
          ASSERT_TRUE(TurnAfter(absl::Minutes(random() % 12), static_cast<int>(random() % 4)).ok());
          break;
        default:
          origin_.arrived += absl::Minutes(random() % 20);
          if (random() % 4 == 0) Reopen();
      }
    }
    ASSERT_EQ(Lines(), expected);
  }
  EXPECT_GT(Chunks(), 3);
}

}  // namespace
}  // namespace muster::hub
