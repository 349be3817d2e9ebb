#include "agent/host/secret_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

class SecretFileTest : public testing::Test {
 protected:
  void Write(std::string_view content, mode_t mode = 0600) {
    ASSERT_TRUE(WriteFileAtomically(path_, content, mode).ok());
  }

  const TempDir temp_;
  const std::string path_ = temp_.path() + "/secret";
};

TEST_F(SecretFileTest, IsTrimmed) {
  Write(" mst_abc\r\n\n");
  const auto secret = ReadSecretFile(path_);
  ASSERT_TRUE(secret.ok());
  EXPECT_EQ(secret->Reveal(), "mst_abc");
}

TEST_F(SecretFileTest, NonsenseIsRefusedWithoutQuotingIt) {
  for (const std::string& content :
       {std::string(""), std::string("  \n"), std::string("mst_"), std::string("mtk_canary"),
        std::string("mst_canary x"), std::string("mst_canary\nmst_canary"), std::string("mst_canary\0", 11),
        std::string("mst_canary\xff"), "mst_canary" + std::string(5000, 'a')}) {
    Write(content);
    const auto secret = ReadSecretFile(path_);
    ASSERT_FALSE(secret.ok()) << content;
    EXPECT_EQ(ReasonOf(secret.status()), "BAD_SECRET_FILE") << content;
    EXPECT_EQ(MessageOf(secret.status()).find("canary"), std::string::npos);
  }
}

TEST_F(SecretFileTest, MissingFileSaysWhatToCheck) {
  const auto secret = ReadSecretFile(path_);
  EXPECT_EQ(ReasonOf(secret.status()), "SECRET_FILE_UNREADABLE");
  EXPECT_NE(MessageOf(secret.status()).find("--target-secret-file"), std::string::npos);
}

TEST_F(SecretFileTest, WarnsWhenOthersMayRead) {
  Write("mst_abc", 0600);
  EXPECT_FALSE(SecretFileWarning(path_).has_value());
  Write("mst_abc", 0640);
  ASSERT_TRUE(SecretFileWarning(path_).has_value());
  EXPECT_NE(SecretFileWarning(path_)->find("0640"), std::string::npos);
}

TEST_F(SecretFileTest, WatchTellsEachNewContentOnce) {
  Write("mst_first");
  SecretFileWatch watch(path_, *ReadSecretFile(path_));
  EXPECT_FALSE(watch.Poll().has_value());
  Write("mst_first\n");  // another file, same secret
  EXPECT_FALSE(watch.Poll().has_value());
  Write("mst_second");
  const auto fresh = watch.Poll();
  ASSERT_TRUE(fresh.has_value());
  EXPECT_EQ(fresh->Reveal(), "mst_second");
  EXPECT_FALSE(watch.Poll().has_value());
}

TEST_F(SecretFileTest, WatchKeepsTheLastSecretWhenTheFileIsGoneOrBroken) {
  Write("mst_first");
  SecretFileWatch watch(path_, *ReadSecretFile(path_));
  std::filesystem::remove(path_);
  EXPECT_FALSE(watch.Poll().has_value());
  Write("");
  EXPECT_FALSE(watch.Poll().has_value());
  Write("mst_first");
  EXPECT_FALSE(watch.Poll().has_value()) << "back to what it was";
  Write("mst_second");
  EXPECT_TRUE(watch.Poll().has_value());
}

TEST_F(SecretFileTest, WatchFollowsASwappedLink) {
  Write("mst_first");
  ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/other", "mst_second", 0600).ok());
  const std::string link = temp_.path() + "/link";
  std::filesystem::create_symlink(path_, link);
  SecretFileWatch watch(link, *ReadSecretFile(link));
  std::filesystem::remove(link);
  std::filesystem::create_symlink(temp_.path() + "/other", link);
  EXPECT_TRUE(watch.Poll().has_value());
}

}  // namespace
}  // namespace muster::agent
