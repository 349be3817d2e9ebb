#include "hub/logs/log_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kMinuteUs = 60'000'000;

TEST(PlanMerges, TakesWhatIsFullOldOrTooMuch) {
  const absl::Time now = LogAt(10'000);
  const auto tail = [&](std::int64_t source, std::int64_t bytes, std::int64_t minutes_old, std::size_t rows = 1) {
    return SourceTail{.source = source,
                      .rows = rows,
                      .bytes = bytes,
                      .arrived_us = absl::ToUnixMicros(now) - minutes_old * kMinuteUs};
  };
  const auto planned = [](std::int64_t source, bool takes_all) {
    return PlannedMerge{.source = source, .takes_all = takes_all};
  };
  const struct {
    const char* name;
    std::vector<SourceTail> tails;
    std::vector<PlannedMerge> planned;
  } cases[] = {
      {"nothing", {}, {}},
      {"young and small", {tail(1, kMeantChunkBytes - 1, 9)}, {}},
      {"full", {tail(1, kMeantChunkBytes, 0)}, {planned(1, false)}},
      {"old", {tail(1, 10, 10)}, {planned(1, true)}},
      {"old and full", {tail(1, kMeantChunkBytes, 10)}, {planned(1, true)}},
      {"too many bytes: the fullest go until it is enough",
       {tail(1, kMaxTailBytes / 4, 0), tail(2, kMaxTailBytes / 2, 0), tail(3, 1000, 0), tail(4, kMaxTailBytes / 2, 0)},
       {planned(2, true), planned(4, false), planned(1, false)}},
      {"too many rows", {tail(1, 1000, 0, kMaxTailRows), tail(2, 900, 0), tail(3, 800, 0)}, {planned(1, true)}},
      {"a clock that went back", {tail(1, 10, -600)}, {}},
  };
  for (const auto& c : cases) EXPECT_EQ(PlanMerges(c.tails, now), c.planned) << c.name;
}

TEST(RowsOfNextChunk, EndsWhereTheChunkIsFull) {
  const auto rows = [](const std::vector<std::pair<std::int32_t, std::int32_t>>& bytes_and_lines) {
    std::vector<TailRow> made;
    for (const auto& [bytes, lines] : bytes_and_lines) {
      TailRow& row = made.emplace_back();
      row.bytes = bytes;
      row.lines = lines;
    }
    return made;
  };
  constexpr std::int32_t kHalf = kMeantChunkBytes / 2;
  const struct {
    const char* name;
    std::vector<TailRow> rows;
    std::size_t whole;
    std::size_t all;
  } cases[] = {
      {"none", {}, 0, 0},
      {"too little", rows({{kHalf, 1}, {kHalf - 1, 1}}), 0, 2},
      {"just enough", rows({{kHalf, 1}, {kHalf, 1}, {kHalf, 1}}), 2, 2},
      {"one alone", rows({{kMeantChunkBytes, 1}, {1, 1}}), 1, 1},
      {"more would not fit", rows({{kHalf, 1}, {kMaxChunkTextBytes - kHalf + 1, 1}}), 1, 1},
      {"too many lines", rows({{100, 40'000}, {100, 40'000}}), 1, 1},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(RowsOfNextChunk(c.rows, false), SizeIs(c.whole)) << c.name;
    EXPECT_THAT(RowsOfNextChunk(c.rows, true), SizeIs(c.all)) << c.name;
  }
}

class LogMergeTest : public LogStoreTest {
 protected:
  // The tail of a source, as the merger does it; how many rows became a chunk.
  std::size_t MergeRows(std::int64_t source, std::size_t limit = 1'000'000) {
    const std::vector<TailRow> rows = logs_->tail().RowsOf(source);
    if (rows.empty()) return 0;
    const std::span<const TailRow> part = std::span(rows).first(std::min(limit, rows.size()));
    Merge merge;
    EXPECT_TRUE(logs_->store()
                    .Read([&](sqlite::Database& database) {
                      auto made = MergeTail(database, part, &codec_);
                      if (made.ok()) merge = *std::move(made);
                      return made.status();
                    })
                    .ok());
    EXPECT_TRUE(logs_->Replace(merge).ok());
    return merge.tail_rows.size();
  }
  std::size_t JoinSmall(std::int64_t source) {
    Merge merge;
    EXPECT_TRUE(logs_->store()
                    .Read([&](sqlite::Database& database) {
                      auto made = MergeSmallChunks(database, source, &codec_);
                      if (made.ok()) merge = *std::move(made);
                      return made.status();
                    })
                    .ok());
    if (merge.chunks.empty()) return 0;
    EXPECT_TRUE(logs_->Replace(merge).ok());
    return merge.chunks.size();
  }

  ZstdCodec codec_;
};

TEST_F(LogMergeTest, LinesAreTheSameBeforeAndAfter) {
  Apply(LogBatch(1, {LinesRecord(1, {"a", "b"}, "web-1"), LinesRecord(2, {"c"}, "db-1")}));
  Apply(LogBatch(3, {LinesRecord(3, {"d"}, "web-1")}));
  const auto lines = Lines();
  EXPECT_EQ(MergeRows(1), 2u);
  EXPECT_EQ(Lines(), lines);
  EXPECT_EQ(Number("SELECT count(*) FROM log_tail"), 1);
  EXPECT_EQ(Number("SELECT lines FROM log_sources WHERE id=1"), 3);
  EXPECT_EQ(Number("SELECT bytes FROM log_sources WHERE id=1"), 6);
  EXPECT_EQ(Number("SELECT last_line FROM log_chunks"), 4);
  EXPECT_EQ(Number("SELECT last_us-first_us FROM log_chunks"), 2'000'000);
  EXPECT_THAT(logs_->tail().RowsOf(1), IsEmpty());
  EXPECT_THAT(logs_->tail().RowsOf(2), SizeIs(1));
}

TEST_F(LogMergeTest, WhateverTheOrderOfMergesLinesStayAsTheyAre) {
  std::mt19937 random(11);
  std::int64_t sequence = 0;
  for (int step = 0; step < 60; ++step) {
    const auto source = static_cast<std::int64_t>(random() % 3) + 1;
    switch (random() % 4) {
      case 0:
      case 1: {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i <= random() % 40; ++i) texts.emplace_back(random() % 300, 'a' + random() % 26);
        ++sequence;
        Apply(LogBatch(sequence,
                       {LinesRecord(static_cast<double>(sequence), texts, "r" + std::to_string(random() % 3))}));
        break;
      }
      case 2: {
        const auto before = Lines();
        MergeRows(source, random() % 5 + 1);
        ASSERT_EQ(Lines(), before) << "step " << step;
        break;
      }
      default: {
        const auto before = Lines();
        JoinSmall(source);
        ASSERT_EQ(Lines(), before) << "step " << step;
      }
    }
  }
  const auto before = Lines();
  const auto totals = logs_->tail().totals();
  Open();
  EXPECT_EQ(Lines(), before);
  EXPECT_EQ(logs_->tail().totals(), totals);
}

