#include "hub/logs/log_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

agent::v1::LanePosition Asked(const std::string& epoch, agent::v1::Lane lane) {
  agent::v1::LanePosition position;
  position.set_epoch(epoch);
  position.set_lane(lane);
  return position;
}

TEST_F(LogStoreTest, OpenedAgainItHasTheSameTailAndGoesOnCounting) {
  Apply(LogBatch(1, {LinesRecord(1, {"a", "b"}, "web-1"), LinesRecord(2, {"c"}, "db-1")}));
  Apply(LogBatch(3, {LinesRecord(3, {"d"}, "web-1")}));
  const auto lines = Lines();
  const auto totals = logs_->tail().totals();
  const auto rows = logs_->tail().RowsOf(1);
  ASSERT_EQ(rows.size(), 2u);
  Open();
  EXPECT_EQ(Lines(), lines);
  EXPECT_EQ(logs_->tail().totals(), totals);
  EXPECT_EQ(logs_->tail().RowsOf(1), rows);
  Apply(LogBatch(4, {LinesRecord(4, {"e"})}));
  EXPECT_EQ(Lines().back(), "5 4 web-1 e");
}

TEST_F(LogStoreTest, TellsThePositionsOfItsOwnLane) {
  Apply(LogBatch(1, NumberedLines(1, 3)));
  const auto positions = logs_->Positions(
      "tgt_1",
      {Asked("e1", agent::v1::LANE_EVENTS), Asked("e1", agent::v1::LANE_LOGS), Asked("e2", agent::v1::LANE_LOGS)});
  ASSERT_TRUE(positions.ok());
  ASSERT_EQ(positions->size(), 1u);
  EXPECT_EQ(positions->front().lane(), agent::v1::LANE_LOGS);
  EXPECT_EQ(positions->front().sequence(), 3);
}

TEST_F(LogStoreTest, WhatMayNotBeStoredIsNot) {
  const Answer answer = TryApply(LogBatch(1, NumberedLines(1, 3)), absl::FailedPreconditionError("rotated"));
  EXPECT_EQ(answer.stored.message(), "rotated");
  EXPECT_THAT(Lines(), IsEmpty());
  EXPECT_EQ(logs_->tail().totals().rows, 0u);
}

TEST_F(LogStoreTest, ABatchThatFailsLeavesNothingInTheIndex) {
  Apply(LogBatch(1, NumberedLines(1, 1)));
  ASSERT_TRUE(logs_->store()
                  .writer()
                  .Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=1"); })
                  .ok());
  std::vector<agent::v1::Record> records;
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    std::string text(16'000, 'x');
    for (char& byte : text) byte = static_cast<char>('!' + random() % 90);
    records.push_back(LinesRecord(1, {text}));
  }
  EXPECT_EQ(ReasonOf(TryApply(LogBatch(2, records)).stored), "DISK_FULL");
  EXPECT_EQ(logs_->tail().totals().rows, 1u);
  ASSERT_TRUE(logs_->store()
                  .writer()
                  .Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=100000"); })
                  .ok());
  EXPECT_EQ(Apply(LogBatch(2, records)).applied, 20);
  EXPECT_EQ(Lines().size(), 21u);
}

TEST_F(LogStoreTest, ADamagedFileIsSetAsideAndANewOneBegins) {
  Apply(LogBatch(1, NumberedLines(1, 3)));
  logs_.reset();
  std::ofstream(path(), std::ios::binary | std::ios::trunc) << "this is no database, it only has its name\n";
  Open();
  EXPECT_THAT(Lines(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(path() + ".damaged"));
  EXPECT_EQ(Apply(LogBatch(1, NumberedLines(1, 1))).applied, 1) << "agents send again what they hold";
}

TEST_F(LogStoreTest, AFileOfANewerHubIsRefused) {
  logs_.reset();
  {
    const auto database = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
    ASSERT_TRUE((*database)->Execute("PRAGMA user_version=99").ok());
  }
  EXPECT_EQ(ReasonOf(LogStore::Open(path()).status()), "DATABASE_TOO_NEW");
  EXPECT_FALSE(std::filesystem::exists(path() + ".damaged"));
}

TEST(TailIndex, ForgetsWhatBecameChunks) {
  TailIndex index;
  const auto row = [](std::int64_t line, std::int64_t source) {
    TailRow made;
    made.first_line = line;
    made.source = source;
    made.bytes = 10;
    return made;
  };
  index.Add({row(1, 1), row(5, 2), row(9, 1)});
  index.RemoveBefore(1, 9);
  index.RemoveBefore(3, 9);
  EXPECT_THAT(index.RowsOf(1), ElementsAre(row(9, 1)));
  EXPECT_EQ(index.totals(), (TailIndex::Totals{.rows = 2, .bytes = 20}));
  index.RemoveBefore(1, 10);
  EXPECT_THAT(index.RowsOf(1), IsEmpty());
}

}  // namespace
}  // namespace muster::hub
