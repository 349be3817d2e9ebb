#include "agent/journal/journal_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/journal/testing/journal_fixture.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr v1::Lane kEvents = v1::LANE_EVENTS;
constexpr v1::Lane kLogs = v1::LANE_LOGS;

TEST_F(JournalStoreTest, GivesBackWhatWasAppendedInOrderAndByLane) {
  Open();
  AppendTransition("a");
  AppendLog("line");
  AppendTransition("b");
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("a", "b"));
  EXPECT_THAT(Keys(kFirstEpoch, kEvents, 2), ElementsAre("b"));
  EXPECT_THAT(Keys(kFirstEpoch, kLogs), ElementsAre("line"));
  EXPECT_THAT(Keys(kFirstEpoch, kEvents, 3), IsEmpty());
  EXPECT_THAT(Keys("unknown", kEvents), IsEmpty());
  EXPECT_EQ(Depth().records(), 3);
}

TEST_F(JournalStoreTest, ARestartKeepsEverythingAndBeginsANewEpochBehindIt) {
  Open();
  AppendTransition("a");
  AppendLog("line");
  Ack(kFirstEpoch, kLogs, 1);
  OpenAs(kSecondEpoch);
  AppendTransition("b");
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("a"));
  EXPECT_THAT(Keys(kSecondEpoch, kEvents), ElementsAre("b"));
  const std::vector<LaneState> lanes = store_->Lanes();
  ASSERT_THAT(lanes, SizeIs(3));
  EXPECT_EQ(lanes[0].epoch, kFirstEpoch);
  EXPECT_EQ(lanes[1].acked_sequence, 1) << "of the log lines";
  EXPECT_EQ(lanes[2].epoch, kSecondEpoch);
  EXPECT_EQ(Depth().records(), 2);
}

TEST_F(JournalStoreTest, ABatchHasAsMuchAsFits) {
  Open();
  for (int i = 0; i < 10; ++i) AppendTransition(std::to_string(i), 1000);
  const v1::RecordBatch batch = Read(kFirstEpoch, kEvents, 3, 4000);
  EXPECT_EQ(batch.epoch(), kFirstEpoch);
  EXPECT_EQ(batch.lane(), kEvents);
  EXPECT_EQ(batch.first_sequence(), 3);
  EXPECT_EQ(batch.records_size(), 3);
  EXPECT_EQ(Read(kFirstEpoch, kEvents, 3, 1).records_size(), 1) << "never none when there are some";
}

TEST_F(JournalStoreTest, AgesCountFromWhenItHappenedAndNobodysClockMatters) {
  Open();
  Append(TransitionRecord("noticed late", clock_.Now() - absl::Minutes(3)));
  clock_.Advance(absl::Seconds(20));
  clock_.StepWall(absl::Hours(1000));
  const v1::RecordBatch batch = Read(kFirstEpoch, kEvents, 1);
  EXPECT_EQ(FromProto(batch.records(0).age()), absl::Minutes(3) + absl::Seconds(20));
  EXPECT_EQ(FromProto(Depth().oldest_age()), absl::Seconds(20)) << "how long it has waited, not how old it is";
}

TEST_F(JournalStoreTest, RecordsOfAnotherBootHaveNoAge) {
  Open();
  AppendTransition("a");
  options_.boot_id = "boot-2";
  OpenAs(kSecondEpoch);
  AppendTransition("b");
  EXPECT_FALSE(Read(kFirstEpoch, kEvents, 1).records(0).has_age());
  EXPECT_TRUE(Read(kSecondEpoch, kEvents, 1).records(0).has_age());
  EXPECT_FALSE(Depth().has_oldest_age());
  EXPECT_EQ(FromProto(Depth().oldest_time()), clock_.Now());
}

