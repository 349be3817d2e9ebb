#include "hub/store/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "hub/store/reads.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

// ---- from version 1, whose history was intervals

// As version 1 wrote it: 5 running, 3 error, 2 stale.
constexpr sqlite::Sql kOldHistory = R"sql(
INSERT INTO targets(id, name, type, customer, created_us, deleted_us, secret_hash, secret_generation) VALUES
  ('tgt_here', 'here', 1, '', 0, NULL, X'00', 1),
  ('tgt_mute', 'mute', 1, '', 0, NULL, X'00', 1),
  ('tgt_gone', 'gone', 1, '', 0, 500, X'00', 1);
INSERT INTO target_intervals(target_id, from_us, to_us, state, reason) VALUES
  ('tgt_here', 0, 10, 1, 'created'), ('tgt_here', 10, NULL, 2, 'came'),
  ('tgt_mute', 0, 10, 1, 'created'), ('tgt_mute', 10, NULL, 2, 'came'),
  ('tgt_gone', 0, 500, 1, 'created');
INSERT INTO deployments(id, target_id, key, created_us, archived_us, revision_us, report) VALUES
  ('dep_live', 'tgt_here', 'a', 10, NULL, 10, X''),
  ('dep_back', 'tgt_here', 'b', 10, NULL, 10, X''),
  ('dep_past', 'tgt_here', 'c', 10, 300, 10, X''),
  ('dep_mute', 'tgt_mute', 'd', 10, NULL, 10, X''),
  ('dep_mpast', 'tgt_mute', 'e', 10, 250, 10, X''),
  ('dep_gone', 'tgt_gone', 'f', 10, NULL, 10, X'');
INSERT INTO deployment_intervals(deployment_id, from_us, to_us, status, message, application_version, revision) VALUES
  ('dep_live', 10, 100, 5, 'up', '1', 'r1'), ('dep_live', 100, 150, 2, 'not reported', '1', 'r1'),
  ('dep_live', 150, 200, 5, 'up', '1', 'r1'), ('dep_live', 200, NULL, 3, 'down', '2', 'r2'),
  ('dep_back', 10, 100, 5, '', '', ''), ('dep_back', 100, 150, 2, 'not reported', '', ''),
  ('dep_back', 150, 160, 5, '', '', ''), ('dep_back', 180, NULL, 5, '', '', ''),
  ('dep_past', 10, 100, 5, '', '', ''), ('dep_past', 100, 120, 2, 'not reported', '', ''),
  ('dep_mute', 10, 100, 5, 'up', '1', 'r1'), ('dep_mute', 100, NULL, 2, 'not reported for 60 s', '1', 'r1'),
  ('dep_mpast', 10, 100, 5, '', '', ''), ('dep_mpast', 100, 250, 2, 'not reported for 60 s', '', ''),
  ('dep_gone', 10, 500, 5, '', '', '');
)sql";

class MigrateFromVersion1 : public ::testing::Test {
 protected:
  MigrateFromVersion1() {
    EXPECT_TRUE(MigrateTo(*database_, 1).ok());
    EXPECT_EQ(database_->UserVersion().value(), 1);
    const absl::Status filled = database_->Execute(kOldHistory);
    EXPECT_TRUE(filled.ok()) << filled;
    const absl::Status migrated = Migrate(*database_);
    EXPECT_TRUE(migrated.ok()) << migrated;
  }
  std::vector<std::string> Rows(sqlite::Sql sql) {
    std::vector<std::string> rows;
    auto s = database_->Prepare(sql);
    EXPECT_TRUE(s.ok()) << s.status();
    while (s->Step().value_or(false)) rows.push_back(s->Text(0));
    return rows;
  }

  TempDir dir_;
  std::unique_ptr<sqlite::Database> database_ = OpenIn(dir_);
};

TEST_F(MigrateFromVersion1, ChangesAreTheStartsOfIntervalsThatWereNotStale) {
  EXPECT_THAT(Rows("SELECT at_us||' '||status||' '||message||' '||application_version||' '||revision"
                   " FROM deployment_changes WHERE deployment_id='dep_live' ORDER BY at_us"),
              ElementsAre("10 5 up 1 r1", "150 5 up 1 r1", "200 3 down 2 r2"));
  EXPECT_THAT(Rows("SELECT 1 FROM deployment_changes WHERE agent_us IS NOT NULL OR status=2"), IsEmpty());
}

TEST_F(MigrateFromVersion1, WhereNothingFollowedThereWasNoDeployment) {
  EXPECT_THAT(Rows("SELECT deployment_id||' '||at_us FROM deployment_changes WHERE status=0 ORDER BY deployment_id"),
              ElementsAre("dep_back 160", "dep_gone 500", "dep_mpast 250", "dep_past 120"));
}

TEST_F(MigrateFromVersion1, StaleIntervalsBecomeSilencesOfTheirTarget) {
  EXPECT_THAT(Rows("SELECT target_id||' '||from_us||'-'||coalesce(to_us, '...')||' '||reason FROM silences"
                   " ORDER BY target_id, from_us"),
              ElementsAre("tgt_here 100-150 not reported", "tgt_mute 100-... not reported for 60 s"));
}

TEST_F(MigrateFromVersion1, FleetIsShownAsBefore) {
  const auto targets = LoadTargets(*database_);
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->size(), 3U);
  std::map<std::string, std::vector<std::string>> shown;
  for (const StoredTarget& target : *targets) {
    for (const StoredDeployment& d : target.deployments) {
      shown[target.id].push_back(d.id + " " + std::to_string(d.open.status) + " " +
                                 std::to_string(absl::ToUnixMicros(d.open.from)));
    }
    EXPECT_EQ(target.silence.has_value(), target.id == "tgt_mute");
  }
  EXPECT_THAT(shown["tgt_here"], ElementsAre("dep_back 5 180", "dep_live 3 200"));
  EXPECT_THAT(shown["tgt_mute"], ElementsAre("dep_mute 2 100"));
  EXPECT_THAT(shown["tgt_gone"], IsEmpty());
}

TEST_F(MigrateFromVersion1, ReferencesHold) {
  EXPECT_THAT(Rows("SELECT \"table\" FROM pragma_foreign_key_check"), IsEmpty());
  EXPECT_THAT(Rows("PRAGMA integrity_check"), ElementsAre("ok"));
}

}  // namespace
}  // namespace muster::hub
