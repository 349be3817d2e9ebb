// Times as people and programs of this project write them: RFC 3339, UTC.
#ifndef MUSTER_COMMON_TIME_FORMAT_H_
#define MUSTER_COMMON_TIME_FORMAT_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster {

// "2026-11-21T05:24:21Z", with as many fractional digits as the value has.
std::string FormatRfc3339(absl::Time time);
// Accepts any RFC 3339 offset.
absl::StatusOr<absl::Time> ParseRfc3339(std::string_view text);
// For people: "3s", "12m", "5h 3m", "2d 4h".
std::string FormatAge(absl::Duration age);

// Whole microseconds, towards the past: what databases keep.
absl::Time ToMicros(absl::Time time);

// Since 1970: the double nearest to the time's whole microseconds, which is how such a number is written shortest.
double UnixSeconds(absl::Time time);

google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
// Values outside year 1 to 9999, or longer than 10,000 years, are brought to the nearest bound: they come from peers,
// and JSON cannot hold them.
absl::Time FromProto(const google::protobuf::Timestamp& proto);
absl::Duration FromProto(const google::protobuf::Duration& proto);

}  // namespace muster

#endif  // MUSTER_COMMON_TIME_FORMAT_H_