TEST_F(JournalStoreTest, AcknowledgedRecordsStayAsATail) {
  Open();
  for (int i = 0; i < 4; ++i) AppendTransition(std::to_string(i));
  Ack(kFirstEpoch, kEvents, 3);
  EXPECT_EQ(Depth().records(), 1);
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("0", "1", "2", "3"));
  Ack(kFirstEpoch, kEvents, 2);
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).acked_sequence, 3) << "an ack takes nothing back";
  Ack(kFirstEpoch, kEvents, 1000);
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).acked_sequence, 4) << "nor does it reach beyond what there is";
  EXPECT_EQ(Depth().records(), 0);
  EXPECT_EQ(Depth().bytes(), 0);
}

TEST_F(JournalStoreTest, TheTailIsBoundedAndItsOldestGoFirst) {
  Open();
  for (int i = 0; i < 60; ++i) {
    AppendTransition(std::to_string(i), 9000);
    Ack(kFirstEpoch, kEvents, i + 1);
  }
  const LaneState lane = Lane(kFirstEpoch, kEvents);
  EXPECT_GT(lane.oldest_sequence, 30) << "a quarter of 1 MiB holds less than 30 of these";
  EXPECT_LT(lane.oldest_sequence, 36);
  const auto keys = Keys(kFirstEpoch, kEvents);
  EXPECT_EQ(keys.front(), "NOT_KEPT 1-" + std::to_string(lane.oldest_sequence - 1));
  EXPECT_EQ(keys.back(), "59");
  EXPECT_EQ(Depth().dropped_total(), 0);
}

TEST_F(JournalStoreTest, LogLinesLeaveTheTailFirst) {
  Open();
  AppendTransition("a", 9000);
  Ack(kFirstEpoch, kEvents, 1);
  for (int i = 0; i < 60; ++i) {
    AppendLog(std::to_string(i), 9000);
    Ack(kFirstEpoch, kLogs, i + 1);
  }
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("a"));
}

// A hub that was restored to before such an epoch's end was never told what it had lost.
TEST_F(JournalStoreTest, EpochThatHoldsNothingIsToldToARestoredHub) {
  Open();
  for (int i = 0; i < 3; ++i) AppendTransition("a", 9000);
  Ack(kFirstEpoch, kEvents, 3);
  OpenAs(kSecondEpoch);
  for (int i = 0; i < 40; ++i) {
    AppendTransition(std::to_string(i), 9000);
    Ack(kSecondEpoch, kEvents, i + 1);
  }
  OpenAs("33333333333333333333333333333333");
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).oldest_sequence, 0);
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).last_sequence, 3);
  v1::LanePosition position;
  position.set_epoch(kFirstEpoch);
  position.set_lane(kEvents);
  position.set_sequence(1);
  ASSERT_TRUE(store_->Resume({position}).ok());
  EXPECT_THAT(Keys(kFirstEpoch, kEvents, 2), ElementsAre("NOT_KEPT 2-3"));
  OpenAs("44444444444444444444444444444444");
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).acked_sequence, 1);
  EXPECT_THAT(Keys(kFirstEpoch, kEvents, 2), ElementsAre("NOT_KEPT 2-3"));
  EXPECT_EQ(Depth().dropped_total(), 0) << "the hub had them";
  Ack(kFirstEpoch, kEvents, 3);
  EXPECT_EQ(Depth().records(), 0);
}

TEST_F(JournalStoreTest, OldEpochsThatHoldNothingAreForgotten) {
  for (std::size_t i = 1; i <= kMaxEmptyEpochs + 3; ++i) {
    OpenAs(fmt::format("{:032x}", i));
    AppendTransition("a", 9000);
    Ack(options_.epoch, kEvents, 1);
  }
  OpenAs(kSecondEpoch);
  for (int i = 0; i < 40; ++i) {
    AppendTransition(std::to_string(i), 9000);
    Ack(kSecondEpoch, kEvents, i + 1);
  }
  const std::vector<LaneState> lanes = store_->Lanes();
  EXPECT_THAT(lanes, SizeIs(kMaxEmptyEpochs + 1));
  EXPECT_EQ(lanes.front().epoch, fmt::format("{:032x}", 4));
}

