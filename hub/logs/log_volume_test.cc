#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class LogVolumeTest : public LogScanTest {
 protected:
  void StoreAnything(std::uint32_t seed) {
    Seed(seed);
    for (int step = 0; step < 15; ++step) {
      StoreLines({RandomLines(step * 8), RandomLines(step * 8), RandomLines(step * 8)});
      if (step % 3 == 2) AnyUpkeep(false);
    }
  }
};

TEST_F(LogVolumeTest, IsWhatCountingSays) {
  const LogFilter needle = *LogFilter::ForText("needle");
  for (std::uint32_t seed = 31; seed <= 33; ++seed) {
    StoreAnything(seed);
    for (int question = 0; question < 30; ++question) {
      LogSelection selection = RandomSelection(&needle);
      const int asked = std::vector<int>{1, 2, 9, 100, 500}[random_() % 5];
      const auto volume = scanner().ReadVolume(selection, asked, {});
      ASSERT_TRUE(volume.ok()) << volume.status();
      EXPECT_EQ(volume->report.end, ScanEnd::kAll);
      const auto parts = static_cast<std::int64_t>(volume->parts.size());
      ASSERT_LE(parts, asked);
      EXPECT_TRUE(parts == asked || volume->part_us >= 1'000'000) << "fewer, so that none is shorter than a second";
      EXPECT_GE(volume->from_us + parts * volume->part_us, std::min(selection.to_us, UsAt(10'000)) - UsAt(10'000));
      std::vector<std::array<std::int64_t, kLogLevels>> expected(static_cast<std::size_t>(parts));
      for (const ModelLine& line : model_) {
        if (!IsHit(selection, line)) continue;
        const auto part = static_cast<std::size_t>((line.place.time_us - volume->from_us) / volume->part_us);
        ASSERT_LT(part, expected.size());
        ++expected[part][static_cast<std::size_t>(line.kind.level)];
      }
      EXPECT_EQ(volume->parts, expected) << "seed " << seed << ", question " << question;
    }
  }
}

TEST_F(LogVolumeTest, OfAnOpenWindowGoesFromTheFirstLineToTheLast) {
  StoreAnything(41);
  const auto in_order = InOrder(LogOrder::kOldestFirst);
  const auto volume = scanner().ReadVolume(selection_, 10, {});
  ASSERT_TRUE(volume.ok());
  EXPECT_EQ(volume->from_us, in_order.front().place.time_us);
  EXPECT_GT(volume->from_us + 10 * volume->part_us, in_order.back().place.time_us);
  EXPECT_LE(volume->from_us + 10 * volume->part_us, in_order.back().place.time_us + 10);
}

TEST_F(LogVolumeTest, ReadsNoTextWithoutAFilterAndNoHeadWhereTheIndexTells) {
  StoreAnything(42);
  for (std::int64_t source = 1; source <= 6; ++source) MergeRows(source);
  EXPECT_EQ(scanner().ReadVolume(selection_, 500, {})->report.scanned_bytes, 0);
  const auto before = scanner().ReadVolume(selection_, 1, {});
  Execute("UPDATE log_chunk_data SET head=zeroblob(60)");
  EXPECT_EQ(scanner().ReadVolume(selection_, 1, {})->parts, before->parts);
}

TEST_F(LogVolumeTest, WithAFilterSaysHowFarItCame) {
  StoreAnything(43);
  const LogFilter needle = *LogFilter::ForText("needle");
  selection_.filter = &needle;
  const auto volume = scanner().ReadVolume(selection_, 10, {.max_bytes = 1});
  ASSERT_TRUE(volume.ok());
  EXPECT_EQ(volume->report.end, ScanEnd::kBytes);
  EXPECT_GT(volume->report.scanned_bytes, 0);
  EXPECT_LT(volume->report.reached_us, volume->from_us + 10 * volume->part_us);
  EXPECT_EQ(scanner().ReadVolume(selection_, 10, {.max_time = absl::ZeroDuration()})->report.end, ScanEnd::kTime);
}

TEST_F(LogVolumeTest, OfNothing) {
  const auto volume = scanner().ReadVolume(selection_, 10, {});
  ASSERT_TRUE(volume.ok());
  EXPECT_THAT(volume->parts, IsEmpty());
  selection_.from_us = UsAt(0);
  selection_.to_us = UsAt(100);
  const auto closed = scanner().ReadVolume(selection_, 10, {});
  ASSERT_THAT(closed->parts, SizeIs(10));
  EXPECT_EQ(closed->part_us, 10'000'000);
  EXPECT_EQ(ReasonOf(scanner().ReadVolume(selection_, 0, {}).status()), "BAD_PARTS");
  EXPECT_EQ(ReasonOf(scanner().ReadVolume(selection_, kMaxVolumeParts + 1, {}).status()), "BAD_PARTS");
}

}  // namespace
}  // namespace muster::hub
