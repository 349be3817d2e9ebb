#include "hub/first_start.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "hub/store/testing/test_database.h"

namespace muster::hub {
namespace {

class FirstStartTest : public ::testing::Test {
 protected:
  std::string token_file() const { return dir_.path() + "/admin-token"; }
  // One run of a hub on this folder.
  Memory Start(const std::string& organization = "vendor", absl::Time at = kTestEpoch) {
    store_.reset();
    auto opened = Store::Open(dir_.path() + "/hub.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    auto memory = LoadMemory(*store_, organization, token_file(), at);
    EXPECT_TRUE(memory.ok()) << memory.status();
    return *std::move(memory);
  }
  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(FirstStartTest, MakesAnAdminTokenThatOnlyItsUserCanRead) {
  const Memory memory = Start();
  EXPECT_EQ(memory.organization, "vendor");
  EXPECT_EQ(memory.hub_epoch.substr(0, 4), "hub_");
  ASSERT_EQ(memory.tokens.size(), 1U);
  EXPECT_EQ(memory.tokens[0].role, fleet::v1::ROLE_ADMIN);
  EXPECT_EQ(memory.tokens[0].customer, "");
  EXPECT_FALSE(memory.tokens[0].expires);
  const auto secret = ReadFile(token_file());
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(HashSecret(Trim(*secret)), memory.tokens[0].hash);
  struct stat info {};
  ASSERT_EQ(stat(token_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_TRUE(memory.targets.empty());
}

TEST_F(FirstStartTest, SecondStartKeepsEverything) {
  const Memory first = Start();
  const std::string secret = *ReadFile(token_file());
  ASSERT_TRUE(store_->writer()
                  .Run([](sqlite::Database& database) { return InsertTarget(database, NewTarget("tgt_1", "one")); })
                  .ok());
  const Memory second = Start("another", kTestEpoch + absl::Hours(1));
  EXPECT_EQ(second.hub_epoch, first.hub_epoch);
  EXPECT_EQ(second.organization, "vendor") << "the first start decides";
  ASSERT_EQ(second.tokens.size(), 1U);
  EXPECT_EQ(second.tokens[0].hash, first.tokens[0].hash);
  EXPECT_EQ(*ReadFile(token_file()), secret);
  ASSERT_EQ(second.targets.size(), 1U);
  EXPECT_EQ(second.targets[0].name, "one");
}

TEST_F(FirstStartTest, LostTokenFileIsNotReplaced) {
  Start();
  ASSERT_EQ(unlink(token_file().c_str()), 0);
  EXPECT_EQ(Start().tokens.size(), 1U);
  EXPECT_FALSE(ReadFile(token_file()).ok()) << "whoever removed it may have meant it";
}

TEST_F(FirstStartTest, HubThatDiedBeforeTheTokenWasStoredMakesANewOne) {
  ASSERT_TRUE(WriteFileAtomically(token_file(), "mtk_of_the_start_that_died\n", 0600).ok());
  const Memory memory = Start();
  EXPECT_EQ(HashSecret(Trim(*ReadFile(token_file()))), memory.tokens.at(0).hash);
}

TEST_F(FirstStartTest, SaysWhichFileCannotBeWritten) {
  auto opened = Store::Open(dir_.path() + "/hub.db");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto memory = LoadMemory(**opened, "vendor", dir_.path() + "/missing/admin-token", kTestEpoch);
  EXPECT_NE(MessageOf(memory.status()).find("missing/admin-token"), std::string::npos) << memory.status();
}

TEST_F(FirstStartTest, ForgetsTargetsThatWereDeletedLongAgo) {
  Start();
  ASSERT_TRUE(store_->writer()
                  .Run([](sqlite::Database& database) -> absl::Status {
                    RETURN_IF_ERROR(InsertTarget(database, NewTarget("tgt_1", "one")));
                    return MarkTargetDeleted(database, "tgt_1", kTestEpoch);
                  })
                  .ok());
  EXPECT_EQ(Start("vendor", kTestEpoch + absl::Hours(24 * 89)).targets.size(), 1U);
  EXPECT_EQ(Start("vendor", kTestEpoch + absl::Hours(24 * 91)).targets.size(), 0U);
}

}  // namespace
}  // namespace muster::hub