TEST_F(JournalStoreTest, WhatIsNotKeptIsAGapWhenTheHubIsSetBack) {
  Open();
  for (int i = 1; i <= 60; ++i) {
    AppendTransition(std::to_string(i), 9000);
    Ack(kFirstEpoch, kEvents, i);
  }
  const std::int64_t oldest = Lane(kFirstEpoch, kEvents).oldest_sequence;
  ASSERT_GT(oldest, 10);
  v1::LanePosition position;
  position.set_epoch(kFirstEpoch);
  position.set_lane(kEvents);
  position.set_sequence(5);
  ASSERT_TRUE(store_->Resume({position}).ok());
  Open();
  const auto keys = Keys(kFirstEpoch, kEvents, 6);
  EXPECT_EQ(keys.front(), fmt::format("NOT_KEPT 6-{}", oldest - 1));
  EXPECT_EQ(keys.back(), "60");
  EXPECT_EQ(Depth().dropped_total(), 0);
}

TEST_F(JournalStoreTest, AHubThatWasRestoredSetsItsPositionBack) {
  Open();
  for (int i = 0; i < 5; ++i) AppendTransition(std::to_string(i));
  Ack(kFirstEpoch, kEvents, 5);
  v1::LanePosition position;
  position.set_epoch(kFirstEpoch);
  position.set_lane(kEvents);
  position.set_sequence(2);
  ASSERT_TRUE(store_->Resume({position}).ok());
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).acked_sequence, 2);
  EXPECT_EQ(Depth().records(), 3);
  position.set_sequence(77);
  ASSERT_TRUE(store_->Resume({position}).ok());
  EXPECT_EQ(Lane(kFirstEpoch, kEvents).acked_sequence, 5);
  EXPECT_EQ(Depth().records(), 0);
  EXPECT_EQ(Depth().bytes(), 0);
}

TEST_F(JournalStoreTest, ARefusedRecordIsPutAsideAndHoldsNothingUp) {
  Open();
  for (int i = 0; i < 3; ++i) AppendTransition(std::to_string(i));
  Ack(kFirstEpoch, kEvents, 2, {2, 3});
  EXPECT_EQ(Depth().poisoned_total(), 1) << "the third is beyond what was acknowledged";
  EXPECT_EQ(Depth().records(), 1);
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("0", "NOT_KEPT 2-2", "2"));
  Open();
  EXPECT_EQ(Depth().poisoned_total(), 1);
  EXPECT_EQ(Depth().dropped_total(), 0);
}

TEST_F(JournalStoreTest, TheQuarantineKeepsTheNewest) {
  Open();
  for (int i = 1; i <= 100; ++i) {
    AppendTransition(std::to_string(i));
    Ack(kFirstEpoch, kEvents, i, {i});
  }
  EXPECT_EQ(Depth().poisoned_total(), 100);
  store_.reset();
  const auto database = sqlite::Database::Open(options_.path, sqlite::OpenMode::kReader);
  ASSERT_TRUE(database.ok());
  auto statement = (*database)->Prepare("SELECT count(*), min(sequence), max(sequence) FROM quarantine");
  ASSERT_TRUE(statement.ok());
  ASSERT_TRUE(*statement->Step());
  EXPECT_EQ(statement->Int64(0), kMaxQuarantined);
  EXPECT_EQ(statement->Int64(1), 37);
  EXPECT_EQ(statement->Int64(2), 100);
}

TEST_F(JournalStoreTest, RecordsOfAnotherTargetAreNotSent) {
  Open();
  AppendTransition("a");
  options_.target_id = "tgt_2";
  OpenAs(kSecondEpoch);
  EXPECT_THAT(store_->Lanes(), IsEmpty());
  EXPECT_EQ(Depth().records(), 0);
}