TEST_F(LogMergeTest, SmallNeighboursBecomeOne) {
  for (int i = 1; i <= 8; ++i) {
    Apply(LogBatch(i, {LinesRecord(i, {"line " + std::to_string(i)})}));
    EXPECT_EQ(JoinSmall(1), 0u);
    MergeRows(1);
  }
  const auto lines = Lines();
  EXPECT_EQ(JoinSmall(1), 8u);
  EXPECT_EQ(Lines(), lines);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunk_data"), 1);
  EXPECT_EQ(Number("SELECT lines FROM log_sources"), 8) << "not counted again";
}

TEST_F(LogMergeTest, ChunksOfTwoDaysStayApart) {
  for (int i = 1; i <= 8; ++i) {
    if (i == 5) origin_.arrived += absl::Hours(25);
    Apply(LogBatch(i, {LinesRecord(i, {"x"})}));
    MergeRows(1);
  }
  EXPECT_EQ(JoinSmall(1), 0u);
}

TEST_F(LogMergeTest, LevelsAreCounted) {
  agent::v1::Record record = LinesRecord(1, {"a", "b", "c", "RATE 7 0"});
  // Info, error, none, and a marker, which is no line.
  record.mutable_log_lines()->set_kinds("\x0D\x15\x01\x41");
  Apply(LogBatch(1, {record}));
  MergeRows(1);
  EXPECT_EQ(Number("SELECT hex(levels)='01000000000000000000000001000000000000000100000000000000' FROM log_chunks"), 1);
}

TEST_F(LogMergeTest, ADamagedRowIsTakenOverAloneAndTheOthersGoOn) {
  for (int i = 1; i <= 3; ++i) Apply(LogBatch(i, {LinesRecord(i, {"line " + std::to_string(i)})}));
  ASSERT_TRUE(logs_->store()
                  .writer()
                  .Run([](sqlite::Database& database) {
                    return database.Execute("UPDATE log_tail SET text=zeroblob(length(text)) WHERE first_line=2");
                  })
                  .ok());
  EXPECT_EQ(MergeRows(1), 1u);
  EXPECT_EQ(MergeRows(1), 1u);
  EXPECT_EQ(Number("SELECT damaged FROM log_chunks WHERE first_line=2"), 1);
  EXPECT_EQ(Number("SELECT lines FROM log_chunks WHERE first_line=2"), 1);
  EXPECT_EQ(MergeRows(1), 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks WHERE damaged=0"), 2);
  EXPECT_EQ(logs_->tail().totals().rows, 0u);
}

TEST_F(LogMergeTest, WhatIsGoneMeanwhileIsNotMerged) {
  Apply(LogBatch(1, {LinesRecord(1, {"a"})}));
  const std::vector<TailRow> rows = logs_->tail().RowsOf(1);
  Merge merge;
  ASSERT_TRUE(logs_->store()
                  .Read([&](sqlite::Database& database) {
                    merge = *MergeTail(database, rows, &codec_);
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(logs_->Replace(merge).ok());
  EXPECT_TRUE(absl::IsAborted(logs_->Replace(merge)));
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks"), 1);
  EXPECT_THAT(Lines(), ElementsAre("1 1 web-1 a"));
}

}  // namespace
}  // namespace muster::hub
