// What the journal makes of files that lost bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "agent/journal/journal_salvage.h"
#include "agent/journal/testing/journal_fixture.h"
#include "common/sqlite/testing/fault_vfs.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class JournalDamageTest : public JournalStoreTest {
 protected:
  // 200 records in each lane of two epochs: some 40 pages.
  void Fill() {
    for (const char* epoch : {kFirstEpoch, kSecondEpoch}) {
      OpenAs(epoch);
      std::vector<Entry> entries;
      for (int i = 1; i <= 200; ++i) {
        clock_.Advance(absl::Seconds(1));
        entries.push_back(Numbered(TransitionRecord("t" + std::to_string(i), clock_.Now(), 100)));
        entries.push_back(Numbered(LogRecord("l" + std::to_string(i), clock_.Now(), 100)));
      }
      ASSERT_TRUE(store_->Append(entries).ok());
    }
    Ack(kFirstEpoch, v1::LANE_EVENTS, 50);
    Close();
  }
  // Everything is in the file, nothing in the log.
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
  // Swaps the first two branches of the first inner page of the records' tree: no checksum notices that.
  // https://www.sqlite.org/fileformat2.html#b_tree_pages
  void SwapBranches() const {
    std::string content = Content();
    constexpr std::size_t kPageBytes = 4096;
    constexpr char kInnerTablePage = 5;
    for (std::size_t page = kPageBytes; page < content.size(); page += kPageBytes) {
      if (content[page] != kInnerTablePage) continue;
      const auto cell = [&](std::size_t index) {
        const auto* at = reinterpret_cast<const unsigned char*>(&content[page + 12 + 2 * index]);
        return page + (std::size_t{at[0]} << 8 | at[1]);
      };
      std::swap_ranges(&content[cell(0)], &content[cell(0)] + 4, &content[cell(1)]);
      Replace(content);
      return;
    }
    FAIL() << "the tree has no inner page";
  }
  // A record is either as it was or part of a gap; returns how many are as they were.
  int CheckLane(const std::string& epoch, v1::Lane lane) {
    const char prefix = lane == v1::LANE_LOGS ? 'l' : 't';
    std::int64_t sequence = 1;
    int held = 0;
    for (const v1::Record& record : ReadAll(epoch, lane)) {
      if (record.has_gap()) {
        sequence = record.gap().last_sequence() + 1;
        continue;
      }
      EXPECT_EQ(KeyOf(record), prefix + std::to_string(sequence));
      ++sequence;
      ++held;
    }
    EXPECT_LE(sequence, 201);
    return held;
  }
  int CheckAll() {
    int held = 0;
    for (const char* epoch : {kFirstEpoch, kSecondEpoch}) {
      for (const v1::Lane lane : {v1::LANE_EVENTS, v1::LANE_LOGS}) held += CheckLane(epoch, lane);
    }
    return held;
  }
  // The agent goes on as if nothing had been.
  void CheckThatItWorks() {
    OpenAs("33333333333333333333333333333333");
    AppendTransition("new");
    EXPECT_THAT(Keys("33333333333333333333333333333333", v1::LANE_EVENTS), ElementsAre("new"));
  }
};

TEST_F(JournalDamageTest, AFlippedBitInARecordCostsThatRecord) {
  Fill();
  std::string content = Content();
  const std::size_t at = content.find("t120");
  ASSERT_NE(at, std::string::npos);
  content[at + 1] ^= 1;
  Replace(content);
  Open();
  const auto keys = Keys(kFirstEpoch, v1::LANE_EVENTS);
  EXPECT_EQ(keys[119], "DAMAGED 120-120");
  EXPECT_EQ(CheckAll(), 799);
  EXPECT_EQ(Depth().dropped_total(), 1);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
  Open();
  EXPECT_EQ(Depth().dropped_total(), 1) << "counted once";
}

TEST_F(JournalDamageTest, ADamagedPageCostsItsRecordsAndTheFileIsSetAside) {
  Fill();
  std::string content = Content();
  const std::size_t page = content.find("t120") / 4096;
  for (std::size_t i = 0; i < 4096; ++i) content[page * 4096 + i] = static_cast<char>(i * 7);
  Replace(content);
  Open();
  const int held = CheckAll();
  EXPECT_GE(held, 800 - 40);
  EXPECT_LT(held, 800);
  EXPECT_EQ(Depth().dropped_total(), 800 - held);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
  EXPECT_EQ(Lane(kFirstEpoch, v1::LANE_EVENTS).acked_sequence, 50);
  CheckThatItWorks();
}

