#include "hub/store/history_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "hub/store/store.h"
#include "hub/store/testing/test_database.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HistoryRecorderTest : public ::testing::Test {
 protected:
  HistoryRecorderTest() {
    auto opened = Store::Open(dir_.path() + "/hub.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    EXPECT_TRUE(store_->writer()
                    .Run([](sqlite::Database& database) { return InsertTarget(database, NewTarget("tgt_1", "one")); })
                    .ok());
  }

  static HistoryEvent Transition(int second, const std::string& reason) {
    const bool even = second % 2 == 0;
    return TargetTransition{.target_id = "tgt_1",
                            .state = even ? types::v1::TARGET_STATE_STALE : types::v1::TARGET_STATE_CONNECTED,
                            .at = kTestEpoch + absl::Seconds(second),
                            .reason = reason,
                            .last_seen = {}};
  }
  // Breaks a foreign key: no such target.
  static HistoryEvent Poison() {
    return NewTransition("tgt_unknown", "shop", types::v1::DEPLOYMENT_STATUS_RUNNING, kTestEpoch);
  }

  // What has been stored after the target's creation, oldest first.
  std::vector<std::string> Reasons() {
    std::vector<std::string> reasons;
    const absl::Status read = store_->Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT reason FROM target_intervals ORDER BY from_us"));
      while (true) {
        ASSIGN_OR_RETURN(const bool row, s.Step());
        if (!row) return absl::OkStatus();
        reasons.push_back(s.Text(0));
      }
    });
    EXPECT_TRUE(read.ok()) << read;
    reasons.erase(reasons.begin());
    return reasons;
  }

  void FillDisk() {
    ASSERT_TRUE(store_->writer()
                    .Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=1"); })
                    .ok());
  }
  void MakeRoom() {
    ASSERT_TRUE(store_->writer()
                    .Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=100000"); })
                    .ok());
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(HistoryRecorderTest, KeepsTheOrder) {
  HistoryRecorder recorder(&store_->writer());
  std::vector<std::string> wanted;
  for (int i = 1; i <= 3000; ++i) {
    recorder.Append({Transition(i, std::to_string(i))});
    if (i % 7 == 0) recorder.Flush();
    wanted.push_back(std::to_string(i));
  }
  recorder.Drain();
  EXPECT_EQ(Reasons(), wanted);
  EXPECT_EQ(recorder.pending(), 0U);
  EXPECT_EQ(recorder.dropped(), 0);
}

TEST_F(HistoryRecorderTest, KeepsWhatAFullDiskRefusedForTheNextFlush) {
  HistoryRecorder recorder(&store_->writer());
  FillDisk();
  const std::string megabyte(1'000'000, 'x');
  recorder.Append({Transition(1, "first"), Transition(2, megabyte)});
  recorder.Drain();
  recorder.Append({Transition(3, "third")});
  EXPECT_EQ(recorder.pending(), 3U);
  EXPECT_THAT(Reasons(), IsEmpty());
  MakeRoom();
  recorder.Drain();
  EXPECT_THAT(Reasons(), ElementsAre("first", megabyte, "third"));
  EXPECT_EQ(recorder.dropped(), 0);
}

TEST_F(HistoryRecorderTest, DropsTheOldestBeyondItsBoundAndCountsThem) {
  HistoryRecorder recorder(&store_->writer(), 10);
  for (int i = 1; i <= 25; ++i) recorder.Append({Transition(i, std::to_string(i))});
  EXPECT_EQ(recorder.pending(), 10U);
  EXPECT_EQ(recorder.dropped(), 15);
  recorder.Drain();
  EXPECT_THAT(Reasons(), ElementsAre("16", "17", "18", "19", "20", "21", "22", "23", "24", "25"));
}

// One event that could never be stored took up to a thousand good ones with it.
TEST_F(HistoryRecorderTest, UnstorableEventTakesNoOtherWithIt) {
  HistoryRecorder recorder(&store_->writer());
  std::vector<HistoryEvent> events;
  std::vector<std::string> wanted;
  for (int i = 1; i <= 100; ++i) {
    if (i == 37 || i == 38) events.push_back(Poison());
    events.push_back(Transition(i, std::to_string(i)));
    wanted.push_back(std::to_string(i));
  }
  recorder.Append(std::move(events));
  recorder.Drain();
  EXPECT_EQ(Reasons(), wanted);
  EXPECT_EQ(recorder.dropped(), 2);
}

TEST_F(HistoryRecorderTest, KeepsEventsWhenTheWriterHasStopped) {
  HistoryRecorder recorder(&store_->writer());
  store_->writer().Stop();
  recorder.Append({Transition(1, "1"), Transition(2, "2")});
  recorder.Drain();
  EXPECT_EQ(recorder.pending(), 2U);
  EXPECT_EQ(recorder.dropped(), 0);
}

// A writer that failed for good answers at once: dropping one by one recursed as deep as there were events.
TEST_F(HistoryRecorderTest, SurvivesAWriterThatFailedForGood) {
  HistoryRecorder recorder(&store_->writer());
  ASSERT_FALSE(
      store_->writer().Run([](sqlite::Database&) { return absl::DataLossError("the disk has lost it"); }).ok());
  std::vector<HistoryEvent> events(50'000, Transition(1, "1"));
  recorder.Append(std::move(events));
  recorder.Drain();
  recorder.Flush();
  EXPECT_EQ(recorder.pending(), 50'000U);
}

TEST_F(HistoryRecorderTest, DrainWritesMoreThanOneOperationHolds) {
  HistoryRecorder recorder(&store_->writer());
  std::vector<HistoryEvent> events;
  for (int i = 1; i <= static_cast<int>(HistoryRecorder::kMaxPerOperation) * 2 + 1; ++i) {
    events.push_back(Transition(i, ""));
  }
  recorder.Append(std::move(events));
  recorder.Drain();
  EXPECT_EQ(Reasons().size(), HistoryRecorder::kMaxPerOperation * 2 + 1);
}

}  // namespace
}  // namespace muster::hub
