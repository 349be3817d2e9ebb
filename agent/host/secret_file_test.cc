#include "agent/host/secret_file.h"

#include <fmt/format.h>
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
  namespace fs = std::filesystem;
  // As the kubelet lays a volume out: secret -> ..data/secret, ..data -> ..2026.
  const fs::path volume = fs::path(temp_.path()) / "volume";
  fs::create_directories(volume / "..2026/deep");
  fs::create_directory_symlink("..2026", volume / "..data");
  fs::create_symlink("..data/secret", volume / "secret");
  fs::create_directory_symlink("..data/deep", volume / "deep");
  // As nobody but the kubelet would, but without what makes it one.
  const fs::path other = fs::path(temp_.path()) / "other";
  fs::create_directories(other / "..data");
  fs::create_symlink("..data/secret", other / "link");
  fs::create_symlink(volume / "..2026/secret", other / "elsewhere");

  const struct {
    fs::path file;
    mode_t mode;
    const char* advice;  // null: no warning
  } cases[] = {
      {path_, 0600, nullptr},
      {path_, 0400, nullptr},
      {path_, 0640, "chmod 600"},
      {path_, 0440, "chmod 600"},
      {path_, 0604, "chmod 600"},
      {path_, 0644, "chmod 600"},
      {path_, 0620, "chmod 600"},
      {volume / "secret", 0400, nullptr},
      {volume / "secret", 0440, nullptr},
      {volume / "secret", 0640, nullptr},
      {volume / "secret", 0444, "defaultMode 0440"},
      {volume / "secret", 0644, "defaultMode 0440"},
      {volume / "secret", 0404, "defaultMode 0440"},
      {volume / "secret", 0460, "defaultMode 0440"},
      {volume / "..data/secret", 0440, nullptr},
      {volume / "deep/secret", 0440, nullptr},
      {volume / "deep/secret", 0444, "defaultMode 0440"},
      {other / "..data/secret", 0440, "chmod 600"},
      {other / "link", 0440, "chmod 600"},
      {other / "elsewhere", 0440, "chmod 600"},
  };
  for (const fs::path& file :
       {fs::path(path_), volume / "..2026/secret", volume / "..2026/deep/secret", other / "..data/secret"}) {
    ASSERT_TRUE(WriteFileAtomically(file, "mst_abc", 0600).ok());
  }
  for (const auto& c : cases) {
    fs::permissions(c.file, static_cast<fs::perms>(c.mode));
    const auto warning = SecretFileWarning(c.file);
    const std::string said = fmt::format("{} {:04o}: {}", c.file.string(), c.mode, warning.value_or("nothing"));
    ASSERT_EQ(warning.has_value(), c.advice != nullptr) << said;
    if (c.advice == nullptr) continue;
    EXPECT_NE(warning->find(c.advice), std::string::npos) << said;
    EXPECT_NE(warning->find(fmt::format("{:04o}", c.mode)), std::string::npos) << said;
  }
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
