// The journal's thread: what it makes durable when, and what it does while the disk takes nothing. Nothing here sleeps:
// the tests wait for Flush and for answers.
#include "agent/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/journal/testing/journal_fixture.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kEpoch[] = "11111111111111111111111111111111";

// Waits for an answer from the journal's thread.
class Answer {
 public:
  std::function<void(v1::RecordBatch)> Taker() {
    return [this](v1::RecordBatch batch) {
      MutexLock lock(&mutex_);
      batch_ = std::move(batch);
      came_.NotifyOne();
    };
  }
  v1::RecordBatch Wait() {
    MutexLock lock(&mutex_);
    while (!batch_.has_value()) came_.Wait(&mutex_);
    return *std::exchange(batch_, std::nullopt);
  }

 private:
  Mutex mutex_;
  CondVar came_;
  std::optional<v1::RecordBatch> batch_ ABSL_GUARDED_BY(mutex_);
};

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    options_.path = dir_.path() + "/journal.db";
    options_.target_id = "tgt_1";
    options_.boot_id = "boot-1";
    options_.epoch = kEpoch;
    options_.capacity_bytes = kMinJournalBytes;
  }

  void Start() { journal_ = std::make_unique<Journal>(options_, &clock_); }
  void AppendTransition(const std::string& key) { journal_->Append(TransitionRecord(key, clock_.Now())); }
  std::vector<std::string> Keys(v1::Lane lane, const std::string& epoch = kEpoch) {
    journal_->Read({.epoch = epoch, .lane = lane}, answer_.Taker());
    std::vector<std::string> keys;
    const v1::RecordBatch batch = answer_.Wait();
    EXPECT_EQ(batch.epoch(), epoch);
    for (const v1::Record& record : batch.records()) keys.push_back(KeyOf(record));
    return keys;
  }

  TempDir dir_{TempDir::InMemory()};
  FakeClock clock_;
  JournalStore::Options options_;
  Answer answer_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, MakesDurableWhatIsAppendedAndReadsItBack) {
  Start();
  AppendTransition("a");
  AppendTransition("b");
  journal_->Flush();
  EXPECT_THAT(Keys(v1::LANE_EVENTS), ElementsAre("a", "b"));
  const RecordsView view = journal_->View();
  EXPECT_TRUE(view.is_open);
  EXPECT_EQ(view.epoch, kEpoch);
  ASSERT_THAT(view.lanes, SizeIs(1));
  EXPECT_EQ(view.lanes[0].last_sequence, 2);
  EXPECT_EQ(view.depth.records(), 2);
  EXPECT_EQ(view.depth.capacity_bytes(), kMinJournalBytes);
  EXPECT_EQ(view.depth.fault(), "");
}

TEST_F(JournalTest, TransitionsAreCommittedAtOnceAndTellTheListener) {
  Start();
  journal_->WaitUntilOpen(absl::Seconds(60));
  Mutex mutex;
  CondVar changed;
  int changes = 0;
  journal_->SetListener([&] {
    MutexLock lock(&mutex);
    ++changes;
    changed.NotifyOne();
  });
  AppendTransition("a");
  while (true) {  // without Flush and without time passing
    if (!journal_->View().lanes.empty()) break;
    MutexLock lock(&mutex);
    if (changes == 0) changed.Wait(&mutex);
    changes = 0;
  }
  journal_->SetListener(nullptr);
}

TEST_F(JournalTest, OtherRecordsGatherUntilTheirTimeHasCome) {
  Start();
  journal_->WaitUntilOpen(absl::Seconds(60));
  journal_->Append(LogRecord("l1", clock_.Now()));
  journal_->Append(LogRecord("l2", clock_.Now()));
  EXPECT_THAT(Keys(v1::LANE_LOGS), IsEmpty()) << "the clock stands still";
  EXPECT_EQ(journal_->View().depth.records(), 2) << "but they count";
  clock_.Advance(kCommitInterval);
  EXPECT_THAT(Keys(v1::LANE_LOGS), ElementsAre("l1", "l2")) << "the thread commits what is due before it answers";
  EXPECT_EQ(journal_->View().depth.records(), 2);
}

