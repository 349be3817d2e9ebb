#include "agent/kubernetes/file_token_source.h"

#include <gtest/gtest.h>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

class FileTokenSourceTest : public testing::Test {
 protected:
  void Write(std::string_view content) { ASSERT_TRUE(WriteFileAtomically(path_, content, 0600).ok()); }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/token";
  FakeClock clock_;
  FileTokenSource source_{path_, &clock_};
};

TEST_F(FileTokenSourceTest, IsReadAnewAfterAMinute) {
  Write("one\n");
  EXPECT_EQ(source_.Token(), "one");
  Write("two\n");
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(source_.Token(), "one");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(source_.Token(), "two");
}

TEST_F(FileTokenSourceTest, IsReadAnewWhenItWasRefusedAtMostOnceASecond) {
  Write("one");
  EXPECT_EQ(source_.Token(), "one");
  Write("two");
  source_.Refused();
  EXPECT_EQ(source_.Token(), "one") << "it was read just now";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(source_.Token(), "two");
  Write("three");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(source_.Token(), "two") << "nobody refused this one";
  source_.Refused();
  EXPECT_EQ(source_.Token(), "three");
}

TEST_F(FileTokenSourceTest, TheLastOneIsUsedOnWhileTheFileHasNone) {
  EXPECT_EQ(source_.Token(), "") << "there never was one";
  Write("one");
  source_.Refused();
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(source_.Token(), "one");
  for (const std::string& content : {std::string(), std::string(" \n"), std::string("two words"), std::string("a\nb"),
                                     std::string("\x01"), std::string(9000, 'x')}) {
    Write(content);
    clock_.Advance(absl::Minutes(1));
    EXPECT_EQ(source_.Token(), "one") << content.substr(0, 20);
  }
}

TEST_F(FileTokenSourceTest, ReadSaysWhyThereIsNoneWithoutAWordOfIt) {
  EXPECT_EQ(source_.Read().code(), absl::StatusCode::kNotFound);
  Write("a secret");
  const absl::Status status = source_.Read();
  EXPECT_EQ(ReasonOf(status), "TOKEN_INVALID");
  EXPECT_EQ(status.ToString().find("secret"), std::string::npos) << status;
}

}  // namespace
}  // namespace muster::agent
