// Where an answer about logs goes on: page tokens and the positions of live tails. Opaque to clients: bytes in base64.
// Each carries a hash of the selection that it was made for. Pure functions; what comes from outside is fuzzed.
#ifndef MUSTER_HUB_API_LOG_TOKENS_H_
#define MUSTER_HUB_API_LOG_TOKENS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "hub/logs/log_scanner.h"

namespace muster::hub {

struct LogPageToken {
  LogOrder order = LogOrder::kOldestFirst;
  LogCursor after;
  std::uint64_t selection = 0;
  bool operator==(const LogPageToken&) const = default;
};

std::string ToToken(const LogPageToken& token);
// INVALID_ARGUMENT "BAD_PAGE_TOKEN".
absl::StatusOr<LogPageToken> ParsePageToken(std::string_view token);

struct TailPosition {
  // Numbers are comparable within it.
  std::string log_epoch;
  // Stored lines up to this number were, or are, sent in the order of time; those behind it by number.
  std::int64_t number = 0;
  // Where the former go on; absent when all of them were sent.
  std::optional<LogCursor> stored_after = std::nullopt;
  std::uint64_t selection = 0;
  bool operator==(const TailPosition&) const = default;
};

std::string ToToken(const TailPosition& position);
// INVALID_ARGUMENT "BAD_POSITION".
absl::StatusOr<TailPosition> ParsePosition(std::string_view token);
absl::Status BadPosition();

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LOG_TOKENS_H_