TEST_F(JournalStoreTest, AppendingAgainDoesNoHarmAndMissingNumbersBecomeAGap) {
  Open();
  const Entry first = Numbered(TransitionRecord("a", clock_.Now()));
  const Entry second = Numbered(TransitionRecord("b", clock_.Now()));
  Numbered(TransitionRecord("lost", clock_.Now()));
  const Entry fourth = Numbered(TransitionRecord("d", clock_.Now()));
  ASSERT_TRUE(store_->Append({first, second}).ok());
  ASSERT_TRUE(store_->Append({first, second, fourth}).ok());
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("a", "b", "DAMAGED 3-3", "d"));
  EXPECT_EQ(Depth().dropped_total(), 1);
}

TEST_F(JournalStoreTest, AGapFromMemoryIsCutToWhatTheFileDoesNotHave) {
  Open();
  AppendTransition("a");
  Gap gap{.lane = kEvents, .first_sequence = 1, .last_sequence = 5, .reason = v1::GAP_REASON_DISK_FULL};
  ASSERT_TRUE(store_->Append({EntryOf(gap)}).ok());
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), ElementsAre("a", "DISK_FULL 2-5"));
  EXPECT_THAT(Keys(kFirstEpoch, kEvents, 4), ElementsAre("DISK_FULL 4-5")) << "asked for from within";
  EXPECT_EQ(Depth().dropped_total(), 4);
}

TEST_F(JournalStoreTest, TooManyEpochsCostTheOldest) {
  for (std::size_t i = 0; i < kMaxEpochs + 2; ++i) {
    OpenAs(fmt::format("{:032x}", i + 1));
    AppendTransition(std::to_string(i));
  }
  const std::vector<LaneState> lanes = store_->Lanes();
  EXPECT_EQ(lanes.size(), kMaxEpochs);
  EXPECT_EQ(lanes.front().epoch, fmt::format("{:032x}", 3));
  EXPECT_EQ(Depth().dropped_total(), 2);
}

// ---- the bound

class JournalBoundTest : public JournalStoreTest {
 protected:
  std::uintmax_t FileBytes() const { return std::filesystem::file_size(options_.path); }
  // As many records as are held, the others counted in gaps.
  static std::pair<int, std::int64_t> Count(const std::vector<v1::Record>& records) {
    std::pair<int, std::int64_t> count;
    for (const v1::Record& record : records) {
      if (record.has_gap()) {
        count.second += record.gap().last_sequence() - record.gap().first_sequence() + 1;
      } else {
        ++count.first;
      }
    }
    return count;
  }
};

TEST_F(JournalBoundTest, AtTheBoundTheOldestLogLinesGoFirstAndLeaveOneGap) {
  Open();
  for (int i = 0; i < 20; ++i) AppendTransition("t" + std::to_string(i), 500);
  for (int i = 0; i < 3000; ++i) AppendLog(std::to_string(i), 900);
  EXPECT_LE(FileBytes(), options_.capacity_bytes + 0u);
  EXPECT_THAT(Keys(kFirstEpoch, kEvents), SizeIs(20)) << "no transition gives way to log lines";
  const auto records = ReadAll(kFirstEpoch, kLogs);
  ASSERT_TRUE(records.front().has_gap());
  EXPECT_EQ(records.front().gap().reason(), v1::GAP_REASON_JOURNAL_FULL);
  EXPECT_TRUE(records.front().gap().has_from());
  EXPECT_TRUE(records.front().gap().has_to());
  const auto [held, lost] = Count(records);
  EXPECT_EQ(held + lost, 3000);
  EXPECT_GT(held, 600) << "most of the file is in use";
  EXPECT_THAT(records, SizeIs(held + 1)) << "one gap";
  EXPECT_EQ(Depth().dropped_total(), lost);
  EXPECT_EQ(Depth().records(), 20 + held + 1);
}