// SQLite refuses such a file as a whole; without its lanes nobody knew that the end was missing.
TEST_F(JournalDamageTest, AFileThatWasCutOffTellsWhatIsMissing) {
  Fill();
  const std::string whole = Content();
  for (const std::size_t size : {whole.size() / 2 + 100, whole.size() - 1, whole.size() * 9 / 10}) {
    SCOPED_TRACE(size);
    Replace(whole.substr(0, size));
    std::filesystem::remove(options_.path + ".damaged");
    OpenAs("33333333333333333333333333333333");
    const int held = CheckAll();
    EXPECT_GT(held, 200);
    EXPECT_LT(held, 800);
    for (const char* epoch : {kFirstEpoch, kSecondEpoch}) {
      for (const v1::Lane lane : {v1::LANE_EVENTS, v1::LANE_LOGS}) EXPECT_EQ(Lane(epoch, lane).last_sequence, 200);
    }
    EXPECT_EQ(Depth().dropped_total(), 800 - held);
    CheckThatItWorks();
    Close();
  }
}

TEST_F(JournalDamageTest, WhateverPageIsDamagedTheAgentStarts) {
  Fill();
  const std::string whole = Content();
  for (std::size_t page = 0; page * 4096 < whole.size(); ++page) {
    SCOPED_TRACE(page);
    std::string content = whole;
    for (std::size_t i = 16; i < 4000; i += 3) content[page * 4096 + i] ^= 0x55;
    Replace(content);
    OpenAs(kSecondEpoch);
    const int held = CheckAll();
    EXPECT_GE(held, 750);
    CheckThatItWorks();
    Close();
  }
}

TEST_F(JournalDamageTest, WhateverByteIsFlippedTheAgentStartsAndTellsNothingWrong) {
  Fill();
  const std::string whole = Content();
  // 397 is no divisor of a page: all kinds of places come along.
  for (std::size_t at = 0; at < whole.size(); at += 397) {
    SCOPED_TRACE(at);
    std::string content = whole;
    content[at] ^= 0x10;
    Replace(content);
    OpenAs(kSecondEpoch);
    const int held = CheckAll();
    EXPECT_GE(held, 750);
    if (HasFailure()) return;
    Close();
  }
}

TEST_F(JournalDamageTest, WhereverTheFileIsCutTheAgentStarts) {
  Fill();
  const std::string whole = Content();
  int most = 0;
  for (std::size_t size = 0; size < whole.size(); size += 1999) {
    SCOPED_TRACE(size);
    Replace(whole.substr(0, size));
    OpenAs(kSecondEpoch);
    most = std::max(most, CheckAll());
    CheckThatItWorks();
    if (HasFailure()) return;
    Close();
  }
  EXPECT_GT(most, 500) << "a file that lost its last bytes has most of its records";
}

