#include "agent/journal/entry_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/journal/testing/journal_fixture.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EntryQueueTest : public testing::Test {
 protected:
  void Append(const v1::Record& record) { queue_.Append(MakeEntry(record, clock_.Read())); }
  void AppendTransition(const std::string& key, std::size_t padding = 0) {
    Append(TransitionRecord(key, clock_.Now(), padding));
  }
  void AppendLog(const std::string& key, std::size_t padding = 0) { Append(LogRecord(key, clock_.Now(), padding)); }
  static std::vector<std::string> Describe(const EntryBatch& batch) { return Describe(batch.entries); }
  static std::vector<std::string> Describe(const std::vector<Entry>& entries) {
    std::vector<std::string> texts;
    for (const Entry& entry : entries) {
      v1::Record record;
      EXPECT_TRUE(record.ParseFromString(entry.payload));
      texts.push_back(std::to_string(entry.first_sequence) + ":" + KeyOf(record));
    }
    return texts;
  }
  std::vector<std::string> TakeAll() { return Describe(queue_.Take(1 << 30)); }

  FakeClock clock_;
  EntryQueue queue_{10'000};
};

TEST_F(EntryQueueTest, NumbersEachLaneFromOne) {
  AppendTransition("a");
  AppendLog("x");
  AppendTransition("b");
  EXPECT_EQ(queue_.entries(), 3);
  EXPECT_THAT(TakeAll(), ElementsAre("1:a", "2:b", "1:x"));
  EXPECT_EQ(queue_.entries(), 3) << "not committed yet";
  queue_.Committed();
  EXPECT_EQ(queue_.entries(), 0);
  EXPECT_EQ(queue_.bytes(), 0);
  AppendTransition("c");
  EXPECT_THAT(TakeAll(), ElementsAre("3:c"));
}

TEST_F(EntryQueueTest, TakesAsMuchAsIsAskedForAndAtLeastOne) {
  for (int i = 0; i < 5; ++i) AppendTransition(std::to_string(i), 1000);
  EXPECT_THAT(Describe(queue_.Take(1)), ElementsAre("1:0"));
  queue_.Committed();
  EXPECT_THAT(Describe(queue_.Take(2500)), ElementsAre("2:1", "3:2"));
  queue_.Committed();
  EXPECT_THAT(TakeAll(), ElementsAre("4:3", "5:4"));
}

TEST_F(EntryQueueTest, WhatTheDiskDidNotTakeComesBackInOrder) {
  AppendTransition("a");
  AppendLog("x");
  EntryBatch taken = queue_.Take(1 << 30);
  AppendTransition("b");
  queue_.PutBack(std::move(taken.entries));
  EXPECT_THAT(TakeAll(), ElementsAre("1:a", "2:b", "1:x"));
}

