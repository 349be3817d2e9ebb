#include "common/time_format.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace muster {
namespace {

TEST(FormatRfc3339, WritesRfc3339Utc) {
  EXPECT_EQ(FormatRfc3339(absl::FromUnixSeconds(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRfc3339(absl::FromUnixMillis(1'795'000'000'250)), "2026-11-18T11:06:40.25Z");
}

TEST(ParseRfc3339, ReadsAnyOffsetAndRefusesTheRest) {
  EXPECT_EQ(*ParseRfc3339("2026-11-18T12:06:40.25+01:00"), absl::FromUnixMillis(1'795'000'000'250));
  EXPECT_FALSE(ParseRfc3339("yesterday").ok());
  EXPECT_FALSE(ParseRfc3339("2026-11-18").ok());
}

TEST(FormatAge, KeepsTwoUnits) {
  EXPECT_EQ(FormatAge(absl::Seconds(3)), "3s");
  EXPECT_EQ(FormatAge(absl::Seconds(125)), "2m 5s");
  EXPECT_EQ(FormatAge(absl::Minutes(61)), "1h 1m");
  EXPECT_EQ(FormatAge(absl::Hours(49)), "2d 1h");
  EXPECT_EQ(FormatAge(-absl::Seconds(1)), "0s");
}

TEST(ProtoTime, RoundTripsAndBringsHostileValuesIntoRange) {
  const absl::Time time = absl::FromUnixNanos(1'795'000'000'123'456'789);
  EXPECT_EQ(FromProto(ToProto(time)), time);
  const absl::Time before_epoch = absl::FromUnixMillis(-1500);
  EXPECT_EQ(FromProto(ToProto(before_epoch)), before_epoch);
  google::protobuf::Timestamp hostile;
  hostile.set_seconds(std::numeric_limits<std::int64_t>::max());
  hostile.set_nanos(-5);
  EXPECT_EQ(FormatRfc3339(FromProto(hostile)), "9999-12-31T23:59:59Z");
  EXPECT_EQ(FromProto(ToProto(absl::Milliseconds(-1500))), absl::Milliseconds(-1500));
  EXPECT_EQ(ToProto(absl::InfiniteFuture()).seconds(), 253402300799);
}

TEST(ProtoDuration, IsBroughtIntoWhatJsonCanHold) {
  google::protobuf::Duration proto;
  proto.set_seconds(std::numeric_limits<std::int64_t>::max());
  proto.set_nanos(999'999'999);
  EXPECT_EQ(ToProto(FromProto(proto)).seconds(), 315'576'000'000);
  proto.set_seconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(ToProto(FromProto(proto)).seconds(), -315'576'000'000);
  EXPECT_EQ(ToProto(absl::InfiniteDuration()).seconds(), 315'576'000'000);
  EXPECT_EQ(ToProto(absl::InfiniteDuration()).nanos(), 0);
  EXPECT_EQ(FromProto(ToProto(absl::Milliseconds(-1500))), absl::Milliseconds(-1500));
}

TEST(UnixSeconds, IsTheDoubleNearestToTheMicrosecond) {
  EXPECT_EQ(UnixSeconds(absl::FromUnixMicros(1'795'917'891'045'292)), 1795917891.045292);
  EXPECT_EQ(UnixSeconds(absl::UnixEpoch()), 0);
  EXPECT_EQ(UnixSeconds(absl::FromUnixMicros(-1'500'000)), -1.5);
}

}  // namespace
}  // namespace muster
