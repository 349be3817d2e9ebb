#include "hub/samples/metric_chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "common/status.h"
#include "muster/hub/v1/metric_chunk.pb.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

SeriesValue Value(MetricSeries series, std::int64_t value, const std::string& instance = "") {
  return {.key = {.series = series, .instance = instance}, .value = value};
}

void ExpectSame(const RawSamples& a, const RawSamples& b) {
  EXPECT_EQ(a.times_us, b.times_us);
  ASSERT_EQ(a.series.size(), b.series.size());
  for (std::size_t i = 0; i < a.series.size(); ++i) {
    EXPECT_EQ(a.series[i].key, b.series[i].key);
    EXPECT_EQ(a.series[i].values, b.series[i].values);
  }
}

template <typename Message>
std::string Compressed(const Message& message) {
  ZstdCodec codec;
  std::string bytes;
  codec.Compress(message.SerializeAsString(), &bytes);
  return bytes;
}

TEST(RawChunk, IsReadAsItWasWritten) {
  const struct {
    const char* name;
    std::vector<std::pair<std::int64_t, std::vector<SeriesValue>>> samples;
    std::int64_t values;
  } cases[] = {
      {"empty", {}, 0},
      {"a sample without values", {{5, {}}}, 0},
      {"one value", {{5, {Value(MetricSeries::kLoad1, 7)}}}, 1},
      {"two samples at one time", {{5, {Value(MetricSeries::kLoad1, 7)}}, {5, {Value(MetricSeries::kLoad1, 8)}}}, 2},
      {"a series that begins late, stops and goes on",
       {{1, {Value(MetricSeries::kLoad1, 1)}},
        {2, {Value(MetricSeries::kLoad1, 2), Value(MetricSeries::kDiskRead, 1)}},
        {3, {Value(MetricSeries::kDiskRead, 2)}},
        {4, {Value(MetricSeries::kLoad1, 4)}}},
       5},
      {"instances",
       {{1,
         {Value(MetricSeries::kFilesystemUsed, 1, "sda"), Value(MetricSeries::kFilesystemUsed, 2, "sdb"),
          Value(MetricSeries::kFilesystemUsed, 3)}}},
       3},
      {"from one end to the other",
       {{kLeast, {Value(MetricSeries::kLoad1, kMost)}},
        {0, {Value(MetricSeries::kLoad1, kLeast)}},
        {kMost, {Value(MetricSeries::kLoad1, kMost)}}},
       3},
  };
  ZstdCodec codec;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    RawSamples samples;
    for (const auto& [time, values] : c.samples) samples.Add(time, values);
    EXPECT_EQ(samples.CountValues(), c.values);
    const auto read = DecodeRaw(EncodeRaw(samples, &codec), &codec);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectSame(*read, samples);
  }
}

