// Positions and settings in the journal's file: what is kept, when it goes, and what is left of it after damage.
#include "agent/journal/log_positions.h"

#include <fmt/format.h>
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

LogChanges Set(const LogPosition& position) { return {.positions = {{position.container, position}}}; }
LogChanges Forget(const std::string& container) { return {.positions = {{container, std::nullopt}}}; }
LogChanges Settings(std::vector<std::string> off_keys, absl::Time first) {
  return {.settings = LogChanges::Settings{.off_keys = std::move(off_keys), .first = first}};
}

std::string ContainerId(int number) { return fmt::format("{:064x}", number * 7919); }

v1::Record LinesRecord(int lines, absl::Time when) {
  v1::Record record = LogRecord("lines", when, 900);
  record.mutable_log_lines()->set_kinds(std::string(static_cast<std::size_t>(lines), '\x01'));
  return record;
}

TEST(LogChanges, TheLastWordOnEachCounts) {
  LogChanges changes = Set(PositionOf("a", 1));
  changes.Add(Set(PositionOf("b", 2)));
  changes.Add(Forget("a"));
  changes.Add(Set(PositionOf("b", 3)));
  changes.Add(Forget("c"));
  changes.Add(Set(PositionOf("c", 4)));
  EXPECT_EQ(changes.positions.at("a"), std::nullopt);
  EXPECT_EQ(changes.positions.at("b"), PositionOf("b", 3));
  EXPECT_EQ(changes.positions.at("c"), PositionOf("c", 4));
  EXPECT_FALSE(changes.settings.has_value());
  changes.Add(Settings({"x"}, absl::FromUnixSeconds(10)));
  changes.Add(Settings({"y"}, absl::FromUnixSeconds(20)));
  EXPECT_THAT(changes.settings->off_keys, ElementsAre("y"));
  EXPECT_EQ(changes.settings->first, absl::FromUnixSeconds(10)) << "when they came first";
}

class LogPositionsTest : public JournalStoreTest {
 protected:
  void Change(const LogChanges& changes) {
    const absl::Status changed = store_->Append({}, changes);
    ASSERT_TRUE(changed.ok()) << MessageOf(changed);
  }
  LogMemory Memory() {
    const absl::StatusOr<LogMemory> memory = store_->ReadLogMemory();
    EXPECT_TRUE(memory.ok()) << MessageOf(memory.status());
    return memory.value_or(LogMemory());
  }
  std::vector<std::string> Containers() {
    std::vector<std::string> containers;
    for (const LogPosition& position : Memory().positions) containers.push_back(position.container);
    return containers;
  }
  std::unique_ptr<sqlite::Database> OpenDatabase() const {
    return *sqlite::Database::Open(options_.path, sqlite::OpenMode::kWriter);
  }
};

TEST_F(LogPositionsTest, PositionsAndSettingsComeBack) {
  Open();
  const absl::Time first = clock_.Now();
  EXPECT_THAT(Memory().positions, IsEmpty());
  EXPECT_EQ(Memory().first_settings, std::nullopt);
  Change(Settings({"compose/b", "compose/a", "compose/b"}, first));
  Change(Set(PositionOf("b")));
  ASSERT_TRUE(store_->Append({Numbered(LogRecord("l1", clock_.Now()))}, Set(PositionOf("a", 1))).ok());
  ASSERT_TRUE(store_->Append({Numbered(LogRecord("l2", clock_.Now()))}, Set(PositionOf("a", 2))).ok());
  OpenAs(kSecondEpoch);
  const LogMemory memory = Memory();
  EXPECT_THAT(memory.positions, ElementsAre(PositionOf("a", 2), PositionOf("b")));
  EXPECT_THAT(memory.off_keys, ElementsAre("compose/a", "compose/b"));
  EXPECT_EQ(memory.first_settings, first);
  EXPECT_EQ(memory.lost_since, std::nullopt);
  Change(Forget("a"));
  Change(Forget("never known"));
  Change(Settings({}, first + absl::Hours(1)));
  Open();
  EXPECT_THAT(Containers(), ElementsAre("b"));
  EXPECT_THAT(Memory().off_keys, IsEmpty());
  EXPECT_EQ(Memory().first_settings, first) << "only the first time counts";
  EXPECT_EQ(store_->Lanes().size(), 1u) << "changes alone begin no epoch";
}

