#include "common/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/testing/temp_dir.h"

namespace muster {
namespace {

TEST(Files, AtomicWriteReplacesContentAndSetsMode) {
  TempDir dir;
  const std::string path = dir.path() + "/secret";
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_NE(access((path + ".new").c_str(), F_OK), 0);
}

TEST(Files, ErrorsNameTheFile) {
  TempDir dir;
  const auto missing = ReadFile(dir.path() + "/none");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.status().message().find("/none"), absl::string_view::npos);
  EXPECT_FALSE(WriteFileAtomically(dir.path() + "/no/such/folder", "x", 0600).ok());
}

TEST(Files, TooLongIsAnErrorNotACut) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/long", std::string(100, 'x'), 0600).ok());
  EXPECT_FALSE(ReadFile(dir.path() + "/long", 99).ok());
  EXPECT_TRUE(ReadFile(dir.path() + "/long", 100).ok());
}

TEST(Files, MakeDirectoriesGivesTheLastTheMode) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir.path() + "/a/b", 0700).ok());
  struct stat info {};
  ASSERT_EQ(stat((dir.path() + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_TRUE(MakeDirectories(dir.path() + "/a/b", 0700).ok());
}

TEST(Files, TrimTakesWhiteSpaceOffBothEnds) {
  EXPECT_EQ(Trim(" \tab c\r\n"), "ab c");
  EXPECT_EQ(Trim(" \n"), "");
}

}  // namespace
}  // namespace muster