TEST(RawChunk, WhatNobodyWroteIsAnError) {
  const auto chunk = [](int times, std::uint32_t series, const std::vector<std::uint32_t>& runs, int values) {
    v1::RawChunk made;
    for (int i = 0; i < times; ++i) made.add_times(1);
    v1::RawSeries* one = made.add_series();
    one->set_series(series);
    for (const std::uint32_t run : runs) one->add_runs(run);
    for (int i = 0; i < values; ++i) one->add_values(1);
    return made;
  };
  v1::RawChunk twice = chunk(1, 1, {}, 1);
  *twice.add_series() = twice.series(0);
  v1::RawChunk backwards = chunk(2, 1, {}, 2);
  backwards.set_times(1, -1);
  const struct {
    const char* name;
    v1::RawChunk chunk;
    const char* message;
  } cases[] = {
      {"unknown series", chunk(1, 99, {}, 1), "a series 99"},
      {"no series", chunk(1, 0, {}, 1), "a series 0"},
      {"too few values", chunk(2, 1, {}, 1), "lacks values"},
      {"too many values", chunk(2, 1, {}, 3), "no sample has"},
      {"a run beyond the end", chunk(2, 1, {3}, 3), "more values than there are samples"},
      {"an endless run", chunk(2, 1, {0, 4'294'967'295}, 0), "more values than there are samples"},
      {"runs that end early", chunk(3, 1, {1, 1}, 1), "fewer values than there are samples"},
      {"a series twice", twice, "twice"},
      {"time that goes back", backwards, "go back"},
  };
  ZstdCodec codec;
  for (const auto& c : cases) {
    const auto read = DecodeRaw(Compressed(c.chunk), &codec);
    EXPECT_EQ(ReasonOf(read.status()), "CHUNK_DAMAGED") << c.name;
    EXPECT_THAT(MessageOf(read.status()), HasSubstr(c.message)) << c.name;
  }
}

TEST(RawChunk, DamageIsAnErrorOrAnotherChunk) {
  ZstdCodec codec;
  RawSamples samples;
  std::mt19937_64 random(7);
  for (int i = 0; i < 30; ++i) {
    samples.Add(i * 30'000'000, {Value(MetricSeries::kCpuUsage, static_cast<std::int64_t>(random() % 1'000'000)),
                                 Value(MetricSeries::kMemoryUsed, static_cast<std::int64_t>(random() % 1'000'000))});
  }
  const std::string bytes = EncodeRaw(samples, &codec);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeRaw(bytes.substr(0, size), &codec).ok()) << size;
  }
  EXPECT_FALSE(DecodeRaw(bytes + "x", &codec).ok());
  EXPECT_FALSE(DecodeRaw(bytes + bytes, &codec).ok());
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto read = DecodeRaw(damaged, &codec);
    EXPECT_EQ(ReasonOf(read.status()), read.ok() ? "OK" : "CHUNK_DAMAGED");
    (void)DecodeRollups(damaged, &codec);
  }
}