TEST_F(LogPositionsTest, BeyondTheBoundTheOneNotWrittenForLongestGoes) {
  Open();
  const int most = static_cast<int>(kMinJournalBytes / kJournalBytesPerPosition);
  LogChanges all;
  for (int i = 1; i < most; ++i) all.Add(Set(PositionOf(ContainerId(i))));
  Change(Set(PositionOf("oldest")));
  Change(all);
  Change(Set(PositionOf("oldest", 2)));
  EXPECT_THAT(Containers(), SizeIs(most));
  Change(Set(PositionOf("new")));
  OpenAs(kSecondEpoch);
  auto containers = Containers();
  EXPECT_THAT(containers, SizeIs(most));
  EXPECT_THAT(containers, testing::IsSupersetOf({"oldest", "new"}));
  LogChanges many;
  for (int i = 0; i < most - 2; ++i) many.Add(Set(PositionOf("n" + ContainerId(i))));
  Change(many);
  containers = Containers();
  EXPECT_THAT(containers, SizeIs(most));
  EXPECT_THAT(containers, testing::IsSupersetOf({"oldest", "new"})) << "all that were written before them have gone";
}

TEST_F(LogPositionsTest, PositionsOfAFullJournalGoForwardAndGapsCountTheLines) {
  Open();
  for (int i = 1; i <= 3000; ++i) {
    ASSERT_TRUE(store_->Append({Numbered(LinesRecord(i % 5, clock_.Now()))}, Set(PositionOf("a", i))).ok()) << i;
    for (int other = 0; other < 3; ++other) Change(Set(PositionOf(ContainerId(i % 300 + other), i)));
  }
  EXPECT_LE(std::filesystem::file_size(options_.path), options_.capacity_bytes + 0u);
  OpenAs(kSecondEpoch);
  const std::vector<v1::Record> records = ReadAll(kFirstEpoch, v1::LANE_LOGS);
  std::int64_t lines = 0;
  for (const v1::Record& record : records) lines += static_cast<std::int64_t>(record.log_lines().kinds().size());
  EXPECT_GT(records.size(), 500u);
  ASSERT_TRUE(records.front().has_gap());
  EXPECT_GT(records.front().gap().lines(), 1000);
  EXPECT_EQ(records.front().gap().lines() + lines, 3000 / 5 * (0 + 1 + 2 + 3 + 4));
  EXPECT_THAT(Memory().positions, testing::Contains(PositionOf("a", 3000)));
}

// A full journal gives up what is on its way just now: the hub stored those lines, and counted them as lost as well.
TEST_F(LogPositionsTest, AGapDoesNotReachAcrossWhatTheHubMayHave) {
  Open();
  std::int64_t appended = 0;
  const auto append = [&] { Append(LinesRecord(static_cast<int>(++appended % 5), clock_.Now())); };
  while (Depth().dropped_total() == 0) append();
  const std::int64_t dropped = Depth().dropped_total();
  const v1::RecordBatch batch = Read(kFirstEpoch, v1::LANE_LOGS, dropped + 1, 20'000);
  const std::int64_t told = dropped + batch.records_size();
  while (Depth().dropped_total() <= told + 100) append();
  const v1::Record next = Read(kFirstEpoch, v1::LANE_LOGS, told + 1, 20'000).records(0);
  ASSERT_TRUE(next.has_gap());
  EXPECT_EQ(next.gap().first_sequence(), told + 1);
  std::int64_t lines = 0;
  for (std::int64_t i = told + 1; i <= next.gap().last_sequence(); ++i) lines += i % 5;
  EXPECT_EQ(next.gap().lines(), lines);
}

TEST_F(LogPositionsTest, ARefusedRecordLeavesItsLinesInTheGap) {
  Open();
  Append(LinesRecord(7, clock_.Now()));
  Ack(kFirstEpoch, v1::LANE_LOGS, 1, {1});
  const auto records = ReadAll(kFirstEpoch, v1::LANE_LOGS);
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].gap().lines(), 7);
}