TEST_F(JournalDamageTest, LargeRecordsAreSavedFromTheirPages) {
  Open();
  for (const std::size_t padding : {100u, 3900u, 4000u, 4061u, 4100u, 5000u, 8200u, 59'000u}) {
    AppendLog(std::to_string(padding), padding);
  }
  Close();
  std::string content = Content();
  content[100] ^= 0x7F;  // SQLite cannot read anything
  Replace(content);
  Open();
  EXPECT_THAT(Keys(kFirstEpoch, v1::LANE_LOGS),
              ElementsAre("100", "3900", "4000", "4061", "4100", "5000", "8200", "59000"));
}

TEST_F(JournalDamageTest, WhatIsInTheWriteAheadLogIsSavedToo) {
  Open();
  AppendTransition("a");
  // As after kill -9: the log was not moved into the file.
  const std::string copy = dir_.path() + "/copy.db";
  std::filesystem::copy_file(options_.path, copy);
  std::filesystem::copy_file(options_.path + "-wal", copy + "-wal");
  options_.path = copy;
  std::string content = Content();
  content[0] ^= 0x7F;
  Replace(content);
  Open();
  EXPECT_THAT(Keys(kFirstEpoch, v1::LANE_EVENTS), ElementsAre("a"));
}

TEST_F(JournalDamageTest, ATreeWithWrongBranchesCostsNoRecord) {
  Fill();
  SwapBranches();
  OpenAs(kSecondEpoch);
  EXPECT_EQ(CheckAll(), 800);
  EXPECT_EQ(Depth().dropped_total(), 0);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
  CheckThatItWorks();
}

TEST_F(JournalDamageTest, ASalvageThatFillsTheDiskLeavesNothingBehindAndIsDoneLater) {
  Fill();
  std::string content = Content();
  content[content.find("t120")] ^= 1;
  Replace(content);
  sqlite::FaultVfs disk(dir_.path());
  // Wherever it gets full: at the new file's first page, or when all records are in it.
  bool was_told_full = false;
  std::int64_t at_call = 1;
  for (;; at_call += 7) {
    SCOPED_TRACE(at_call);
    disk.Arm({.kind = sqlite::FaultKind::kDiskFull, .at_call = at_call, .sticky = true});
    const auto opened = JournalStore::Open(options_, clock_.Now());
    if (std::filesystem::exists(options_.path + ".damaged")) break;
    ASSERT_FALSE(opened.ok());
    was_told_full = was_told_full || ReasonOf(opened.status()) == "DISK_FULL";
    for (const char* suffix : {".salvage", ".salvage-wal", ".salvage-shm"}) {
      EXPECT_FALSE(std::filesystem::exists(options_.path + suffix)) << suffix;
    }
    EXPECT_TRUE(Content() == content) << "the damaged file is as it was";
    if (HasFailure()) return;
  }
  EXPECT_GT(at_call, 20) << "the disk got full during the salvage";
  EXPECT_TRUE(was_told_full);
  disk.Disarm();
  OpenAs(kSecondEpoch);
  EXPECT_EQ(CheckAll(), 799);
  store_.reset();
}

TEST_F(JournalDamageTest, RecordsOfAFormerTargetDoNotComeBackFromFreePages) {
  Fill();
  options_.target_id = "tgt_2";
  OpenAs("33333333333333333333333333333333");
  AppendTransition("new");
  Close();
  std::string content = Content();
  EXPECT_EQ(content.find("t120"), std::string::npos);
  content[100] ^= 0x7F;  // SQLite cannot read anything: its pages are searched
  Replace(content);
  Open();
  EXPECT_THAT(Keys(options_.epoch, v1::LANE_EVENTS), ElementsAre("new"));
  EXPECT_EQ(store_->Lanes().size(), 1u);
}

TEST_F(JournalDamageTest, SomethingElseInItsPlaceIsSetAside) {
  Replace("this is no database, it only has its name\n");
  Open();
  AppendTransition("a");
  EXPECT_THAT(Keys(kFirstEpoch, v1::LANE_EVENTS), ElementsAre("a"));
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
}

TEST_F(JournalDamageTest, AFileThatIsSaidToBeBrokenIsBuiltAnew) {
  Fill();
  Open(JournalStore::Condition::kBroken);
  EXPECT_EQ(CheckAll(), 800);
  EXPECT_EQ(Depth().dropped_total(), 0);
  EXPECT_EQ(Lane(kFirstEpoch, v1::LANE_EVENTS).acked_sequence, 50);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
}

TEST_F(JournalDamageTest, ASalvageThatACrashInterruptedIsFinished) {
  Fill();
  // Between the two renames, with the old file's log still in place.
  std::filesystem::rename(options_.path, options_.path + ".salvage");
  std::ofstream(options_.path + "-wal") << "of the old file";
  OpenAs(kSecondEpoch);
  EXPECT_EQ(CheckAll(), 800);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged-wal"));
}

TEST_F(JournalDamageTest, AHalfBuiltSalvageIsThrownAway) {
  Fill();
  std::ofstream(options_.path + ".salvage") << "half";
  OpenAs(kSecondEpoch);
  EXPECT_EQ(CheckAll(), 800);
  EXPECT_FALSE(std::filesystem::exists(options_.path + ".salvage"));
}

TEST_F(JournalDamageTest, AFileOfANewerAgentIsSetAside) {
  Fill();
  {
    const auto database = sqlite::Database::Open(options_.path, sqlite::OpenMode::kWriter);
    ASSERT_TRUE((*database)->Execute("PRAGMA user_version = 99").ok());
  }
  OpenAs(kSecondEpoch);
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".damaged"));
  CheckThatItWorks();
}

TEST_F(JournalDamageTest, TheFolderThatCannotBeWrittenIsAnErrorAndNoDamage) {
  options_.path = dir_.path() + "/missing/journal.db";
  const auto opened = JournalStore::Open(options_, clock_.Now());
  EXPECT_FALSE(opened.ok());
}

}  // namespace
}  // namespace muster::agent
