#include "hub/logs/log_retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "hub/logs/log_merger.h"
#include "hub/logs/testing/damage.h"
#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kMiB = 1024 * 1024;
constexpr VolumeSpace kRoomy{.free_bytes = 500'000 * kMiB, .total_bytes = 1'000'000 * kMiB};
constexpr VolumeSpace kLow{.free_bytes = 900 * kMiB, .total_bytes = 1'000'000 * kMiB};
constexpr absl::Duration kDay = absl::Hours(24);

TEST(IsLow, IsBelowAGibibyteOrATwentieth) {
  const struct {
    std::int64_t free_mib;
    std::int64_t total_mib;
    bool is_low;
  } cases[] = {{1024, 2048, false}, {1023, 2048, true}, {5000, 100'000, false}, {4999, 100'000, true}};
  for (const auto& c : cases) {
    EXPECT_EQ(IsLow({.free_bytes = c.free_mib * kMiB, .total_bytes = c.total_mib * kMiB}), c.is_low) << c.free_mib;
  }
}

class LogRetentionTest : public LogStoreTest {
 protected:
  LogRetentionTest() {
    options_.observer.pruned = [this](std::string_view reason, std::int64_t lines) {
      pruned_[std::string(reason)] += lines;
    };
    Keep(30 * kDay, 1024 * kMiB);
  }
  void Close() {
    retention_.reset();
    merger_.reset();
    logs_.reset();
  }
  void Keep(absl::Duration keep, std::int64_t bytes) {
    Close();
    Open();
    merger_ = *LogMerger::Open(logs_.get());
    retention_ = *LogRetention::Open(
        logs_.get(), {.keep = keep, .max_bytes = bytes, .deleted_targets = [this](absl::Time) { return deleted_; }});
  }
  // A chunk of these lines that comes at `arrived`.
  void AddChunk(absl::Time arrived, const std::vector<std::string>& texts, const std::string& resource = "web-1") {
    origin_.arrived = arrived;
    ++sequence_;
    Apply(LogBatch(sequence_, {LinesRecord(static_cast<double>(sequence_), texts, resource)}));
    MergeAll();
  }
  void MergeAll() {
    ASSERT_TRUE(merger_->Turn(origin_.arrived + absl::Minutes(10), [] { return true; }).ok());
  }
  void AddNoise(std::size_t bytes) {
    std::vector<std::string> texts;
    for (std::size_t size = 0; size < bytes; size += 16'000) texts.push_back(NoiseLine(random_, 16'000));
    AddChunk(origin_.arrived, texts);
  }
  void Trim(absl::Time now, const VolumeSpace& volume = kRoomy) {
    const absl::Status trimmed = retention_->Trim(now, volume, [this] {
      ++operations_;
      return true;
    });
    EXPECT_TRUE(trimmed.ok()) << trimmed;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    for (const std::string& line : Lines()) texts.push_back(line.substr(line.rfind(' ') + 1));
    return texts;
  }
  std::int64_t FileBytes() { return Number("PRAGMA page_count") * 4096; }
  std::int64_t BytesInUse() { return FileBytes() - Number("PRAGMA freelist_count") * 4096; }
  std::int64_t MaxPages() {
    std::int64_t pages = 0;
    EXPECT_TRUE(logs_->store()
                    .writer()
                    .Run([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare("PRAGMA max_page_count"));
                      RETURN_IF_ERROR(s.Step().status());
                      pages = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
    return pages;
  }

  std::mt19937 random_{3};
  std::int64_t sequence_ = 0;
  int operations_ = 0;
  std::map<std::string, std::int64_t> pruned_;
  std::vector<std::string> deleted_;
  std::unique_ptr<LogMerger> merger_;
  std::unique_ptr<LogRetention> retention_;
};

TEST_F(LogRetentionTest, WhatArrivedTooLongAgoGoesAndIsCountedInItsSource) {
  const absl::Time start = LogAt(1000);
  AddChunk(start, {"a", "b"});
  AddChunk(start + kDay, {"c"}, "db-1");
  AddChunk(start + 2 * kDay, {"d"});
  Trim(start + 30 * kDay - absl::Seconds(1));
  EXPECT_THAT(Texts(), SizeIs(4));
  Trim(start + 30 * kDay);
  EXPECT_THAT(Texts(), ElementsAre("c", "d"));
  EXPECT_EQ(Number("SELECT pruned_lines FROM log_sources WHERE id=1"), 2);
  EXPECT_EQ(Number("SELECT lines FROM log_sources WHERE id=1"), 1);
  EXPECT_EQ(Number("SELECT bytes FROM log_sources WHERE id=1"), 2);
  EXPECT_EQ(Number("SELECT pruned_to_us FROM log_sources WHERE id=1"), absl::ToUnixMicros(LogAt(2)));
  EXPECT_EQ(Number("SELECT first_us FROM log_sources WHERE id=1"), absl::ToUnixMicros(LogAt(3)));
  Trim(start + 60 * kDay);
  EXPECT_THAT(Texts(), IsEmpty());
  EXPECT_EQ(Number("SELECT first_us IS NULL FROM log_sources WHERE id=1"), 1);
  EXPECT_EQ(logs_->chunks(), 0);
  EXPECT_EQ(pruned_["age"], 4);
}

TEST_F(LogRetentionTest, AClockThatWasSetForwardAndBackHoldsUpNothing) {
  const absl::Time start = LogAt(1000);
  AddChunk(start + 4000 * kDay, {"future"});
  AddChunk(start + 1 * kDay, {"old"});
  AddChunk(start + 4000 * kDay, {"future_too"});
  AddChunk(start + 25 * kDay, {"young"});
  Trim(start + 20 * kDay);
  EXPECT_THAT(Texts(), SizeIs(4));
  Trim(start + 31 * kDay);
  EXPECT_THAT(Texts(), ElementsAre("future_too", "young")) << "what came before old is older than that";
}

TEST_F(LogRetentionTest, AFewChunksAnOperation) {
  for (int i = 0; i < 40; ++i) AddChunk(LogAt(1000) + i * 2 * kDay, {"x"});
  ASSERT_EQ(Number("SELECT count(*) FROM log_chunks"), 40);
  Trim(LogAt(1000) + 200 * kDay);
  EXPECT_EQ(operations_, 2);
  EXPECT_THAT(Texts(), IsEmpty());
}

TEST_F(LogRetentionTest, StopsWhenAsked) {
  for (int i = 0; i < 40; ++i) AddChunk(LogAt(1000) + i * 2 * kDay, {"x"});
  ASSERT_TRUE(retention_->Trim(LogAt(1000) + 200 * kDay, kRoomy, [] { return false; }).ok());
  EXPECT_THAT(Texts(), SizeIs(8));
}

TEST_F(LogRetentionTest, TheBoundHoldsWithinAPercentUnderReplacement) {
  constexpr std::int64_t kBound = 24 * kMiB;
  Keep(30 * kDay, kBound);
  std::int64_t largest = 0;
  for (int i = 0; i < 200; ++i) {
    AddNoise(200'000);
    largest = std::max(largest, BytesInUse());
    Trim(origin_.arrived);
    ASSERT_LE(BytesInUse(), kBound) << i;
    EXPECT_EQ(retention_->limit_bytes(), kBound);
  }
  EXPECT_LE(largest, kBound + kBound / 100);
  EXPECT_LE(FileBytes(), kBound + kBound / 100) << "free pages are used again";
  EXPECT_GT(BytesInUse(), kBound - kBound / 20) << "no more is forgotten than has to";
  EXPECT_GT(pruned_["size"], 100);
  EXPECT_EQ(MaxPages(), (kBound + LogRetention::kHardStopBytes) / 4096);
  // The newest are there, the oldest are not, and all is accounted for.
  EXPECT_EQ(Number("SELECT sum(pruned_lines) + sum(lines) FROM log_sources"),
            Number("SELECT next_line-1 FROM log_meta"));
  EXPECT_EQ(Number("SELECT max(last_line)=(SELECT next_line-1 FROM log_meta) FROM log_chunks"), 1);
}

TEST_F(LogRetentionTest, AVolumeWithLittleRoomEndsGrowthNotLogging) {
  constexpr std::int64_t kBound = 32 * kMiB;
  constexpr std::int64_t kFloor = 8 * kMiB;
  // Filled as if 8 MiB were all there may be, which is what a small volume comes to.
  Keep(30 * kDay, kFloor);
  for (int i = 0; i < 60; ++i) {
    AddNoise(200'000);
    Trim(origin_.arrived, kLow);
  }
  EXPECT_LE(FileBytes(), kFloor);
  EXPECT_EQ(MaxPages(), kFloor / 4096);
  EXPECT_GT(pruned_["volume"], 100);
  EXPECT_EQ(pruned_["size"], 0);
  EXPECT_EQ(logs_->Fault(), absl::OkStatus()) << "what came found room";
  Keep(30 * kDay, kBound);
  for (int i = 0; i < 40; ++i) {
    AddNoise(200'000);
    Trim(origin_.arrived, kRoomy);
  }
  EXPECT_GT(FileBytes(), kFloor) << "there is room again";
  const std::int64_t full = FileBytes();
  const std::int64_t lines = Number("SELECT sum(lines) FROM log_sources");
  Trim(origin_.arrived, kLow);
  EXPECT_EQ(FileBytes(), full);
  EXPECT_GT(Number("SELECT sum(lines) FROM log_sources"), lines / 2) << "what is there stays, but for a little room";
}

TEST_F(LogRetentionTest, ASmallVolumeKeepsRoomForHistory) {
  Keep(30 * kDay, 64 * kMiB);
  for (int i = 0; i < 100; ++i) {
    Trim(origin_.arrived, {.free_bytes = 15 * kMiB - FileBytes(), .total_bytes = 20 * kMiB});
    EXPECT_EQ(MaxPages(), 5 * kMiB / 4096);
    AddNoise(100'000);
  }
  EXPECT_LE(FileBytes(), 5 * kMiB);
  EXPECT_GT(FileBytes(), 4 * kMiB);
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
  Trim(origin_.arrived, {.free_bytes = 0, .total_bytes = 20 * kMiB});
  EXPECT_EQ(MaxPages(), FileBytes() / 4096);
}

TEST_F(LogRetentionTest, AQueryThatPagesGoesOnWithWhatItBegan) {
  const absl::Time start = LogAt(1000);
  AddChunk(start, {"a"});
  AddChunk(start + 2 * kDay, {"b"});
  const auto database = *sqlite::Database::Open(path(), sqlite::OpenMode::kReader);
  ASSERT_TRUE(database->Execute("BEGIN").ok());
  const auto count = [&] {
    auto s = *database->Prepare("SELECT count(*), sum(length(text)) FROM log_chunk_data");
    EXPECT_TRUE(s.Step().value_or(false));
    return std::pair(s.Int64(0), s.Int64(1));
  };
  const auto before = count();
  Trim(start + 31 * kDay);
  for (int i = 0; i < 10; ++i) AddChunk(start + 31 * kDay, {NoiseLine(random_, 10'000)});
  EXPECT_EQ(count(), before);
  ASSERT_TRUE(database->Execute("COMMIT").ok());
  EXPECT_NE(count(), before);
}

TEST_F(LogRetentionTest, AChunkWhosePagesCannotBeReadIsForgottenAndTheWriterGoesOn) {
  AddNoise(100'000);
  AddChunk(LogAt(1000) + 2 * kDay, {"young"});
  const std::string marked = "needle" + NoiseLine(random_, 80'000);
  ASSERT_TRUE(logs_->store()
                  .writer()
                  .Run([&](sqlite::Database& database) {
                    return RunBound(database, "UPDATE log_chunk_data SET text=? WHERE first_line=1",
                                    [&](sqlite::Statement& s) { s.BindBlob(1, marked.data(), marked.size()); });
                  })
                  .ok());
  Close();
  DamagePage(path(), PageOf(path(), marked.substr(40'000, 40)));
  Keep(30 * kDay, 1024 * kMiB);
  Trim(LogAt(1000) + 31 * kDay);
  EXPECT_EQ(Number("SELECT count(*) FROM log_chunks"), 1);
  EXPECT_EQ(Number("SELECT pruned_lines FROM log_sources"), 7);
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
  operations_ = 0;
  Trim(LogAt(1000) + 31 * kDay);
  EXPECT_EQ(operations_, 0) << "once";
  AddChunk(LogAt(1000) + 31 * kDay, {"new"});
}

TEST_F(LogRetentionTest, SourcesWithoutLinesGoAndThoseWithATailStay) {
  const absl::Time start = LogAt(1000);
  AddChunk(start, {"a"}, "gone");
  AddChunk(start, {"b"}, "comes_back");
  AddChunk(start + 5 * kDay, {"c"}, "stays");
  Trim(start + 31 * kDay);
  origin_.arrived = start + 31 * kDay;
  Apply(LogBatch(++sequence_, {LinesRecord(5, {"d"}, "comes_back")}));
  ASSERT_TRUE(retention_->Sweep(start + 31 * kDay).ok());
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources WHERE resource='gone'"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources WHERE resource='comes_back'"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources WHERE resource='stays'"), 1);
  MergeAll();
  EXPECT_THAT(Texts(), ElementsAre("c", "d"));
}

TEST_F(LogRetentionTest, GapsAndRefusalsGoByAgeAndPositionsWithTheirTarget) {
  const absl::Time start = LogAt(1000);
  origin_.arrived = start;
  Apply(LogBatch(1, {LogGap(1, 3, 5), agent::v1::Record()}));
  origin_.arrived = start + 5 * kDay;
  Apply(LogBatch(5, {LogGap(5, 6, 7), agent::v1::Record()}));
  origin_.target_id = "tgt_2";
  Apply(LogBatch(1, {LinesRecord(1, {"a"})}));
  ASSERT_TRUE(retention_->Sweep(start + 31 * kDay).ok());
  EXPECT_EQ(Number("SELECT count(*) FROM log_gaps"), 1);
  EXPECT_EQ(Number("SELECT first_sequence FROM log_gaps"), 5);
  EXPECT_EQ(Number("SELECT count(*) FROM poisoned_records"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM journal_positions"), 2) << "however old";
  deleted_ = {"tgt_2", "tgt_unknown"};
  ASSERT_TRUE(retention_->Sweep(start + 31 * kDay).ok());
  EXPECT_EQ(Number("SELECT count(*) FROM journal_positions WHERE target_id='tgt_2'"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM journal_positions WHERE target_id='tgt_1'"), 1);
  EXPECT_THAT(Texts(), ElementsAre("a")) << "lines of a deleted target go by their age";
}

}  // namespace
}  // namespace muster::hub
