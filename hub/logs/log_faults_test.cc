// Each row of docs/logs.md, "When something is wrong with it", that the log store answers for; what concerns the merger
// and retention is in their tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>

#include "common/sqlite/testing/fault_vfs.h"
#include "hub/logs/log_merger.h"
#include "hub/logs/logs.h"
#include "hub/logs/testing/damage.h"
#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogFaultsTest : public LogStoreTest {
 protected:
  LogFaultsTest() {
    options_.observer.damaged = [this] { ++damaged_; };
    logs_.reset();
    disk_.emplace(dir_.path());
    Open();
  }
  ~LogFaultsTest() override { logs_.reset(); }

  LogCounts CountsOf(const std::string& target) const {
    LogCounts found;
    logs_->VisitCounts([&](const LogCountsByTarget& counts) {
      if (const auto it = counts.find(target); it != counts.end()) found = it->second;
    });
    return found;
  }

  std::int64_t RootPageOf(const std::string& table) {
    std::int64_t page = 0;
    EXPECT_TRUE(logs_->store()
                    .Read([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT rootpage FROM sqlite_schema WHERE name=?"));
                      RETURN_IF_ERROR(s.Bind(1, table).Step().status());
                      page = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
    return page;
  }
  bool Exists(const std::string& suffix) const { return std::filesystem::exists(path() + suffix); }
  void WaitForWriter() {
    EXPECT_TRUE(logs_->store().writer().Run([](sqlite::Database&) { return absl::OkStatus(); }).ok());
  }

  std::optional<sqlite::FaultVfs> disk_;
  int damaged_ = 0;
};

TEST_F(LogFaultsTest, AFullDiskRefusesWholeBatchesAndGoesOnWhenThereIsRoom) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  disk_->Arm({.kind = sqlite::FaultKind::kDiskFull, .at_call = 1, .sticky = true});
  EXPECT_EQ(ReasonOf(TryApply(LogBatch(3, NumberedLines(3, 2))).stored), "DISK_FULL");
  EXPECT_EQ(ReasonOf(logs_->Fault()), "DISK_FULL");
  EXPECT_THAT(MessageOf(logs_->Fault()), HasSubstr("there is no room; agents keep their lines until there is"));
  EXPECT_EQ(CountsOf("tgt_1").lines, 2);
  disk_->Disarm();
  Apply(LogBatch(3, NumberedLines(3, 2)));
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
  EXPECT_THAT(Lines(), ElementsAre("1 1 web-1 1", "2 2 web-1 2", "3 3 web-1 3", "4 4 web-1 4"));
  EXPECT_FALSE(Exists(".bad"));
}

TEST_F(LogFaultsTest, ACommitWithAnIoErrorStopsTheWriterAndQueriesGoOn) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  // Sticky: a checkpoint of the idle writer may come first.
  disk_->Arm({.kind = sqlite::FaultKind::kIoError, .at_call = 1, .sticky = true});
  EXPECT_EQ(ReasonOf(TryApply(LogBatch(3, NumberedLines(3, 2))).stored), "DISK_IO");
  disk_->Disarm();
  EXPECT_EQ(ReasonOf(TryApply(LogBatch(3, NumberedLines(3, 2))).stored), "DISK_IO") << "for good";
  EXPECT_THAT(MessageOf(logs_->Fault()), HasSubstr("look at the disk and restart the hub"));
  EXPECT_THAT(Lines(), ElementsAre("1 1 web-1 1", "2 2 web-1 2"));
  EXPECT_FALSE(Exists(".bad")) << "the file may be whole";
  Open();
  Apply(LogBatch(3, NumberedLines(3, 2)));
  EXPECT_EQ(Lines().size(), 4u);
}

