#include "hub/store/store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "hub/store/reads.h"
#include "hub/store/testing/test_database.h"

namespace muster::hub {
namespace {

class StoreTest : public ::testing::Test {
 protected:
  std::string path() const { return dir_.path() + "/hub.db"; }
  std::string OpenReason() {
    const auto store = Store::Open(path());
    return ReasonOf(store.status());
  }
  TempDir dir_;
};

TEST_F(StoreTest, KeepsWhatWasWrittenAcrossReopening) {
  {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->writer()
                    .Run([](sqlite::Database& database) { return InsertTarget(database, NewTarget("tgt_1", "one")); })
                    .ok());
    EXPECT_GT((*store)->SizeBytes(), 4096);
  }
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)
                  ->Read([](sqlite::Database& database) -> absl::Status {
                    ASSIGN_OR_RETURN(const auto targets, LoadTargets(database));
                    EXPECT_EQ(targets.size(), 1U);
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST_F(StoreTest, IsReadableByItsUserAlone) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(stat((path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600U) << suffix;
  }
}

TEST_F(StoreTest, ReadersCannotWrite) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status written =
      (*store)->Read([](sqlite::Database& database) { return database.Execute("INSERT INTO meta VALUES('k', 'v')"); });
  EXPECT_EQ(ReasonOf(written), "DATABASE_UNREADABLE") << written;
}

TEST_F(StoreTest, ReadsWaitForAFreeConnectionAndAllGetTheirTurn) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  std::atomic<int> inside{0};
  std::atomic<int> finished{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < Store::kReaders * 3; ++i) {
    threads.emplace_back([&] {
      const absl::Status status = (*store)->Read([&](sqlite::Database& database) -> absl::Status {
        EXPECT_LE(++inside, Store::kReaders);
        opened.wait();
        --inside;
        return LoadTokens(database).status();
      });
      EXPECT_TRUE(status.ok()) << status;
      ++finished;
    });
  }
  gate.set_value();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(finished, Store::kReaders * 3);
}

TEST_F(StoreTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path()) << "this is my shopping list, long enough to be read as a header: milk, bread, butter, eggs, "
                           "and some more things that do not matter";
  const auto store = Store::Open(path());
  EXPECT_EQ(ReasonOf(store.status()), "DATABASE_CORRUPT");
  EXPECT_NE(MessageOf(store.status()).find("restore the last backup"), std::string::npos) << store.status();
  EXPECT_EQ(ReadFile(path())->substr(0, 24), "this is my shopping list");
}

TEST_F(StoreTest, RefusesADamagedDatabase) {
  {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
  }
  const auto size = static_cast<std::int64_t>(ReadFile(path(), 10 << 20)->size());
  ASSERT_GT(size, 5 * 4096);
  {
    // Every page but the first, which holds the schema.
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(static_cast<std::size_t>(size - 4096), '\x5A');
  }
  EXPECT_EQ(OpenReason(), "DATABASE_CORRUPT");
}

TEST_F(StoreTest, RefusesATruncatedDatabase) {
  {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
  }
  ASSERT_EQ(truncate(path().c_str(), 3 * 4096), 0);
  EXPECT_EQ(OpenReason(), "DATABASE_CORRUPT");
}

TEST_F(StoreTest, RefusesAPathThatIsAFolder) {
  ASSERT_TRUE(MakeDirectories(path(), 0700).ok());
  const auto store = Store::Open(path());
  EXPECT_EQ(ReasonOf(store.status()), "DATABASE_UNREADABLE") << store.status();
}

// Opening for writing switches a file to WAL: that must not happen to a file that is refused.
TEST_F(StoreTest, LeavesAnotherProgramsDatabaseUntouched) {
  sqlite3* foreign = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &foreign), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(foreign, "CREATE TABLE bookmarks(url TEXT)", nullptr, nullptr, nullptr), SQLITE_OK);
  ASSERT_EQ(sqlite3_close(foreign), SQLITE_OK);
  const std::string before = *ReadFile(path());
  const auto store = Store::Open(path());
  EXPECT_EQ(ReasonOf(store.status()), "DATABASE_FOREIGN") << store.status();
  EXPECT_NE(MessageOf(store.status()).find(path()), std::string::npos) << store.status();
  EXPECT_EQ(*ReadFile(path()), before);
}

TEST_F(StoreTest, LeavesANewerDatabaseUntouched) {
  {
    auto database = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE(Migrate(**database).ok());
    ASSERT_TRUE((*database)->Execute("PRAGMA user_version=99").ok());
  }
  const std::string before = *ReadFile(path());
  EXPECT_EQ(OpenReason(), "DATABASE_TOO_NEW");
  EXPECT_EQ(*ReadFile(path()), before);
}

TEST(DataDirLock, RefusesASecondHubUntilTheFirstIsGone) {
  TempDir dir;
  {
    auto first = DataDirLock::Acquire(dir.path());
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = DataDirLock::Acquire(dir.path());
    EXPECT_EQ(ReasonOf(second.status()), "DATA_DIR_IN_USE");
    EXPECT_NE(MessageOf(second.status()).find(dir.path()), std::string::npos);
    DataDirLock moved = *std::move(first);
    EXPECT_EQ(ReasonOf(DataDirLock::Acquire(dir.path()).status()), "DATA_DIR_IN_USE");
  }
  EXPECT_TRUE(DataDirLock::Acquire(dir.path()).ok());
}

TEST(DataDirLock, SaysWhichFolderCannotBeUsed) {
  const auto lock = DataDirLock::Acquire("/nonexistent/muster");
  EXPECT_NE(MessageOf(lock.status()).find("/nonexistent/muster/lock"), std::string::npos) << lock.status();
}

}  // namespace
}  // namespace muster::hub
