#include "agent/logs/rate_gate.h"

#include <gtest/gtest.h>

#include <vector>

namespace muster::agent {
namespace {

constexpr Instant kStart = Instant::FromDuration(absl::Hours(1));

// A container that writes, and what its gate made of it.
struct Writer {
  explicit Writer(TokenBucket* host) : gate(host) {}

  void Write(std::int64_t bytes, Instant now) {
    Ask(now);
    ++sent;
    if (gate.Admit(bytes, absl::ToInt64Nanoseconds(now - kStart), now)) {
      ++taken;
      taken_bytes += bytes;
      EXPECT_FALSE(gate.DueAt().has_value()) << "a line overtook its marker";
    }
  }
  void Ask(Instant now) {
    if (auto refused = gate.TakeRefused(now)) Mark(*refused, now);
  }
  void Finish(Instant now) {
    if (auto refused = gate.Finish()) Mark(*refused, now);
  }
  void Mark(const RefusedLines& refused, Instant now) {
    markers.push_back(refused);
    marked_at.push_back(now);
    marked_lines += refused.lines;
  }

  RateGate gate;
  std::int64_t sent = 0;
  std::int64_t taken = 0;
  std::int64_t taken_bytes = 0;
  std::int64_t marked_lines = 0;
  std::vector<RefusedLines> markers;
  std::vector<Instant> marked_at;
};

TEST(TokenBucket, HoldsTenSecondsOfItsRateAndNoMore) {
  TokenBucket bucket(100);
  EXPECT_TRUE(bucket.Holds(1000, kStart));
  EXPECT_FALSE(bucket.Holds(1001, kStart));
  bucket.Take(1000, kStart);
  EXPECT_FALSE(bucket.Holds(1, kStart));
  EXPECT_FALSE(bucket.Holds(1, kStart + absl::Milliseconds(10) - absl::Nanoseconds(1)));
  EXPECT_TRUE(bucket.Holds(1, kStart + absl::Milliseconds(10)));
  EXPECT_TRUE(bucket.Holds(1000, kStart + absl::Hours(1)));
  EXPECT_FALSE(bucket.Holds(1001, kStart + absl::Hours(1)));
}

TEST(RateGate, OfAHundredThousandLinesASecondEveryOneIsTakenOrCounted) {
  TokenBucket host(kHostBytesPerSecond);
  Writer writer(&host);
  constexpr int kSeconds = 60;
  for (int i = 0; i < 100'000 * kSeconds; ++i) writer.Write(100, kStart + i * absl::Microseconds(10));
  const Instant end = kStart + absl::Seconds(kSeconds);
  writer.Finish(end);

  EXPECT_EQ(writer.sent, 6'000'000);
  EXPECT_EQ(writer.taken + writer.marked_lines, writer.sent);
  // The stock, and 2000 lines for each second up to the last time that the gate closed; never more.
  EXPECT_LE(writer.taken, 20'000 + 2000 * kSeconds);
  EXPECT_GE(writer.taken, 20'000 + 2000 * (kSeconds - 1));
  EXPECT_LE(writer.markers.size(), static_cast<std::size_t>(kSeconds));
  for (std::size_t i = 0; i + 2 < writer.marked_at.size(); ++i) {
    EXPECT_GE(writer.marked_at[i + 1] - writer.marked_at[i], kMarkerInterval);
  }
}

TEST(RateGate, MarkersAreExactLineForLine) {
  TokenBucket host(kHostBytesPerSecond);
  Writer writer(&host);
  // The gate closes behind the stock and what flowed in meanwhile.
  for (int i = 0; i < 100'000; ++i) writer.Write(10, kStart + i * absl::Microseconds(10));
  // 20,408 x 10 us = 204.08 ms, in which 408 flowed in.
  ASSERT_EQ(writer.taken, 20'408);
  writer.Ask(kStart + absl::Seconds(1));
  EXPECT_TRUE(writer.markers.empty()) << "not a second since the first refusal";
  writer.Ask(kStart + absl::Microseconds(204'080) + kMarkerInterval);
  ASSERT_EQ(writer.markers.size(), 1U);
  EXPECT_EQ(writer.markers[0].lines, 100'000 - 20'408);
  EXPECT_EQ(writer.markers[0].from_ns, 204'080'000);
  EXPECT_EQ(writer.markers[0].to_ns, 999'990'000);
  EXPECT_FALSE(writer.gate.DueAt().has_value());
}

TEST(RateGate, BytesCountAsLinesDo) {
  TokenBucket host(kHostBytesPerSecond);
  Writer writer(&host);
  for (int i = 0; i < 1000; ++i) writer.Write(16 * 1024, kStart);
  EXPECT_EQ(writer.taken, 160) << "2.5 MiB of pieces of 16 KiB";
  writer.Finish(kStart);
  EXPECT_EQ(writer.marked_lines, 840);
}

TEST(RateGate, AFloodLeavesOtherResourcesAlone) {
  TokenBucket host(kHostBytesPerSecond);
  Writer flood(&host);
  Writer quiet(&host);
  for (int ms = 0; ms < 120'000; ++ms) {
    const Instant now = kStart + absl::Milliseconds(ms);
    for (int i = 0; i < 50; ++i) flood.Write(2000, now);
    if (ms % 10 == 0) quiet.Write(200, now);
  }
  EXPECT_EQ(quiet.taken, quiet.sent);
  EXPECT_LE(flood.taken_bytes, 130 * kResourceBytesPerSecond);
}

TEST(RateGate, AllResourcesTogetherStayWithinTheHostsRate) {
  TokenBucket host(kHostBytesPerSecond);
  std::vector<Writer> floods;
  for (int i = 0; i < 8; ++i) floods.emplace_back(&host);
  Writer quiet(&host);
  for (int ms = 0; ms < 60'000; ++ms) {
    const Instant now = kStart + absl::Milliseconds(ms);
    for (Writer& flood : floods) {
      for (int i = 0; i < 5; ++i) flood.Write(1000, now);
    }
    if (ms % 100 == 0) quiet.Write(100, now);
  }
  std::int64_t bytes = quiet.taken_bytes;
  for (Writer& flood : floods) {
    flood.Finish(kStart + absl::Minutes(1));
    EXPECT_EQ(flood.taken + flood.marked_lines, flood.sent);
    EXPECT_GT(flood.taken_bytes, 0);
    bytes += flood.taken_bytes;
  }
  EXPECT_LE(bytes, 70 * kHostBytesPerSecond);
  EXPECT_GE(bytes, 65 * kHostBytesPerSecond) << "and use it";
}

TEST(RateGate, AMarkerComesBeforeTheNextLineThatIsTaken) {
  TokenBucket host(kHostBytesPerSecond);
  RateGate gate(&host);
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(gate.Admit(1, i, kStart));
  ASSERT_FALSE(gate.Admit(1, 5, kStart));
  ASSERT_FALSE(gate.Admit(1, 3, kStart)) << "times may go back";
  EXPECT_EQ(gate.DueAt(), kStart + kMarkerInterval);
  EXPECT_FALSE(gate.Admit(1, 4, kStart + absl::Hours(1))) << "nobody took the marker";
  const auto refused = gate.TakeRefused(kStart + absl::Hours(1));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->lines, 3);
  EXPECT_EQ(refused->from_ns, 3);
  EXPECT_EQ(refused->to_ns, 5);
  EXPECT_TRUE(gate.Admit(1, 6, kStart + absl::Hours(1)));
  EXPECT_FALSE(gate.TakeRefused(kStart + absl::Hours(2)).has_value());
}

}  // namespace
}  // namespace muster::agent
