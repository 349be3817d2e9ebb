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

}  // namespace
}  // namespace muster::agent