// A commit that seemed to fail wrote the first of the records that gave way in memory since.
TEST_F(LogPositionsTest, AGapOfWhichTheFileHasAPartCountsTheRest) {
  Open();
  Append(LinesRecord(3, clock_.Now()));
  Append(LinesRecord(4, clock_.Now()));
  const Gap gap{.lane = v1::LANE_LOGS,
                .first_sequence = 1,
                .last_sequence = 4,
                .reason = v1::GAP_REASON_DISK_FULL,
                .lines = 3 + 4 + 10 + 20};
  ASSERT_TRUE(store_->Append({EntryOf(gap)}).ok());
  const auto records = ReadAll(kFirstEpoch, v1::LANE_LOGS);
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_EQ(records[2].gap().first_sequence(), 3);
  EXPECT_EQ(records[2].gap().lines(), 30);
  const auto rest = Read(kFirstEpoch, v1::LANE_LOGS, 4);
  EXPECT_EQ(rest.records(0).gap().lines(), 0) << "of a part of a gap they are not known";
}

TEST_F(LogPositionsTest, WhatIsAnotherTargetsGoes) {
  Open();
  Change(Set(PositionOf("a")));
  Change(Settings({"compose/a"}, clock_.Now()));
  options_.target_id = "tgt_2";
  OpenAs(kSecondEpoch);
  EXPECT_THAT(Memory().positions, IsEmpty());
  EXPECT_THAT(Memory().off_keys, IsEmpty());
  EXPECT_EQ(Memory().first_settings, std::nullopt);
  Change(Set(PositionOf("b")));
  Open();
  EXPECT_THAT(Containers(), ElementsAre("b"));
}

class LogMigrationTest : public LogPositionsTest {
 protected:
  void MakeSchema1() {
    store_.reset();
    const auto database = OpenDatabase();
    const absl::Status made = database->Execute(
        "DROP TABLE log_positions; DROP TABLE log_off; DROP TABLE log_memory; VACUUM; PRAGMA user_version = 1");
    ASSERT_TRUE(made.ok()) << MessageOf(made);
  }
};

TEST_F(LogMigrationTest, AFileOfSchema1OpensAndKeepsItsRecords) {
  Open();
  AppendTransition("t1");
  AppendLog("l1");
  MakeSchema1();
  OpenAs(kSecondEpoch);
  EXPECT_FALSE(std::filesystem::exists(options_.path + ".damaged"));
  EXPECT_THAT(Keys(kFirstEpoch, v1::LANE_EVENTS), ElementsAre("t1"));
  EXPECT_THAT(Keys(kFirstEpoch, v1::LANE_LOGS), ElementsAre("l1"));
  EXPECT_THAT(Memory().positions, IsEmpty());
  EXPECT_EQ(Memory().lost_since, std::nullopt);
  Change(Set(PositionOf("a")));
  Open();
  EXPECT_THAT(Containers(), ElementsAre("a"));
}

TEST_F(LogMigrationTest, AFileOfSchema1ThatIsBeyondItsBoundOpensToo) {
  options_.capacity_bytes = 2 * kMinJournalBytes;
  Open();
  for (int i = 0; i < 1900; ++i) AppendLog(std::to_string(i), 900);
  MakeSchema1();
  options_.capacity_bytes = kMinJournalBytes;
  OpenAs(kSecondEpoch);
  Change(Set(PositionOf("a")));
  AppendTransition("t1");
  EXPECT_THAT(Containers(), ElementsAre("a"));
}

TEST_F(LogMigrationTest, ADamagedFileOfSchema1HasLostNoPosition) {
  Open();
  for (int i = 0; i < 50; ++i) AppendTransition("t" + std::to_string(i), 100);
  MakeSchema1();
  {
    const auto database = OpenDatabase();
    ASSERT_TRUE(database->Execute("UPDATE records SET crc = crc + 1 WHERE id % 7 = 0").ok());
  }
  OpenAs(kSecondEpoch);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
  EXPECT_GT(Depth().dropped_total(), 0);
  EXPECT_EQ(Memory().lost_since, std::nullopt);
}

// ---- damage

class LogDamageTest : public LogPositionsTest {
 protected:
  static constexpr int kContainers = 60;

