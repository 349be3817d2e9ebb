#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LogResourcesTest : public LogScanTest {
 protected:
  void StoreOne(double second, const std::string& resource, const std::string& revision) {
    ModelLine line;
    line.place.time_us = UsAt(second);
    line.resource = resource;
    line.revision = revision;
    line.text = "1234";
    StoreLines({{line}});
  }
  std::vector<LogResourceInfo> List() {
    auto listed = scanner().ListResources(selection_.target_id, selection_.deployment_id);
    EXPECT_TRUE(listed.ok()) << listed.status();
    return listed.ok() ? *std::move(listed) : std::vector<LogResourceInfo>();
  }
  std::vector<std::string> Shown() {
    std::vector<std::string> shown;
    for (const LogResourceInfo& info : List()) {
      std::string revisions;
      for (const std::string& revision : info.revisions) revisions += " " + revision;
      shown.push_back(fmt::format("{} {} {}..{} lines={} bytes={}{}", info.name, info.is_active ? "active" : "archived",
                                  (info.first_us - UsAt(0)) / 1'000'000, (info.last_us - UsAt(0)) / 1'000'000,
                                  info.lines, info.bytes, revisions));
    }
    return shown;
  }
};

TEST_F(LogResourcesTest, ActiveIsWhatHasALineInOneOfTheFiveNewestRevisions) {
  StoreOne(1, "old", "r1");
  StoreOne(2, "web", "r1");
  StoreOne(3, "db", "r2");
  for (int i = 3; i <= 6; ++i) StoreOne(i + 10, "web", "r" + std::to_string(i));
  // A line that comes late does not make its revision new, nor does its time.
  StoreOne(500, "old", "r1");
  EXPECT_THAT(Shown(), ElementsAre("db active 3..3 lines=1 bytes=5 r2", "old archived 1..500 lines=2 bytes=10 r1",
                                   "web active 2..16 lines=5 bytes=25 r6 r5 r4 r3 r1"));
  StoreOne(501, "web", "r7");
  EXPECT_THAT(Shown()[0], "db archived 3..3 lines=1 bytes=5 r2");
}

TEST_F(LogResourcesTest, AreTheSameWhileTheTailBecomesChunks) {
  Seed(51);
  for (int step = 0; step < 10; ++step) StoreLines({RandomLines(step), RandomLines(step)});
  const auto before = Shown();
  for (int step = 0; step < 12; ++step) {
    AnyUpkeep(false);
    ASSERT_EQ(Shown(), before);
  }
}

TEST_F(LogResourcesTest, WithoutALineLeftItIsNotListedButItsRevisionCounts) {
  StoreOne(1, "gone", "r1");
  MergeRows(1);
  DeleteOldestChunk();
  StoreOne(2, "web", "r1");
  EXPECT_THAT(Shown(), ElementsAre("web active 2..2 lines=1 bytes=5 r1"));
  selection_.deployment_id = "";
  EXPECT_THAT(Shown(), IsEmpty());
}

}  // namespace
}  // namespace muster::hub
