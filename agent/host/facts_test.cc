#include "agent/host/facts.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

TEST(OsRelease, ReadsPlainAndQuotedValues) {
  constexpr std::string_view kContent =
      "NAME=Debian\nPRETTY_NAME=\"Debian \\\"GNU\\\"/Linux 12\"\nX='single \\ "
      "quoted'\nPRETTY=no\nEMPTY=\nLAST=\"unclosed";
  struct Case {
    std::string_view key;
    std::string_view expected;
  };
  for (const Case& c :
       {Case{"NAME", "Debian"}, Case{"PRETTY_NAME", "Debian \"GNU\"/Linux 12"}, Case{"X", "single \\ quoted"},
        Case{"EMPTY", ""}, Case{"LAST", "\"unclosed"}, Case{"ABSENT", ""}, Case{"AME", ""}}) {
    EXPECT_EQ(OsReleaseValue(kContent, c.key), c.expected) << c.key;
  }
}

TEST(MemTotal, TakesKibibytesAndRefusesNonsense) {
  EXPECT_EQ(MemTotalBytes("MemTotal:        8046812 kB\nMemFree: 1 kB\n"), 8046812LL * 1024);
  EXPECT_EQ(MemTotalBytes("MemFree: 1 kB\nMemTotal: 5 kB"), 5 * 1024);
  for (const char* nonsense : {"", "MemTotal:", "MemTotal: x kB", "MemTotal: -5 kB", "MemTotal: 5 MB", "MemTotal: 5",
                               "MemTotal: 9223372036854775807 kB", "MemTotal: 99999999999999999999999 kB"}) {
    EXPECT_EQ(MemTotalBytes(nonsense), 0) << nonsense;
  }
}

TEST(HostFacts, AreReadBelowTheGivenRoot) {
  const TempDir root;
  std::filesystem::create_directories(root.path() + "/etc");
  std::filesystem::create_directories(root.path() + "/proc/sys/kernel/random");
  ASSERT_TRUE(WriteFileAtomically(root.path() + "/etc/os-release", "PRETTY_NAME=\"Evil\xff OS\"\n", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(root.path() + "/etc/machine-id", "abc\n", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(root.path() + "/proc/meminfo", "MemTotal: 2 kB\n", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(root.path() + "/proc/sys/kernel/random/boot_id", "b-1\n", 0644).ok());
  const HostFacts facts = ReadHostFacts(root.path());
  EXPECT_EQ(facts.machine.os(), "Evil\xEF\xBF\xBD OS");
  EXPECT_EQ(facts.machine_id, "abc");
  EXPECT_EQ(facts.boot_id, "b-1");
  EXPECT_EQ(facts.machine.memory_bytes(), 2048);
  EXPECT_GE(facts.machine.cpu_cores(), 1);
  EXPECT_FALSE(facts.machine.hostname().empty());
  EXPECT_FALSE(facts.machine.kernel().empty());
}

TEST(HostFacts, StayEmptyWhereNothingCanBeRead) {
  const TempDir root;
  const HostFacts facts = ReadHostFacts(root.path());
  EXPECT_EQ(facts.machine.os(), "");
  EXPECT_EQ(facts.boot_id, "");
  EXPECT_EQ(facts.machine.memory_bytes(), 0);
}

}  // namespace
}  // namespace muster::agent
