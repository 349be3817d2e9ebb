// Times and durations as people type them on the command line. Values only; callable from any thread.
#ifndef MUSTER_HUB_CLI_TIME_ARGUMENT_H_
#define MUSTER_HUB_CLI_TIME_ARGUMENT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::cli {

// "90s", "12h", "1d12h", "30d": units s m h d w, at least one, no sign, more than zero.
absl::StatusOr<absl::Duration> ParseDurationArgument(std::string_view text);

// RFC 3339, a day in UTC, "now", "2h ago", "-2h".
absl::StatusOr<absl::Time> ParseTimeArgument(std::string_view text, absl::Time now);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_TIME_ARGUMENT_H_