TEST_F(EntryQueueTest, BeyondTheBoundTheOldestLogLinesBecomeOneGap) {
  AppendTransition("a", 1000);
  for (int i = 1; i <= 20; ++i) AppendLog(std::to_string(i), 1000);
  EXPECT_LE(queue_.bytes(), 10'000);
  EXPECT_EQ(queue_.dropped(), 12);
  EXPECT_THAT(TakeAll(), ElementsAre("1:a", "1:DISK_FULL 1-12", "13:13", "14:14", "15:15", "16:16", "17:17", "18:18",
                                     "19:19", "20:20"));
  queue_.Committed();
  EXPECT_EQ(queue_.dropped(), 0) << "the file counts them now";
}

TEST_F(EntryQueueTest, WithoutLogLinesTheOldestOfTheRestGo) {
  for (int i = 1; i <= 10; ++i) AppendTransition(std::to_string(i), 3000);
  EXPECT_THAT(TakeAll(), ElementsAre("1:DISK_FULL 1-7", "8:8", "9:9", "10:10"));
}

TEST_F(EntryQueueTest, WhatIsBeingWrittenCountsAgainstTheBound) {
  for (int i = 1; i <= 3; ++i) AppendTransition(std::to_string(i), 3000);
  EntryBatch taken = queue_.Take(1 << 30);
  for (int i = 4; i <= 6; ++i) AppendTransition(std::to_string(i), 3000);
  EXPECT_EQ(queue_.dropped(), 3);
  queue_.PutBack(std::move(taken.entries));
  EXPECT_LE(queue_.bytes(), 10'000);
  AppendTransition("7", 3000);
  EXPECT_THAT(TakeAll(), ElementsAre("1:DISK_FULL 1-1", "2:2", "3:3", "4:DISK_FULL 4-6", "7:7"));
}

TEST_F(EntryQueueTest, ARecordThatIsTooLargeLeavesItsNumber) {
  AppendTransition("huge", kMaxRecordBytes);
  AppendTransition("b");
  EXPECT_EQ(queue_.dropped(), 1);
  EXPECT_THAT(TakeAll(), ElementsAre("1:UNSPECIFIED 1-1", "2:b"));
}

TEST_F(EntryQueueTest, ABoundThatNothingFitsIntoLeavesOneGap) {
  EntryQueue tiny(100);
  for (int i = 0; i < 1000; ++i) tiny.Append(MakeEntry(TransitionRecord("a", clock_.Now(), 500), clock_.Read()));
  EXPECT_EQ(tiny.dropped(), 1000);
  EXPECT_THAT(Describe(tiny.Take(1 << 30)), ElementsAre("1:DISK_FULL 1-1000"));
  EXPECT_THAT(Describe(tiny.Take(1 << 30)), IsEmpty());
}

// ---- what goes with the lines

class EntryQueueChangesTest : public EntryQueueTest {
 protected:
  // A line, and the position of the container behind it.
  void AppendLine(const std::string& container, std::int64_t count, std::size_t padding = 0) {
    AppendLog(std::to_string(count), padding);
    Set(container, count);
  }
  void Set(const std::string& container, std::int64_t count) {
    queue_.Change({.positions = {{container, PositionOf(container, count)}}});
  }
  void Forget(const std::string& container) { queue_.Change({.positions = {{container, std::nullopt}}}); }
  // "a:3 b:-", b is to be forgotten.
  static std::string DescribeChanges(const LogChanges& changes) {
    std::string text;
    for (const auto& [container, position] : changes.positions) {
      if (!text.empty()) text += ' ';
      text += container + ":" + (position.has_value() ? std::to_string(position->count) : "-");
    }
    return text;
  }
};

TEST_F(EntryQueueChangesTest, ACommitTakesPositionsUpToItsLastLineAndNoMore) {
  AppendLine("a", 1, 1000);
  AppendLine("b", 2, 1000);
  AppendLine("a", 3, 1000);
  AppendLine("b", 4, 1000);
  const EntryBatch first = queue_.Take(3500);
  EXPECT_THAT(Describe(first), ElementsAre("1:1", "2:2", "3:3"));
  EXPECT_EQ(DescribeChanges(first.changes), "a:3 b:2");
  queue_.Committed();
  const EntryBatch second = queue_.Take(3500);
  EXPECT_EQ(DescribeChanges(second.changes), "b:4");
  queue_.Committed();
  EXPECT_TRUE(queue_.empty());
  EXPECT_TRUE(queue_.Take(3500).empty());
}

TEST_F(EntryQueueChangesTest, WithoutLinesChangesGoAtOnce) {
  AppendTransition("t");
  Forget("a");
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:-") << "with a record of the other lane";
  queue_.Committed();
  EXPECT_TRUE(queue_.empty());
  Forget("b");
  EXPECT_FALSE(queue_.empty());
  const EntryBatch batch = queue_.Take(1);
  EXPECT_THAT(batch.entries, IsEmpty());
  EXPECT_EQ(DescribeChanges(batch.changes), "b:-");
}

TEST_F(EntryQueueChangesTest, NothingOvertakesTheLinesBeforeIt) {
  AppendLine("a", 1, 1000);
  AppendLine("a", 2, 1000);
  Forget("a");
  AppendLine("a", 3, 1000);
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:1");
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:-");
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:3");
}

TEST_F(EntryQueueChangesTest, WhatTheDiskDidNotTakeComesBackWithItsLines) {
  AppendLine("a", 1, 1000);
  AppendLine("b", 2, 1000);
  EntryBatch taken = queue_.Take(1 << 30);
  Forget("b");
  AppendLine("a", 3, 1000);
  queue_.PutBack(std::move(taken.entries));
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:1");
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "b:-") << "asked for while its line was being written";
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:3");
}

TEST_F(EntryQueueChangesTest, WhatIsAskedForDuringACommitWaitsForTheNext) {
  AppendLine("a", 1);
  queue_.Take(1 << 30);
  Set("a", 2);
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "a:2");
}

TEST_F(EntryQueueChangesTest, LinesThatGiveWayMoveThePositionAndAreCounted) {
  std::int64_t lines = 0;
  for (int i = 1; i <= 20; ++i) {
    v1::Record record = LogRecord(std::to_string(i), clock_.Now(), 1000);
    record.mutable_log_lines()->set_kinds(std::string(static_cast<std::size_t>(i), '\x01'));
    Append(record);
    Set(i % 2 == 0 ? "a" : "b", i);
  }
  const EntryBatch batch = queue_.Take(1);
  ASSERT_THAT(Describe(batch), ElementsAre("1:DISK_FULL 1-12"));
  for (int i = 1; i <= 12; ++i) lines += i;
  EXPECT_EQ(LinesOf(batch.entries[0]), lines);
  EXPECT_EQ(DescribeChanges(batch.changes), "a:12 b:11");
  queue_.Committed();
  EXPECT_EQ(DescribeChanges(queue_.Take(1).changes), "b:13");
}

TEST_F(EntryQueueChangesTest, ARecordThatIsTooLargeMovesThePositionAndIsCounted) {
  v1::Record record = LogRecord("huge", clock_.Now(), kMaxRecordBytes);
  record.mutable_log_lines()->set_kinds("\x01\x01");
  Append(record);
  Set("a", 1);
  const EntryBatch batch = queue_.Take(1);
  EXPECT_THAT(Describe(batch), ElementsAre("1:UNSPECIFIED 1-1"));
  EXPECT_EQ(LinesOf(batch.entries[0]), 2);
  EXPECT_EQ(DescribeChanges(batch.changes), "a:1");
}

}  // namespace
}  // namespace muster::agent