TEST_F(JournalTest, StoppingCommitsWhatWaits) {
  Start();
  journal_->Append(LogRecord("l1", clock_.Now()));
  journal_.reset();
  options_.epoch = "22222222222222222222222222222222";
  Start();
  journal_->Flush();
  EXPECT_THAT(Keys(v1::LANE_LOGS), ElementsAre("l1"));
}

TEST_F(JournalTest, AcksAndWelcomesReachTheFile) {
  Start();
  AppendTransition("a");
  AppendTransition("b");
  v1::BatchAck ack;
  ack.set_epoch(kEpoch);
  ack.set_lane(v1::LANE_EVENTS);
  ack.set_sequence(2);
  journal_->Flush();
  journal_->Acknowledge(ack);
  journal_->Flush();
  EXPECT_EQ(journal_->View().depth.records(), 0);
  v1::LanePosition position;
  position.set_epoch(kEpoch);
  position.set_lane(v1::LANE_EVENTS);
  position.set_sequence(1);
  journal_->Resume({position});
  journal_.reset();
  Start();
  journal_->Flush();
  EXPECT_EQ(journal_->View().depth.records(), 1);
}

TEST_F(JournalTest, WithoutADiskRecordsWaitInMemoryAndNothingIsLostWhenItIsBack) {
  const std::string folder = dir_.path() + "/later";
  options_.path = folder + "/journal.db";
  Start();
  AppendTransition("a");
  journal_->Flush();
  RecordsView view = journal_->View();
  EXPECT_FALSE(view.is_open);
  EXPECT_NE(view.depth.fault(), "");
  EXPECT_EQ(view.depth.records(), 1);
  EXPECT_TRUE(view.depth.has_oldest_time());
  EXPECT_THAT(Keys(v1::LANE_EVENTS), IsEmpty()) << "only what is committed is sent";

  std::filesystem::create_directory(folder);
  AppendTransition("b");
  journal_->Flush();
  EXPECT_THAT(Keys(v1::LANE_EVENTS), ElementsAre("a", "b"));
  view = journal_->View();
  EXPECT_EQ(view.depth.fault(), "");
  EXPECT_EQ(view.depth.records(), 2);
}

TEST_F(JournalTest, BeyondTheBoundOfMemoryTheOldestAreAGap) {
  const std::string folder = dir_.path() + "/later";
  options_.path = folder + "/journal.db";
  options_.capacity_bytes = 16 * kMinJournalBytes;
  Start();
  for (int i = 0; i < 100; ++i) journal_->Append(TransitionRecord(std::to_string(i), clock_.Now(), 59'000));
  const std::int64_t dropped = journal_->View().depth.dropped_total();
  EXPECT_GT(dropped, 20);
  std::filesystem::create_directory(folder);
  journal_->Flush();
  EXPECT_EQ(journal_->View().depth.dropped_total(), dropped) << "counted once, also in the file";
  EXPECT_THAT(Keys(v1::LANE_EVENTS).front(), "DISK_FULL 1-" + std::to_string(dropped));
  EXPECT_EQ(journal_->View().depth.records(), 100 - dropped + 1);
}

TEST_F(JournalTest, AFileOfWhichNothingIsLeftIsReplaced) {
  Start();
  for (int i = 0; i < 2000; ++i) journal_->Append(TransitionRecord(std::to_string(i), clock_.Now(), 100));
  journal_->Flush();
  journal_.reset();
  {
    std::fstream file(options_.path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    for (std::uintmax_t i = 4096; i < std::filesystem::file_size(options_.path); ++i) file.put('\x55');
  }
  options_.epoch = "22222222222222222222222222222222";
  Start();
  AppendTransition("new");
  journal_->Flush();
  EXPECT_THAT(Keys(v1::LANE_EVENTS, options_.epoch), ElementsAre("new"));
  EXPECT_EQ(journal_->View().depth.fault(), "");
}

}  // namespace
}  // namespace muster::agent
