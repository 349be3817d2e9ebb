// The journal's thread: what it makes durable when, and what it does while the disk takes nothing. Nothing here sleeps:
// the tests wait for Flush and for answers.
#include "agent/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/journal/testing/journal_fixture.h"
#include "common/sqlite/testing/fault_vfs.h"

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

  // Of events; with a reason the last of them is refused.
  static v1::BatchAck AckOf(std::int64_t sequence, const std::string& reason = "") {
    v1::BatchAck ack;
    ack.set_epoch(kEpoch);
    ack.set_lane(v1::LANE_EVENTS);
    ack.set_sequence(sequence);
    if (!reason.empty()) {
      v1::RefusedRecord& refused = *ack.add_refused();
      refused.set_sequence(sequence);
      refused.set_reason(reason);
    }
    return ack;
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
  journal_->Flush();
  journal_->Acknowledge(AckOf(2));
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

TEST_F(JournalTest, AcksAreWrittenTogetherAndKeepWhatWasRefused) {
  Start();
  AppendTransition("a");
  AppendTransition("b");
  journal_->Flush();
  journal_->Acknowledge(AckOf(1, "INVALID"));
  journal_->Acknowledge(AckOf(2));
  EXPECT_THAT(Keys(v1::LANE_EVENTS), ElementsAre("a", "b")) << "the thread has looked around";
  EXPECT_EQ(journal_->View().depth.records(), 2) << "the clock stands still";
  clock_.Advance(kAckInterval);
  Keys(v1::LANE_EVENTS);
  EXPECT_EQ(journal_->View().depth.records(), 0);
  EXPECT_EQ(journal_->View().depth.poisoned_total(), 1);
}

TEST_F(JournalTest, AnAckGoesWithTheNextCommit) {
  Start();
  AppendTransition("a");
  AppendTransition("b");
  journal_->Flush();
  journal_->Acknowledge(AckOf(2));
  AppendTransition("c");
  EXPECT_THAT(Keys(v1::LANE_EVENTS), ElementsAre("a", "b", "c")) << "of which the tail still has the first two";
  EXPECT_EQ(journal_->View().depth.records(), 1) << "the clock stands still";
}

TEST_F(JournalTest, ABacklogIsAcknowledgedAtOnce) {
  Start();
  for (int i = 0; i < 10; ++i) journal_->Append(TransitionRecord(std::to_string(i), clock_.Now(), 10'000));
  journal_->Flush();
  journal_->Acknowledge(AckOf(6));
  Keys(v1::LANE_EVENTS);
  EXPECT_EQ(journal_->View().depth.records(), 4) << "the clock stands still";
  journal_->Acknowledge(AckOf(10));
  Keys(v1::LANE_EVENTS);
  EXPECT_EQ(journal_->View().depth.records(), 4) << "what is left may wait";
}

TEST_F(JournalTest, AnAckThatWaitsComesBeforeTheNextWelcome) {
  Start();
  AppendTransition("a");
  AppendTransition("b");
  journal_->Flush();
  journal_->Acknowledge(AckOf(2));
  v1::LanePosition position;
  position.set_epoch(kEpoch);
  position.set_lane(v1::LANE_EVENTS);
  position.set_sequence(1);
  journal_->Resume({position});
  journal_->Flush();
  EXPECT_EQ(journal_->View().depth.records(), 1) << "the hub has forgotten";
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

// ---- lines of containers

class LogJournalTest : public JournalTest {
 protected:
  static LogJournal::Lines LineOf(const std::string& container, std::int64_t count, absl::Time when,
                                  std::size_t padding = 0) {
    return {.record = LogRecord(container + std::to_string(count), when, padding),
            .position = PositionOf(container, count)};
  }
  bool AppendLine(const std::string& container, std::int64_t count, std::size_t padding = 0) {
    std::vector<LogJournal::Lines> lines = {LineOf(container, count, clock_.Now(), padding)};
    return journal_->AppendLines(lines);
  }
  // As another run of the agent finds them: "a:2".
  std::vector<std::string> PositionsAfterRestart() {
    std::vector<std::string> positions;
    for (const LogPosition& position : MemoryAfterRestart().positions) {
      positions.push_back(position.container + ":" + std::to_string(position.count));
    }
    return positions;
  }
  LogMemory MemoryAfterRestart() {
    journal_.reset();
    options_.epoch = "22222222222222222222222222222222";
    Start();
    journal_->WaitUntilOpen(absl::Seconds(60));
    std::optional<LogMemory> memory = journal_->Remember();
    EXPECT_TRUE(memory.has_value());
    return memory.value_or(LogMemory());
  }
};

TEST_F(LogJournalTest, LinesAndPositionsGatherAndBecomeDurableTogether) {
  Start();
  journal_->WaitUntilOpen(absl::Seconds(60));
  std::vector<LogJournal::Lines> lines = {LineOf("a", 1, clock_.Now()), LineOf("b", 2, clock_.Now()),
                                          LineOf("a", 3, clock_.Now())};
  lines.push_back({.record = LogRecord("own", clock_.Now()), .position = std::nullopt});
  ASSERT_TRUE(journal_->AppendLines(lines));
  EXPECT_THAT(lines, IsEmpty());
  EXPECT_THAT(Keys(v1::LANE_LOGS), IsEmpty()) << "the clock stands still";
  clock_.Advance(kCommitInterval);
  EXPECT_THAT(Keys(v1::LANE_LOGS), ElementsAre("a1", "b2", "a3", "own"));
  EXPECT_THAT(PositionsAfterRestart(), ElementsAre("a:3", "b:2"));
}

TEST_F(LogJournalTest, SettingsAndForgettingWaitForNoLine) {
  Start();
  journal_->WaitUntilOpen(absl::Seconds(60));
  const absl::Time first = clock_.Now();
  ASSERT_TRUE(AppendLine("a", 1));
  ASSERT_TRUE(AppendLine("b", 1));
  clock_.Advance(kCommitInterval);
  EXPECT_THAT(Keys(v1::LANE_LOGS), SizeIs(2));
  journal_->ForgetPositions({"a", "unknown"});
  journal_->KeepSettings({"compose/x"}, first);
  clock_.Advance(kCommitInterval);
  EXPECT_THAT(Keys(v1::LANE_LOGS), SizeIs(2)) << "the thread has done what was due before";
  // As kill -9 would leave it.
  const std::string copy = dir_.path() + "/copy.db";
  std::filesystem::copy_file(options_.path, copy);
  std::filesystem::copy_file(options_.path + "-wal", copy + "-wal");
  options_.path = copy;
  const LogMemory memory = MemoryAfterRestart();
  ASSERT_THAT(memory.positions, SizeIs(1));
  EXPECT_EQ(memory.positions[0].container, "b");
  EXPECT_THAT(memory.off_keys, ElementsAre("compose/x"));
  EXPECT_EQ(memory.first_settings, first);
}

TEST_F(LogJournalTest, APositionMovesInOneCommitBehindTheLinesBeforeIt) {
  Start();
  ASSERT_TRUE(AppendLine("a", 1));
  ASSERT_TRUE(AppendLine("b", 1));
  journal_->MovePosition("a", *LineOf("c", 7, clock_.Now()).position);
  clock_.Advance(kCommitInterval);
  EXPECT_THAT(Keys(v1::LANE_LOGS), SizeIs(2));
  EXPECT_THAT(PositionsAfterRestart(), ElementsAre("b:1", "c:7"));
}

TEST_F(LogJournalTest, NothingIsRememberedBeforeTheFileIsOpen) {
  const std::string folder = dir_.path() + "/later";
  options_.path = folder + "/journal.db";
  Start();
  journal_->WaitUntilOpen(absl::Seconds(60));
  EXPECT_EQ(journal_->Remember(), std::nullopt);
  std::filesystem::create_directory(folder);
  journal_->Flush();
  EXPECT_TRUE(journal_->Remember().has_value());
}

TEST_F(LogJournalTest, NoLinesAreTakenWhileTooMuchWaitsForTheDisk) {
  const std::string folder = dir_.path() + "/later";
  options_.path = folder + "/journal.db";
  Start();
  std::int64_t taken = 0;
  while (AppendLine("a", taken + 1, 40'000)) ++taken;
  EXPECT_EQ(taken, kMaxBytesBeforeLines / 40'000 + 1);
  std::vector<LogJournal::Lines> lines = {LineOf("a", 1000, clock_.Now())};
  EXPECT_FALSE(journal_->AppendLines(lines));
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0].position->count, 1000) << "as it was";
  EXPECT_EQ(journal_->View().depth.dropped_total(), 0);
  EXPECT_EQ(journal_->View().depth.records(), taken);

  std::filesystem::create_directory(folder);
  journal_->Flush();
  EXPECT_TRUE(AppendLine("a", ++taken));
  EXPECT_THAT(PositionsAfterRestart(), ElementsAre("a:" + std::to_string(taken)));
}

// A failure closes the file; what was appended since the last commit waits in memory for the next one.
TEST_F(LogJournalTest, AFileThatIsOpenedAnewDuringARunGetsThePositionsThatWaited) {
  sqlite::FaultVfs disk(dir_.path());
  Start();
  ASSERT_TRUE(AppendLine("a", 1));
  journal_->Flush();
  disk.Arm({.kind = sqlite::FaultKind::kIoError, .at_call = 1, .sticky = true});
  ASSERT_TRUE(AppendLine("a", 2));
  ASSERT_TRUE(AppendLine("b", 1));
  journal_->KeepSettings({"compose/x"}, clock_.Now());
  journal_->Flush();
  EXPECT_NE(journal_->View().depth.fault(), "");
  ASSERT_TRUE(AppendLine("a", 3));
  journal_->ForgetPositions({"b"});
  disk.Disarm();
  journal_->Flush();
  EXPECT_EQ(journal_->View().depth.fault(), "");
  EXPECT_THAT(Keys(v1::LANE_LOGS), ElementsAre("a1", "a2", "b1", "a3"));
  const LogMemory memory = MemoryAfterRestart();
  ASSERT_THAT(memory.positions, SizeIs(1));
  EXPECT_EQ(memory.positions[0].count, 3);
  EXPECT_THAT(memory.off_keys, ElementsAre("compose/x"));
  journal_.reset();
}

}  // namespace
}  // namespace muster::agent
