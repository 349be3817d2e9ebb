#include "common/sqlite/testing/fault_vfs.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "common/sqlite/database.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::sqlite {
namespace {

constexpr int kRows = 7;
constexpr int kRowsPerCheckpoint = 3;

// A writer that commits row after row, and what it was told.
class RowsUnderFaults {
 public:
  RowsUnderFaults() : vfs_(dir_.path()) {}

  FaultVfs& vfs() { return vfs_; }

  void Write(bool synchronous) {
    acked_.clear();
    auto db = Database::Open(path(), OpenMode::kWriter);
    if (!db.ok() || (!synchronous && !(*db)->Execute("PRAGMA synchronous=OFF").ok())) return;
    if (!(*db)->Execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b TEXT) STRICT").ok()) return;
    for (int row = 1; row <= kRows; ++row) {
      if (Insert(**db, row).ok()) {
        acked_.insert(row);
      } else {
        (*db)->Execute("ROLLBACK").IgnoreError();
      }
      if (row % kRowsPerCheckpoint == 0) (*db)->Checkpoint().IgnoreError();
    }
  }

  // Committed rows that are not there any more; -1: the database is damaged.
  int CountLost() {
    if (acked_.empty()) return 0;
    auto db = Database::Open(path(), OpenMode::kWriter);
    if (!db.ok() || !Healthy(**db)) return -1;
    std::set<int> lost = acked_;
    auto rows = (*db)->Prepare("SELECT a FROM t");
    if (!rows.ok()) return -1;
    while (rows->Step().value_or(false)) lost.erase(rows->Int(0));
    return static_cast<int>(lost.size());
  }

 private:
  static absl::Status Insert(Database& db, int row) {
    RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
    ASSIGN_OR_RETURN(Statement insert, db.Prepare("INSERT INTO t VALUES(?,?)"));
    RETURN_IF_ERROR(insert.Bind(1, row).Bind(2, std::string(3000, 'x')).Run());
    return db.Execute("COMMIT");
  }
  static bool Healthy(Database& db) {
    auto check = db.Prepare("PRAGMA integrity_check(1)");
    return check.ok() && check->Step().value_or(false) && check->Text(0) == "ok";
  }
  std::string path() const { return dir_.path() + "/a.db"; }

  TempDir dir_;
  FaultVfs vfs_;
  std::set<int> acked_;
};

struct Sweep {
  int points = 0;
  // Disks on which something committed is missing, or nothing can be read.
  int bad = 0;
};

// Cuts the power at every call, and looks at three disks that such a cut may leave.
Sweep CutEverywhere(bool synchronous, bool syncs_lie) {
  Sweep sweep;
  while (true) {
    RowsUnderFaults rows;
    rows.vfs().set_syncs_lie(syncs_lie);
    rows.vfs().Arm({.kind = FaultKind::kPowerCut, .at_call = sweep.points + 1});
    rows.Write(synchronous);
    if (!rows.vfs().struck()) return sweep;
    ++sweep.points;
    for (const Unsynced unsynced : {Unsynced::kLost, Unsynced::kKept, Unsynced::kSome}) {
      rows.vfs().RestorePower(unsynced, sweep.points);
      sweep.bad += rows.CountLost() != 0;
    }
  }
}

TEST(FaultVfs, PowerCutTakesNothingThatWasSynced) {
  const Sweep sweep = CutEverywhere(true, false);
  EXPECT_GT(sweep.points, 50);
  EXPECT_EQ(sweep.bad, 0);
}

TEST(FaultVfs, PowerCutTakesWhatWasNotSynced) {
  const Sweep sweep = CutEverywhere(false, false);
  EXPECT_GT(sweep.bad, 20);
}

TEST(FaultVfs, PowerCutTakesAllFromADiskThatLies) {
  const Sweep sweep = CutEverywhere(true, true);
  EXPECT_GT(sweep.bad, 20);
}

TEST(FaultVfs, OtherOutcomesOfACutStartFromTheSameDisk) {
  RowsUnderFaults rows;
  rows.Write(false);
  rows.vfs().CutPower();
  rows.vfs().RestorePower(Unsynced::kLost, 1);
  EXPECT_NE(rows.CountLost(), 0);
  rows.vfs().RestorePower(Unsynced::kKept, 1);
  EXPECT_EQ(rows.CountLost(), 0);
  rows.vfs().RestorePower(Unsynced::kLost, 1);
  EXPECT_NE(rows.CountLost(), 0);
}

TEST(FaultVfs, FailuresTakeNothingThatWasCommitted) {
  for (const FaultKind kind : {FaultKind::kIoError, FaultKind::kDiskFull, FaultKind::kShortWrite}) {
    for (const bool sticky : {false, true}) {
      std::int64_t point = 1;
      for (bool struck = true; struck; ++point) {
        RowsUnderFaults rows;
        rows.vfs().Arm({.kind = kind, .at_call = point, .sticky = sticky});
        rows.Write(true);
        struck = rows.vfs().struck();
        rows.vfs().Disarm();
        rows.vfs().CutPower();
        for (const Unsynced unsynced : {Unsynced::kKept, Unsynced::kLost}) {
          rows.vfs().RestorePower(unsynced, 1);
          EXPECT_EQ(rows.CountLost(), 0) << "call " << point << ", kind " << static_cast<int>(kind);
        }
      }
      EXPECT_GT(point, 50);
    }
  }
}

// A failed sync drops what it was to write, although the process still sees it and the next sync succeeds.
TEST(FaultVfs, FailedSyncIsNotMadeGoodByTheNext) {
  TempDir dir;
  FaultVfs vfs(dir.path());
  sqlite3_vfs* const layer = sqlite3_vfs_find(nullptr);
  const std::string path = std::filesystem::canonical(dir.path()).string() + "/plain";
  const std::string buffer(static_cast<std::size_t>(layer->szOsFile), '\0');
  auto* const file = reinterpret_cast<sqlite3_file*>(const_cast<char*>(buffer.data()));
  // SQLite ends a name with more than one zero.
  const std::string name = path + std::string(4, '\0');
  ASSERT_EQ(layer->xOpen(layer, name.c_str(), file, SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE,
                         nullptr),
            SQLITE_OK);
  ASSERT_EQ(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
  ASSERT_EQ(file->pMethods->xWrite(file, "abc", 3, 0), SQLITE_OK);
  vfs.Arm({.kind = FaultKind::kIoError, .at_call = 1});
  EXPECT_EQ(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_IOERR_FSYNC);
  EXPECT_EQ(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
  file->pMethods->xClose(file);
  EXPECT_EQ(std::filesystem::file_size(path), 3U);
  vfs.CutPower();
  vfs.RestorePower(Unsynced::kKept, 1);
  EXPECT_EQ(std::filesystem::file_size(path), 0U);
}

}  // namespace
}  // namespace muster::sqlite
