// Times and durations as people type them on the command line. Values only; callable from any thread.
#ifndef MUSTER_HUB_CLI_TIME_ARGUMENT_H_
#define MUSTER_HUB_CLI_TIME_ARGUMENT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::cli {

// "90s", "12h", "1d12h", "30d": units s m h d w, at least one, no sign, more than zero.
absl::StatusOr<absl::Duration> ParseDurationArgument(std::string_view text);

// RFC 3339, a day in UTC, "now", "2h ago", "-2h".
absl::StatusOr<absl::Time> ParseTimeArgument(std::string_view text, absl::Time now);

// Sets from_time and to_time of any message that has them; an empty text leaves its time out.
template <typename Message>
absl::Status SetWindow(std::string_view from, std::string_view to, absl::Time now, Message* message) {
  if (!from.empty()) {
    ASSIGN_OR_RETURN(const absl::Time time, ParseTimeArgument(from, now));
    *message->mutable_from_time() = ToProto(time);
  }
  if (!to.empty()) {
    ASSIGN_OR_RETURN(const absl::Time time, ParseTimeArgument(to, now));
    *message->mutable_to_time() = ToProto(time);
  }
  return absl::OkStatus();
}

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_TIME_ARGUMENT_H_
