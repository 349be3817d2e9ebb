#include "agent/logs/log_place.h"

#include <gtest/gtest.h>

#include <random>

#include "common/status.h"

namespace muster::agent {
namespace {

LogPlace FullPlace() {
  LogPlace place{
      .last = {.stream = LogStream::kStderr, .time_ns = 1'800'000'000'000'000'001, .size = 7, .checksum = 0xDEADBEEF},
      .streams = {},
      .clock_us = -5,
      .boot_id = "boot-1"};
  place.streams[0].run = {.time_ns = 1'799'999'999'000'000'000, .count = 3};
  place.streams[0].state.open_line_ns = 1'799'999'999'000'000'000;
  place.streams[0].state.kept = "\xE2\x82";
  place.streams[1].run = {.time_ns = place.last.time_ns, .count = 2};
  place.streams[1].state.key.lines_left = kMaxPrivateKeyLines;
  return place;
}

void ExpectEqual(const LogPlace& a, const LogPlace& b) {
  EXPECT_EQ(a.last, b.last);
  EXPECT_EQ(a.is_moment, b.is_moment);
  EXPECT_EQ(a.clock_us, b.clock_us);
  EXPECT_EQ(a.boot_id, b.boot_id);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(a.streams[i].run.time_ns, b.streams[i].run.time_ns);
    EXPECT_EQ(a.streams[i].run.count, b.streams[i].run.count);
    EXPECT_EQ(a.streams[i].state.open_line_ns, b.streams[i].state.open_line_ns);
    EXPECT_EQ(a.streams[i].state.kept, b.streams[i].state.kept);
    EXPECT_EQ(a.streams[i].state.key.lines_left, b.streams[i].state.key.lines_left);
  }
}

TEST(LogPlaceTest, IsReadAsItWasWritten) {
  const LogPosition position = EncodePlace("abc", FullPlace());
  EXPECT_EQ(position.container, "abc");
  EXPECT_EQ(position.stream, LogStream::kStderr);
  EXPECT_EQ(position.count, 2);
  EXPECT_EQ(position.size, 7);
  const absl::StatusOr<LogPlace> place = DecodePlace(position);
  ASSERT_TRUE(place.ok()) << place.status();
  ExpectEqual(*place, FullPlace());
}

TEST(LogPlaceTest, AMomentHasNoMessage) {
  LogPlace moment{.last = {.time_ns = 5}, .is_moment = true, .streams = {}, .boot_id = "boot-1"};
  const LogPosition position = EncodePlace("abc", moment);
  EXPECT_EQ(position.count, 0);
  const absl::StatusOr<LogPlace> place = DecodePlace(position);
  ASSERT_TRUE(place.ok()) << place.status();
  ExpectEqual(*place, moment);
}

TEST(LogPlaceTest, WhatIsNoPositionIsRefused) {
  const LogPosition good = EncodePlace("abc", FullPlace());
  const auto refuses = [](const LogPosition& position) {
    return ReasonOf(DecodePlace(position).status()) == "BAD_POSITION";
  };
  for (std::size_t size = 0; size < good.open.size(); ++size) {
    LogPosition cut = good;
    cut.open.resize(size);
    EXPECT_TRUE(refuses(cut)) << size;
  }
  LogPosition longer = good;
  longer.open += '\0';
  EXPECT_TRUE(refuses(longer));
  LogPosition newer = good;
  newer.open[0] = 2;
  EXPECT_TRUE(refuses(newer));
  LogPosition other_count = good;
  other_count.count = 3;
  EXPECT_TRUE(refuses(other_count)) << "the columns and `open` say different things";
  LogPosition other_stream = good;
  other_stream.stream = LogStream::kAgent;
  EXPECT_TRUE(refuses(other_stream));
}

// Garbage is refused, or is a place within all limits that is written as it was read.
TEST(LogPlaceTest, GarbageDoesNoHarm) {
  std::mt19937 random(20261121);
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    LogPosition position = EncodePlace("abc", FullPlace());
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      position.open[random() % position.open.size()] = static_cast<char>(random());
    }
    const absl::StatusOr<LogPlace> place = DecodePlace(position);
    if (!place.ok()) continue;
    ++taken;
    EXPECT_EQ(EncodePlace("abc", *place), position);
    for (const StreamPlace& stream : place->streams) {
      EXPECT_LE(stream.state.kept.size(), 3U);
      EXPECT_LE(stream.state.key.lines_left, kMaxPrivateKeyLines);
    }
  }
  EXPECT_GT(taken, 0);
}

TEST(TimeRunTest, CountsMessagesOfOneTimeInARow) {
  TimeRun run;
  run.Add(0);
  EXPECT_EQ(run.count, 1) << "1970 is a time, too";
  run.Add(0);
  EXPECT_EQ(run.count, 2);
  run.Add(7);
  EXPECT_EQ(run.count, 1);
}

}  // namespace
}  // namespace muster::agent
