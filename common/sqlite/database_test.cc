#include "common/sqlite/database.h"

#include <gtest/gtest.h>

#include "common/files.h"
#include "common/sqlite/testing/fault_vfs.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::sqlite {
namespace {

TEST(Database, KeepsWhatWasBound) {
  TempDir dir;
  auto db = Database::Open(dir.path() + "/a.db", OpenMode::kWriter);
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER, b TEXT, c BLOB, d INTEGER) STRICT").ok());
  const std::string hostile("x'\0\";--", 7);
  {
    auto insert = (*db)->Prepare("INSERT INTO t VALUES(?,?,?,?)");
    ASSERT_TRUE(insert.ok());
    const absl::Status ran = insert->Bind(1, std::int64_t{1} << 40)
                                 .Bind(2, hostile)
                                 .BindBlob(3, "\xFF\x00", 2)
                                 .Bind(4, std::optional<absl::Time>())
                                 .Run();
    ASSERT_TRUE(ran.ok()) << ran;
  }
  auto reader = Database::Open(dir.path() + "/a.db", OpenMode::kReader);
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto select = (*reader)->Prepare("SELECT a,b,c,d FROM t");
  ASSERT_TRUE(select.ok());
  ASSERT_TRUE(*select->Step());
  EXPECT_EQ(select->Int64(0), std::int64_t{1} << 40);
  EXPECT_EQ(select->Text(1), hostile);
  EXPECT_EQ(select->Text(2), std::string("\xFF\x00", 2));
  EXPECT_EQ(select->OptionalTime(3), std::nullopt);
  EXPECT_FALSE(*select->Step());
}

TEST(Database, ErrorsAreTakenForWhatTheyMean) {
  const struct {
    int code;
    const char* reason;
  } cases[] = {{SQLITE_FULL, "DISK_FULL"},
               // What the first connection to a file on a full disk gets.
               {SQLITE_IOERR_SHMSIZE, "DISK_FULL"},
               {SQLITE_IOERR_FSYNC, "DISK_IO"},
               {SQLITE_IOERR_SHMMAP, "DISK_IO"},
               {SQLITE_CORRUPT_VTAB, "DATABASE_CORRUPT"},
               {SQLITE_NOTADB, "DATABASE_CORRUPT"},
               {SQLITE_BUSY_SNAPSHOT, "DATABASE_BUSY"}};
  for (const auto& c : cases) EXPECT_EQ(ReasonOf(StatusFromSqlite(c.code, "m", "c")), c.reason) << c.code;
}

TEST(Database, ReaderCannotWrite) {
  TempDir dir;
  auto db = Database::Open(dir.path() + "/a.db", OpenMode::kWriter);
  ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER) STRICT").ok());
  auto reader = Database::Open(dir.path() + "/a.db", OpenMode::kReader);
  EXPECT_FALSE((*reader)->Execute("INSERT INTO t VALUES(1)").ok());
}

TEST(Database, StatementIsReusedAfterItsUseEnds) {
  TempDir dir;
  auto db = Database::Open(dir.path() + "/a.db", OpenMode::kWriter);
  ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER) STRICT; INSERT INTO t VALUES(1),(2)").ok());
  for (int round = 0; round < 3; ++round) {
    auto select = (*db)->Prepare("SELECT a FROM t ORDER BY a");
    ASSERT_TRUE(select.ok());
    ASSERT_TRUE(*select->Step());
    EXPECT_EQ(select->Int(0), 1);
  }
}

TEST(Database, FileThatIsNoDatabaseIsCorrupt) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/a.db", std::string(8192, 'x'), 0600).ok());
  auto db = Database::Open(dir.path() + "/a.db", OpenMode::kWriter);
  ASSERT_FALSE(db.ok());
  EXPECT_EQ(ReasonOf(db.status()), "DATABASE_CORRUPT");
}

TEST(Database, ConstraintIsAlreadyExists) {
  TempDir dir;
  auto db = Database::Open(dir.path() + "/a.db", OpenMode::kWriter);
  ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES(1)").ok());
  EXPECT_EQ((*db)->Execute("INSERT INTO t VALUES(1)").code(), absl::StatusCode::kAlreadyExists);
}

int CountRows(const std::string& path) {
  auto db = Database::Open(path, OpenMode::kWriter);
  if (!db.ok()) return -1;
  auto count = (*db)->Prepare("SELECT count(*) FROM t");
  return count.ok() && count->Step().value_or(false) ? count->Int(0) : -1;
}

// A commit whose sync failed looked committed to the next run, which built on it; a power cut then took both.
TEST(Database, WhatIsThereAfterAFailedSyncStaysThere) {
  TempDir dir;
  FaultVfs vfs(dir.path());
  const std::string path = dir.path() + "/a.db";
  {
    auto db = Database::Open(path, OpenMode::kWriter);
    ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER) STRICT; INSERT INTO t VALUES(1)").ok());
    // A frame's head and page, then the sync; a disk that fails for good keeps the end of the run from tidying up.
    vfs.Arm({.kind = FaultKind::kIoError, .at_call = 3, .sticky = true});
    ASSERT_FALSE((*db)->Execute("INSERT INTO t VALUES(2)").ok());
    ASSERT_TRUE(vfs.struck());
  }
  vfs.Disarm();
  const int seen = CountRows(path);
  vfs.CutPower();
  vfs.RestorePower(Unsynced::kLost, 1);
  EXPECT_EQ(CountRows(path), seen);
}

// The rollback journal of the switch to a WAL came back after a power cut when a reader had made the WAL.
TEST(Database, PowerCutUndoesNothingWhenAReaderCameFirst) {
  TempDir dir;
  FaultVfs vfs(dir.path());
  const std::string path = dir.path() + "/a.db";
  ASSERT_TRUE(Database::Open(path, OpenMode::kWriter).ok());
  ASSERT_EQ(Database::Open(path, OpenMode::kReader).value()->UserVersion().value(), 0);
  {
    auto db = Database::Open(path, OpenMode::kWriter);
    ASSERT_TRUE((*db)->Execute("CREATE TABLE t(a INTEGER) STRICT; INSERT INTO t VALUES(1)").ok());
    vfs.CutPower();
  }
  vfs.RestorePower(Unsynced::kLost, 1);
  EXPECT_EQ(CountRows(path), 1);
}

}  // namespace
}  // namespace muster::sqlite
