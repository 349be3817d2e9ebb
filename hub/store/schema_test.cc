#include "hub/store/schema.h"

#include <gtest/gtest.h>

#include <string>

#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::hub {
namespace {

std::unique_ptr<sqlite::Database> OpenIn(const TempDir& dir) {
  auto database = sqlite::Database::Open(dir.path() + "/t.db", sqlite::OpenMode::kWriter);
  EXPECT_TRUE(database.ok()) << database.status();
  return *std::move(database);
}

TEST(Migrate, MakesAFreshDatabaseAndLeavesAReadyOneAlone) {
  TempDir dir;
  auto database = OpenIn(dir);
  ASSERT_TRUE(Migrate(*database).ok());
  EXPECT_EQ(database->UserVersion().value(), kSchemaVersion);
  ASSERT_TRUE(database->Execute("INSERT INTO meta VALUES('k', 'v')").ok());
  ASSERT_TRUE(Migrate(*database).ok());
  EXPECT_TRUE(database->Prepare("SELECT value FROM meta")->Step().value());
}

TEST(Migrate, RefusesANewerDatabaseAndChangesNothing) {
  TempDir dir;
  auto database = OpenIn(dir);
  ASSERT_TRUE(Migrate(*database).ok());
  ASSERT_TRUE(database->Execute("CREATE TABLE of_the_future(x); PRAGMA user_version=99").ok());
  const absl::Status refused = Migrate(*database);
  EXPECT_EQ(ReasonOf(refused), "DATABASE_TOO_NEW");
  EXPECT_NE(MessageOf(refused).find("schema 99"), std::string::npos) << refused;
  EXPECT_EQ(database->UserVersion().value(), 99);
  EXPECT_TRUE(database->Prepare("SELECT * FROM of_the_future").ok());
}

TEST(Migrate, RefusesADatabaseOfAnotherProgram) {
  TempDir dir;
  auto database = OpenIn(dir);
  ASSERT_TRUE(database->Execute("CREATE TABLE bookmarks(url TEXT); PRAGMA user_version=1").ok());
  EXPECT_EQ(ReasonOf(Migrate(*database)), "DATABASE_FOREIGN");
  EXPECT_FALSE(database->Prepare("SELECT * FROM targets").ok());
}

TEST(Migrate, RollsBackAStepThatFails) {
  TempDir dir;
  auto database = OpenIn(dir);
  // Ours by its mark, but a table is there already: the step fails in its middle.
  ASSERT_TRUE(database->Execute("CREATE TABLE audit(x); PRAGMA application_id=0x4D555354").ok());
  EXPECT_FALSE(Migrate(*database).ok());
  EXPECT_EQ(database->UserVersion().value(), 0);
  EXPECT_FALSE(database->Prepare("SELECT * FROM meta").ok()) << "nothing of the step stays";
  EXPECT_TRUE(database->Execute("BEGIN IMMEDIATE; COMMIT").ok()) << "no transaction is left open";
}

}  // namespace
}  // namespace muster::hub