TEST(RawChunk, IsSmall) {
  ZstdCodec codec;
  RawSamples samples;
  for (int i = 0; i < 30; ++i) {
    samples.Add(i * 30'000'000, {Value(MetricSeries::kMemoryTotal, 16'000'000'000), Value(MetricSeries::kCpuCores, 4)});
  }
  EXPECT_LT(EncodeRaw(samples, &codec).size(), 100U);
}

// ---- rollups

TEST(Rollup, AddsUpWhateverTheOrder) {
  const struct {
    const char* name;
    std::vector<std::int64_t> values;
    Rollup whole;
  } cases[] = {
      {"none", {}, {}},
      {"one", {5}, {.count = 1, .sum = 5, .minimum = 5, .maximum = 5}},
      {"some", {5, -1, 9, 5}, {.count = 4, .sum = 18, .minimum = -1, .maximum = 9}},
      {"zero counts", {0, 3}, {.count = 2, .sum = 3, .minimum = 0, .maximum = 3}},
  };
  for (const auto& c : cases) {
    for (std::size_t cut = 0; cut <= c.values.size(); ++cut) {
      Rollup first;
      Rollup second;
      for (std::size_t i = 0; i < c.values.size(); ++i) (i < cut ? first : second).Add(c.values[i]);
      second.Add(first);
      EXPECT_EQ(second, c.whole) << c.name << " cut at " << cut;
    }
  }
}

TEST(Rollup, PiecesBeginAtMultiplesOf5MinutesAndChunksOf6Hours) {
  constexpr std::int64_t kSecond = 1'000'000;
  EXPECT_EQ(PieceBegin(0), 0);
  EXPECT_EQ(PieceBegin(299 * kSecond), 0);
  EXPECT_EQ(PieceBegin(300 * kSecond), 300 * kSecond);
  EXPECT_EQ(PieceBegin(-1), -300 * kSecond);
  EXPECT_EQ(RollupChunkBegin(21'599 * kSecond), 0);
  EXPECT_EQ(RollupChunkBegin(21'600 * kSecond), 21'600 * kSecond);
  EXPECT_EQ(RollupChunkBegin(-1), -21'600 * kSecond);
}

TEST(RollupChunk, IsReadAsItWasWritten) {
  ZstdCodec codec;
  Rollups rollups;
  EXPECT_TRUE(DecodeRollups(EncodeRollups(rollups, &codec), &codec)->series().empty());
  rollups.Add({.series = MetricSeries::kLoad1}, 0, {.count = 1, .sum = 5, .minimum = 5, .maximum = 5});
  rollups.Add({.series = MetricSeries::kLoad1}, 71, {.count = 10, .sum = 55, .minimum = 1, .maximum = 10});
  rollups.Add({.series = MetricSeries::kFilesystemUsed, .instance = "sda"}, 3,
              {.count = 2, .sum = -2, .minimum = kLeast, .maximum = -1});
  // The sum of these is above 64 bits; it comes back as it was.
  rollups.Add({.series = MetricSeries::kMemoryUsed}, 3,
              {.count = 4, .sum = kLeast, .minimum = kMost - 5, .maximum = kMost});
  EXPECT_EQ(rollups.CountValues(), 12);
  const auto read = DecodeRollups(EncodeRollups(rollups, &codec), &codec);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->series(), rollups.series());
}

TEST(RollupChunk, KeepsNoMoreSeriesThanItMay) {
  Rollups rollups;
  for (std::size_t i = 0; i < kMaxRollupSeries + 10; ++i) {
    rollups.Add({.series = MetricSeries::kDeploymentMemory, .instance = std::to_string(i)}, 1,
                {.count = 1, .sum = 1, .minimum = 1, .maximum = 1});
  }
  EXPECT_EQ(rollups.series().size(), kMaxRollupSeries);
  rollups.Add({.series = MetricSeries::kDeploymentMemory, .instance = "0"}, 1,
              {.count = 1, .sum = 3, .minimum = 3, .maximum = 3});
  EXPECT_EQ(rollups.series().at({.series = MetricSeries::kDeploymentMemory, .instance = "0"}).at(1).count, 2)
      << "those that are there go on";
}

TEST(RollupChunk, WhatNobodyWroteIsAnError) {
  const auto chunk = [](const std::vector<std::int64_t>& pieces, std::int64_t count) {
    v1::RollupChunk made;
    v1::RollupSeries* one = made.add_series();
    one->set_series(1);
    for (const std::int64_t piece : pieces) {
      one->add_pieces(piece);
      one->add_counts(one->counts_size() == 0 ? count : 0);
      one->add_minimums(1);
      one->add_spreads(1);
      one->add_excesses(1);
    }
    return made;
  };
  v1::RollupChunk uneven = chunk({1, 1}, 1);
  uneven.mutable_series(0)->add_counts(1);
  v1::RollupChunk turned = chunk({1}, 1);
  turned.mutable_series(0)->set_spreads(0, ~std::uint64_t{0});
  v1::RollupChunk twice = chunk({1}, 1);
  *twice.add_series() = twice.series(0);
  const struct {
    const char* name;
    v1::RollupChunk chunk;
    const char* message;
  } cases[] = {
      {"a piece behind the end", chunk({72}, 1), "out of order"},
      {"a piece before the begin", chunk({-1}, 1), "order"},
      {"a piece twice", chunk({3, 0}, 1), "out of order"},
      {"no values", chunk({3}, 0), "without values"},
      {"lists of two lengths", uneven, "differ in length"},
      {"a maximum below", turned, "below its minimum"},
      {"a series twice", twice, "twice"},
  };
  ZstdCodec codec;
  for (const auto& c : cases) {
    const auto read = DecodeRollups(Compressed(c.chunk), &codec);
    EXPECT_EQ(ReasonOf(read.status()), "CHUNK_DAMAGED") << c.name;
    EXPECT_THAT(MessageOf(read.status()), HasSubstr(c.message)) << c.name;
  }
}

}  // namespace
}  // namespace muster::hub