TEST_F(JournalBoundTest, ThenTheOldestHostSamplesThenTheOldestOfTheRest) {
  Open();
  for (int i = 0; i < 10; ++i) AppendLog(std::to_string(i), 900);
  for (int i = 0; i < 200; ++i) {
    AppendTransition("t" + std::to_string(i), 900);
    Append(SampleRecord(clock_.Now(), 900));
  }
  // Full: the log lines are gone, and samples begin to go.
  int extra = 200;
  while (Keys(kFirstEpoch, kLogs).size() > 1) AppendTransition("t" + std::to_string(extra++), 900);
  for (int i = 0; i < 60; ++i) AppendTransition("t" + std::to_string(extra++), 900);
  auto keys = Keys(kFirstEpoch, kEvents);
  EXPECT_EQ(keys[0], "t0") << "no transition was given up";
  EXPECT_EQ(keys[1], "JOURNAL_FULL 2-2");
  for (; extra < 3000; ++extra) AppendTransition("t" + std::to_string(extra), 900);
  keys = Keys(kFirstEpoch, kEvents);
  EXPECT_THAT(keys.front(), testing::StartsWith("JOURNAL_FULL 1-"));
  EXPECT_EQ(keys[1].front(), 't') << "the gaps have joined";
  EXPECT_EQ(std::count(keys.begin(), keys.end(), "sample"), 0);
  EXPECT_EQ(keys.back(), "t2999");
  EXPECT_LE(FileBytes(), options_.capacity_bytes + 0u);
}

TEST_F(JournalBoundTest, WhatIsAcknowledgedGoesBeforeAnythingThatWaits) {
  Open();
  for (int i = 0; i < 200; ++i) AppendTransition("t" + std::to_string(i), 900);
  Ack(kFirstEpoch, kEvents, 200);
  const std::int64_t tail = Lane(kFirstEpoch, kEvents).oldest_sequence;
  int logs = 0;
  while (Lane(kFirstEpoch, kEvents).oldest_sequence == tail) AppendLog(std::to_string(logs++), 900);
  EXPECT_EQ(Depth().dropped_total(), 0);
  EXPECT_EQ(Keys(kFirstEpoch, kLogs).front(), "0");
}

TEST_F(JournalBoundTest, RecordsOfHalfAPageStayWithinTheBoundToo) {
  Open();
  for (int i = 0; i < 1000; ++i) AppendTransition(std::to_string(i), 2200);
  EXPECT_LE(FileBytes(), options_.capacity_bytes + 0u);
  for (int i = 0; i < 200; ++i) AppendTransition(std::to_string(i), 59'000);
  EXPECT_LE(FileBytes(), options_.capacity_bytes + 0u);
  const auto [held, lost] = Count(ReadAll(kFirstEpoch, kEvents));
  EXPECT_EQ(held + lost, 1200);
  EXPECT_GE(held, 10);
}

TEST_F(JournalBoundTest, OlderEpochsGiveWayFirst) {
  Open();
  for (int i = 0; i < 300; ++i) AppendLog("old" + std::to_string(i), 900);
  OpenAs(kSecondEpoch);
  for (int i = 0; i < 700; ++i) AppendLog("new" + std::to_string(i), 900);
  EXPECT_EQ(Keys(kSecondEpoch, kLogs).front(), "new0");
  EXPECT_THAT(Keys(kFirstEpoch, kLogs).front(), testing::StartsWith("JOURNAL_FULL 1-"));
}

TEST_F(JournalBoundTest, ASmallerBoundThanTheFileHoldsIsReachedByGivingUp) {
  options_.capacity_bytes = 2 * kMinJournalBytes;
  Open();
  for (int i = 0; i < 1900; ++i) AppendLog(std::to_string(i), 900);
  options_.capacity_bytes = kMinJournalBytes;
  OpenAs(kSecondEpoch);
  for (int i = 0; i < 10; ++i) AppendTransition(std::to_string(i), 900);
  EXPECT_THAT(Keys(kSecondEpoch, kEvents), SizeIs(10));
  const auto [held, lost] = Count(ReadAll(kFirstEpoch, kLogs));
  EXPECT_EQ(held + lost, 1900);
  EXPECT_LT(held, 1000);
}

}  // namespace
}  // namespace muster::agent
