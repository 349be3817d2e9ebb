// Questions about logs as the API asks them, and what was found as its messages. Pure functions, all checks included.
#ifndef MUSTER_HUB_API_LOG_MESSAGES_H_
#define MUSTER_HUB_API_LOG_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "hub/logs/log_filter.h"
#include "hub/logs/log_scanner.h"
#include "hub/store/history_facts.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

inline constexpr int kMaxSelectionResources = 1000;
inline constexpr int kDefaultVolumeParts = 60;

// A selection that can be asked. Kept as long as it is.
struct LogQuestion {
  // Its filter is the one below.
  LogSelection selection;
  std::optional<LogFilter> filter = std::nullopt;
  // Of all that a request can choose: goes into tokens.
  std::uint64_t hash = 0;
};

// INVALID_ARGUMENT "BAD_FILTER", "BAD_SELECTION", "BAD_TIME", "BAD_WINDOW", "TOO_MANY_RESOURCES".
absl::StatusOr<std::shared_ptr<const LogQuestion>> ReadQuestion(const fleet::v1::LogSelection& request,
                                                                const HistorySubject& subject);

// INVALID_ARGUMENT "BAD_PAGE", "BAD_LIMIT", "BAD_ORDER", "BAD_PAGE_TOKEN".
absl::StatusOr<LogPageRequest> ReadPageRequest(const fleet::v1::QueryLogsRequest& request, const LogQuestion& question);

// INVALID_ARGUMENT "BAD_LIMIT" unless 0 to `max`.
absl::StatusOr<int> ReadCount(const char* field, int value, int max);

fleet::v1::LogLine ToMessage(const FoundLine& line);
fleet::v1::LogGap ToMessage(const FoundGap& gap);
fleet::v1::LogEntry ToMessage(const FoundEntry& entry);
fleet::v1::QueryLogsResponse ToMessage(const LogPage& page, LogOrder order, const LogQuestion& question);
fleet::v1::GetLogVolumeResponse ToMessage(const LogVolume& volume);
fleet::v1::LogResource ToMessage(const LogResourceInfo& resource);

// Entries that make one message.
struct EntryRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  // The last line among them, with which it ends; absent: these are all that are left.
  const FoundLine* last_line = nullptr;
};
// From `begin` on, about `max_bytes` of text. It ends behind a line, because that has a place to go on at, unless it
// takes the rest.
EntryRange NextMessage(const std::vector<FoundEntry>& entries, std::size_t begin, std::size_t max_bytes);

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LOG_MESSAGES_H_