  // Some pages of positions, some of records; the newest record is one of log lines.
  void Fill() {
    OpenAs(kFirstEpoch);
    const absl::Time first = clock_.Now();
    Change(Settings({"compose/x", "compose/y"}, first));
    for (int i = 1; i <= kContainers; ++i) {
      clock_.Advance(absl::Seconds(1));
      const Entry event = Numbered(TransitionRecord("t" + std::to_string(i), clock_.Now(), 100));
      const Entry line = Numbered(LogRecord("l" + std::to_string(i), clock_.Now(), 100));
      ASSERT_TRUE(store_->Append({event, line}, Set(PositionOf(ContainerId(i), i))).ok());
    }
    newest_ = clock_.Now();
    whole_ = Memory();
    clock_.Advance(absl::Hours(5));
    Close();
  }
  void Close() {
    store_.reset();
    ASSERT_FALSE(std::filesystem::exists(options_.path + "-wal"));
  }
  std::string Content() const {
    std::ifstream file(options_.path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Replace(const std::string& content) const {
    std::ofstream file(options_.path, std::ios::binary | std::ios::trunc);
    file << content;
  }
  // All is as it was, or the file says since when something is lost, and the rest is as it was.
  void CheckMemory() {
    const LogMemory memory = Memory();
    for (const LogPosition& position : memory.positions) {
      EXPECT_THAT(whole_.positions, testing::Contains(position));
    }
    if (memory.lost_since.has_value()) {
      EXPECT_LE(*memory.lost_since, clock_.Now());
      if (memory.first_settings.has_value()) {
        EXPECT_EQ(memory.off_keys, whole_.off_keys);
      }
      return;
    }
    EXPECT_EQ(memory.positions, whole_.positions);
    EXPECT_EQ(memory.off_keys, whole_.off_keys);
    EXPECT_EQ(memory.first_settings, whole_.first_settings);
  }

  LogMemory whole_;
  absl::Time newest_;
};

TEST_F(LogDamageTest, AFlippedBitCostsThatPositionAndTheFileSaysSinceWhen) {
  Fill();
  std::string content = Content();
  // Also where pages keep what moved to others.
  for (std::size_t at = content.find(ContainerId(30)); at != std::string::npos; at = content.find(ContainerId(30))) {
    content[at + 60] ^= 1;
  }
  Replace(content);
  OpenAs(kSecondEpoch);
  EXPECT_THAT(Memory().positions, SizeIs(kContainers - 1));
  EXPECT_EQ(Memory().lost_since, newest_);
  EXPECT_EQ(Memory().first_settings, whole_.first_settings);
  EXPECT_EQ(Memory().off_keys, whole_.off_keys);
  EXPECT_EQ(Depth().dropped_total(), 0);
  Change(Set(PositionOf(ContainerId(30), 1)));
  Change(Settings({}, clock_.Now()));
  Open();
  EXPECT_EQ(Memory().lost_since, newest_) << "other containers, and another start, need it, too";
  EXPECT_THAT(Memory().positions, SizeIs(kContainers));
}

TEST_F(LogDamageTest, WithoutTheKeysThatAreOffNothingIsCollected) {
  Fill();
  std::string content = Content();
  const std::size_t at = content.find("compose/y");
  ASSERT_NE(at, std::string::npos);
  content[at + 8] ^= 1;
  Replace(content);
  OpenAs(kSecondEpoch);
  EXPECT_EQ(Memory().first_settings, std::nullopt);
  EXPECT_THAT(Memory().off_keys, IsEmpty());
  EXPECT_EQ(Memory().positions, whole_.positions);
  EXPECT_EQ(Memory().lost_since, newest_);
}

TEST_F(LogDamageTest, RowsThatVanishAreMissed) {
  for (const bool positions : {true, false}) {
    options_.path = dir_.path() + (positions ? "/positions.db" : "/off.db");
    Fill();
    {
      const auto database = OpenDatabase();
      const absl::Status deleted = positions ? database->Execute("DELETE FROM log_positions WHERE count = 7")
                                             : database->Execute("DELETE FROM log_off WHERE deployment_key LIKE '%x'");
      ASSERT_TRUE(deleted.ok());
    }
    OpenAs(kSecondEpoch);
    EXPECT_EQ(Memory().lost_since, newest_);
    EXPECT_THAT(Memory().positions, SizeIs(positions ? kContainers - 1 : kContainers));
    EXPECT_EQ(Memory().first_settings.has_value(), positions);
  }
}

TEST_F(LogDamageTest, WithoutAnyRecordTheTimeOfTheSalvageCounts) {
  Open();
  Change(Set(PositionOf("a")));
  Close();
  std::string content = Content();
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7);
  Replace(content);
  clock_.Advance(absl::Hours(1));
  const absl::Time salvaged = clock_.Now();
  OpenAs(kSecondEpoch);
  EXPECT_EQ(Memory().lost_since, salvaged);
  clock_.Advance(absl::Hours(1));
  Open(JournalStore::Condition::kBroken);
  EXPECT_EQ(Memory().lost_since, salvaged) << "what is saved a second time says so, too";
  Change(Set(PositionOf("a")));
  Close();
  {
    const auto database = OpenDatabase();
    ASSERT_TRUE(database->Execute("UPDATE log_positions SET crc = crc + 1").ok());
  }
  Open();
  EXPECT_EQ(Memory().lost_since, salvaged) << "nothing was recorded since";
}

// Nothing would be collected until then.
TEST_F(LogDamageTest, ARecordOfTheFutureIsNotSinceWhen) {
  Open();
  clock_.StepWall(absl::Hours(100'000));
  AppendTransition("a");
  clock_.StepWall(-absl::Hours(100'000));
  Change(Set(PositionOf("a")));
  Close();
  {
    const auto database = OpenDatabase();
    ASSERT_TRUE(database->Execute("UPDATE log_positions SET crc = crc + 1").ok());
  }
  OpenAs(kSecondEpoch);
  EXPECT_EQ(Memory().lost_since, clock_.Now());
}

// They were taken for those behind the last lines, which would have been told twice.
TEST_F(LogDamageTest, PositionsOlderThanTheLinesThatWereFoundAreNotTaken) {
  Fill();
  OpenAs(kSecondEpoch);
  ASSERT_TRUE(
      store_->Append({Numbered(LogRecord("later", clock_.Now(), 100))}, Set(PositionOf(ContainerId(3), 99))).ok());
  const absl::Time later = clock_.Now();
  // As after kill -9, and a log that SQLite does not read: the file is that of before.
  const std::string copy = dir_.path() + "/copy.db";
  std::filesystem::copy_file(options_.path, copy);
  std::filesystem::copy_file(options_.path + "-wal", copy + "-wal");
  options_.path = copy;
  {
    std::fstream log(copy + "-wal", std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(16);
    log << "another salt";
  }
  std::string content = Content();
  const std::size_t page = content.find("t20") / 4096;
  for (std::size_t i = 0; i < 4096; ++i) content[page * 4096 + i] = static_cast<char>(i * 7);
  Replace(content);
  clock_.Advance(absl::Hours(1));
  options_.epoch = "33333333333333333333333333333333";
  Open(JournalStore::Condition::kBroken);
  ASSERT_THAT(Keys(kSecondEpoch, v1::LANE_LOGS), ElementsAre("later")) << "from the log's pages";
  EXPECT_THAT(Memory().positions, IsEmpty());
  EXPECT_EQ(Memory().lost_since, later);
}

TEST_F(LogDamageTest, WhateverByteIsFlippedNothingIsTakenForWhole) {
  Fill();
  const std::string whole = Content();
  int lost = 0;
  for (std::size_t at = 0; at < whole.size(); at += 97) {
    SCOPED_TRACE(at);
    std::string content = whole;
    content[at] ^= static_cast<char>(1 << at % 8);
    Replace(content);
    OpenAs(kSecondEpoch);
    CheckMemory();
    lost += Memory().lost_since.has_value() ? 1 : 0;
    if (HasFailure()) return;
    Close();
  }
  EXPECT_GT(lost, 50);
}

TEST_F(LogDamageTest, WhateverPageIsDamagedNothingIsTakenForWhole) {
  Fill();
  const std::string whole = Content();
  for (std::size_t page = 0; page * 4096 < whole.size(); ++page) {
    for (const int by : {0x55, 0}) {
      SCOPED_TRACE(page);
      std::string content = whole;
      for (std::size_t i = page == 0 ? 100 : 0; i < 4096; ++i) {
        content[page * 4096 + i] = static_cast<char>(by == 0 ? 0 : content[page * 4096 + i] ^ by);
      }
      Replace(content);
      OpenAs(kSecondEpoch);
      CheckMemory();
      if (HasFailure()) return;
      Close();
    }
  }
}

TEST_F(LogDamageTest, WhereverTheFileIsCutNothingIsTakenForWhole) {
  Fill();
  const std::string whole = Content();
  // What is shorter SQLite takes for a new file.
  for (std::size_t size = 512; size < whole.size(); size += 1999) {
    SCOPED_TRACE(size);
    Replace(whole.substr(0, size));
    OpenAs(kSecondEpoch);
    CheckMemory();
    if (HasFailure()) return;
    Close();
  }
}

}  // namespace
}  // namespace muster::agent