TEST_F(LogFaultsTest, DamageThatTheWriterMetIsSetAsideAtTheNextStart) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  const std::int64_t page = RootPageOf("journal_positions");
  logs_.reset();
  DamagePage(path(), static_cast<std::size_t>(page), 8);
  Open();
  EXPECT_EQ(ReasonOf(TryApply(LogBatch(3, NumberedLines(3, 2))).stored), "DATABASE_CORRUPT");
  EXPECT_TRUE(Exists(".bad"));
  EXPECT_EQ(ReasonOf(logs_->Fault()), "DATABASE_CORRUPT");
  Open();
  EXPECT_FALSE(Exists(".bad"));
  EXPECT_TRUE(Exists(".damaged"));
  EXPECT_EQ(logs_->Fault(), absl::OkStatus());
  EXPECT_THAT(Lines(), IsEmpty());
  Apply(LogBatch(1, NumberedLines(1, 1)));
  Open();
  EXPECT_EQ(Lines().size(), 1u) << "set aside once";
}

TEST_F(LogFaultsTest, AStartThatFailsWhileSettingAsideLosesNeitherFile) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  logs_.reset();
  std::ofstream(path() + ".bad") << "damage\n";
  std::filesystem::rename(path(), path() + ".damaged");
  const auto size = std::filesystem::file_size(path() + ".damaged");
  // The start that was killed behind the renaming.
  Open();
  EXPECT_FALSE(Exists(".bad"));
  EXPECT_EQ(std::filesystem::file_size(path() + ".damaged"), size);
}

TEST_F(LogFaultsTest, TablesThatCannotBeReadAtTheStartAreSetAside) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  const std::int64_t page = RootPageOf("log_tail");
  logs_.reset();
  DamagePage(path(), static_cast<std::size_t>(page), 8);
  Open();
  EXPECT_TRUE(Exists(".damaged"));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(LogFaultsTest, ADamagedChunkIsMarkedAndCountedOnce) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  auto merger = LogMerger::Open(logs_.get());
  ASSERT_TRUE(merger.ok());
  ASSERT_TRUE((*merger)->Turn(origin_.arrived + absl::Minutes(10), [] { return true; }).ok());
  merger->reset();
  const ChunkKey key{.source = 1, .last_us = absl::ToUnixMicros(LogAt(2)), .first_line = 1};
  logs_->NoteDamaged(key);
  logs_->NoteDamaged(key);
  logs_->NoteDamaged({.source = 1, .last_us = 5, .first_line = 1});
  WaitForWriter();
  EXPECT_EQ(damaged_, 1);
  EXPECT_EQ(Number("SELECT damaged FROM log_chunks"), 1);
}

TEST_F(LogFaultsTest, TheListenerHearsOfLinesAndOfNothingElse) {
  int heard = 0;
  logs_->SetListener([&] { ++heard; });
  Apply(LogBatch(1, NumberedLines(1, 2)));
  EXPECT_EQ(heard, 1);
  Apply(LogBatch(1, NumberedLines(1, 2)));
  Apply(LogBatch(3, {LogGap(3, 4, 5)}));
  TryApply(LogBatch(5, NumberedLines(5, 1)), absl::FailedPreconditionError("rotated"));
  EXPECT_EQ(heard, 1) << "nothing new, a gap, nothing stored";
  logs_->SetListener(nullptr);
  Apply(LogBatch(5, NumberedLines(5, 1)));
  EXPECT_EQ(heard, 1);
}

TEST_F(LogFaultsTest, LinesAndWhatIsMissingAreCountedByTarget) {
  agent::v1::Record record =
      LinesRecord(1, {"a", "RATE 7 1795238661123456", "b", "OFF 0 0", "MADE_UP 3 0", "RATE", "DAMAGED -4 0"});
  record.mutable_log_lines()->set_kinds("\x01\x41\x01\x41\x41\x41\x41");
  Apply(LogBatch(1, {record, LogGap(2, 5, 40)}));
  Apply(LogBatch(1, {record, LogGap(2, 5, 40)}));
  const LogCounts counts = CountsOf("tgt_1");
  EXPECT_EQ(counts.lines, 2);
  EXPECT_EQ(counts.bytes, static_cast<std::int64_t>(record.log_lines().text().size()));
  EXPECT_THAT(counts.dropped, ElementsAre(std::pair("DAMAGED", 0), std::pair("JOURNAL_FULL", 40), std::pair("OFF", 0),
                                          std::pair("OTHER", 3), std::pair("RATE", 7)));
}

}  // namespace
}  // namespace muster::hub
