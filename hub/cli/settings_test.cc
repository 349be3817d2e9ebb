#include "hub/cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    EXPECT_TRUE(MakeDirectories(dir_.path() + "/muster", 0700).ok());
    variables_["XDG_CONFIG_HOME"] = dir_.path();
  }
  absl::StatusOr<Settings> Finalize() {
    return FinalizeSettings(raw_, [this](const std::string& name) -> std::optional<std::string> {
      const auto it = variables_.find(name);
      return it == variables_.end() ? std::nullopt : std::optional(it->second);
    });
  }
  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const std::string path = dir_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(path, content, mode).ok());
    return path;
  }

  TempDir dir_;
  RawSettings raw_;
  std::map<std::string, std::string> variables_;
};

TEST_F(SettingsTest, PrefersOptionThenEnvironmentThenFile) {
  EXPECT_EQ(Finalize()->hub_url, "https://localhost:8080");
  Write("muster/config", "# mine\nhub = https://file:1/\ntoken=mtk_file\n");
  EXPECT_EQ(Finalize()->hub_url, "https://file:1");
  EXPECT_EQ(Finalize()->token.Reveal(), "mtk_file");
  variables_["MUSTER_HUB"] = "https://env:2";
  variables_["MUSTER_TOKEN"] = "mtk_env\n";
  EXPECT_EQ(Finalize()->hub_url, "https://env:2");
  EXPECT_EQ(Finalize()->token.Reveal(), "mtk_env");
  raw_.hub = "http://option:3";
  raw_.token_file = Write("token", "mtk_option\n");
  EXPECT_EQ(Finalize()->hub_url, "http://option:3");
  EXPECT_EQ(Finalize()->token.Reveal(), "mtk_option");
}

TEST_F(SettingsTest, RefusesAConfigurationFileThatOthersCanRead) {
  Write("muster/config", "hub = https://file:1\n", 0640);
  const auto settings = Finalize();
  EXPECT_EQ(ReasonOf(settings.status()), "CONFIG_FILE_OPEN_TO_OTHERS");
  EXPECT_EQ(ExitCodeFor(settings.status()), ExitCode::kFailed);
}

TEST_F(SettingsTest, NamesTheBadLineOfTheConfigurationFile) {
  Write("muster/config", "hub = https://file:1\npassword = x\n");
  EXPECT_THAT(MessageOf(Finalize().status()), HasSubstr("line 2"));
}

TEST_F(SettingsTest, AMissingLocalFileIsNotANotFoundOfTheHub) {
  raw_.token_file = dir_.path() + "/none";
  EXPECT_EQ(ExitCodeFor(Finalize().status()), ExitCode::kFailed);
  EXPECT_EQ(ReasonOf(Finalize().status()), "TOKEN_FILE");
  raw_.token_file.clear();
  raw_.ca_file = dir_.path() + "/none.pem";
  EXPECT_EQ(ReasonOf(Finalize().status()), "CA_FILE");
}

TEST_F(SettingsTest, RefusesATokenThatWouldChangeTheRequest) {
  variables_["MUSTER_TOKEN"] = "mtk_x\r\nX-Other: 1";
  EXPECT_EQ(ReasonOf(Finalize().status()), "TOKEN_MALFORMED");
  raw_.token_file = Write("empty", " \n");
  EXPECT_EQ(ReasonOf(Finalize().status()), "TOKEN_FILE");
}

TEST_F(SettingsTest, RefusesUrlsThatAreNone) {
  for (const char* url :
       {"hub:8080", "ftp://hub", "https://", "https://hub?x=1", "https://user@hub", "https://hub /", "http://"}) {
    raw_.hub = url;
    const auto settings = Finalize();
    ASSERT_FALSE(settings.ok()) << url;
    EXPECT_EQ(ExitCodeFor(settings.status()), ExitCode::kUsage) << url;
  }
}

TEST_F(SettingsTest, NoColorAnywhereSwitchesColourOff) {
  EXPECT_TRUE(Finalize()->color);
  variables_["NO_COLOR"] = "1";
  EXPECT_FALSE(Finalize()->color);
  variables_.erase("NO_COLOR");
  raw_.no_color = true;
  EXPECT_FALSE(Finalize()->color);
}

}  // namespace
}  // namespace muster::cli
