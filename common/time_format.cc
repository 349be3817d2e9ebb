#include "common/time_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/status.h"

namespace muster {
namespace {

constexpr std::int64_t kMinSeconds = -62135596800;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kMaxSeconds = 253402300799;  // 9999-12-31T23:59:59Z
// 10,000 years, the most that protobuf's JSON can write.
constexpr absl::Duration kMaxDuration = absl::Seconds(315'576'000'000);

}  // namespace

std::string FormatRfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseRfc3339(std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, absl::string_view(text.data(), text.size()), &time, &error)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TIME",
                     fmt::format("\"{}\" is not a time; write it like 2026-11-21T05:24:21Z", text));
  }
  return time;
}

std::string FormatAge(absl::Duration age) {
  const std::int64_t seconds = std::max<std::int64_t>(0, absl::ToInt64Seconds(age));
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds / 3600 % 24);
}

absl::Time ToMicros(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }

double UnixSeconds(absl::Time time) { return static_cast<double>(absl::ToUnixMicros(time)) / 1e6; }

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp proto;
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  proto.set_seconds(std::clamp(seconds, kMinSeconds, kMaxSeconds));
  proto.set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(proto.seconds())) %
                                            1'000'000'000));
  return proto;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  duration = std::clamp(duration, -kMaxDuration, kMaxDuration);
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

absl::Time FromProto(const google::protobuf::Timestamp& proto) {
  return absl::FromUnixSeconds(std::clamp<std::int64_t>(proto.seconds(), kMinSeconds, kMaxSeconds)) +
         absl::Nanoseconds(std::clamp(proto.nanos(), 0, 999'999'999));
}

absl::Duration FromProto(const google::protobuf::Duration& proto) {
  return std::clamp(absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos()), -kMaxDuration, kMaxDuration);
}

}  // namespace muster
