#include "hub/samples/metric_retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "common/status.h"
#include "hub/samples/testing/sample_fixture.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr VolumeSpace kRoom{.free_bytes = std::int64_t{100} << 30, .total_bytes = std::int64_t{200} << 30};

class MetricRetentionTest : public SampleStoreTest {
 protected:
  MetricRetentionTest() {
    observer_.pruned = [this](std::string_view reason, std::int64_t values) { pruned_[std::string(reason)] += values; };
    Open();
  }
  void Trim(MetricRetention& retention, std::int64_t second, const VolumeSpace& volume = kRoom) {
    EXPECT_EQ(retention.Trim(At(second), volume, [] { return true; }), absl::OkStatus());
    EXPECT_EQ(samples_->chunks(), RawChunks() + RollupChunks());
  }
  MetricRetention Retention(std::int64_t max_bytes = std::int64_t{1} << 30) {
    return MetricRetention(samples_.get(), {.keep_raw = absl::Hours(24),
                                            .keep = absl::Hours(240),
                                            .max_bytes = max_bytes,
                                            .keep_deleted = absl::Hours(24)});
  }

  std::map<std::string, std::int64_t> pruned_;
};

TEST_F(MetricRetentionTest, RawSamplesGoFirstAndRollupsLater) {
  Wait(1, 60);
  Pass(10'000);
  MetricRetention retention = Retention();
  const struct {
    const char* name;
    std::int64_t second;
    std::int64_t raw_chunks;
    std::int64_t rollup_chunks;
  } steps[] = {
      {"the first ends now", kDay + 899, 2, 1},
      {"the first is old", kDay + 900, 1, 1},
      {"both are old", 2 * kDay, 0, 1},
      {"rollups are not that old", 10 * kDay + 6 * 3600 - 1, 0, 1},
      {"rollups are", 10 * kDay + 6 * 3600, 0, 0},
  };
  for (const auto& step : steps) {
    Trim(retention, step.second);
    EXPECT_EQ(RawChunks(), step.raw_chunks) << step.name;
    EXPECT_EQ(RollupChunks(), step.rollup_chunks) << step.name;
  }
  EXPECT_EQ(pruned_["age"], 60 + 7 * 3);
  EXPECT_EQ(pruned_.size(), 1U);
}

TEST_F(MetricRetentionTest, TheOldestRawChunksGoWhenThereIsTooMuch) {
  Wait(1, 12'000);
  Pass(30 * 12'000);
  const std::int64_t chunks = RawChunks();
  MetricRetention measuring = Retention();
  Trim(measuring, 100);
  EXPECT_EQ(RawChunks(), chunks);
  MetricRetention retention = Retention(measuring.bytes_in_use() * 9 / 10);
  Trim(retention, 100);
  EXPECT_LE(retention.bytes_in_use(), retention.limit_bytes());
  EXPECT_LT(RawChunks(), chunks);
  EXPECT_EQ(CountByRollups(), 12'000) << "rollups stay as long as there are raw chunks";
  EXPECT_GT(pruned_["size"], 0);
  EXPECT_EQ(Ask(Question(30 * 11'990, 30 * 12'001, 30)).size(), 11U) << "the newest stay";
  MetricRetention tiny = Retention(4096);
  Trim(tiny, 100);
  EXPECT_EQ(RawChunks() + RollupChunks(), 0);
}

TEST_F(MetricRetentionTest, OnAFullVolumeTheFileGrowsNoMore) {
  Wait(1, 30);
  Pass(1000);
  MetricRetention retention = Retention();
  Trim(retention, 1000, {.free_bytes = 1, .total_bytes = std::int64_t{200} << 30});
  EXPECT_EQ(retention.limit_bytes(), MetricRetention::kMinBytes);
  EXPECT_EQ(RawChunks(), 1) << "a small file stays";
  Trim(retention, 1000);
  EXPECT_EQ(retention.limit_bytes(), std::int64_t{1} << 30);
}

TEST_F(MetricRetentionTest, WhatADeletedTargetHadGoesWithItsHistory) {
  Wait(1, 60);
  Pass(10'000);
  MetricRetention retention = Retention();
  const auto sweep = [&](std::int64_t second) {
    EXPECT_EQ(retention.Sweep(At(second), [] { return true; }), absl::OkStatus());
  };
  sweep(2 * kDay);
  EXPECT_EQ(RawChunks(), 2) << "the target is there";
  EXPECT_TRUE(hub_->writer()
                  .Run([](sqlite::Database& database) {
                    return RunBound(database, "UPDATE targets SET deleted_us=?",
                                    [](sqlite::Statement& s) { s.Bind(1, At(0)); });
                  })
                  .ok());
  sweep(kDay - 1);
  EXPECT_EQ(RawChunks(), 2) << "it was deleted less than a day ago";
  sweep(kDay);
  EXPECT_EQ(RawChunks() + RollupChunks(), 0);
  EXPECT_EQ(Number(samples_->store(), "SELECT count(*) FROM metric_positions"), 0);
  EXPECT_EQ(Number(samples_->store(), "SELECT count(*) FROM metric_targets"), 0);
  EXPECT_EQ(samples_->chunks(), 0);
  EXPECT_EQ(pruned_["deleted"], 60 + 7 * 3);
}

}  // namespace
}  // namespace muster::hub
