// Small pieces of the API's answers: role rules, paging, intervals as messages, the fleet at a glance. Pure functions.
#ifndef MUSTER_HUB_API_FLEET_MESSAGES_H_
#define MUSTER_HUB_API_FLEET_MESSAGES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/api/caller.h"
#include "hub/fleet/snapshot.h"
#include "hub/store/history_reads.h"
#include "hub/store/records.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

// admin may all that operator may, operator all that viewer may; metrics stands apart.
absl::Status RequireRole(const Caller& caller, fleet::v1::Role needed);

// Where a page of a list begins and how long it is. Tokens are opaque to clients: the position as a number.
struct Page {
  std::int64_t position = 0;
  int size = 0;
};
// INVALID_ARGUMENT "BAD_PAGE" for a negative size or a token that is none of ours.
absl::StatusOr<Page> ReadPage(int page_size, const std::string& page_token, int default_size, int max_size);

// INVALID_ARGUMENT "BAD_TIME" for what is no time of the years 1 to 9999; `field` is named in the message.
absl::StatusOr<absl::Time> ReadTime(std::string_view field, const google::protobuf::Timestamp& time);

// The time window of a history request. INVALID_ARGUMENT "BAD_WINDOW" when it is empty or has not begun.
absl::StatusOr<HistoryWindow> ReadWindow(const google::protobuf::Timestamp* from, const google::protobuf::Timestamp* to,
                                         const Page& page, absl::Time now);

// Hands the items of the page to `emit`; the token of the next one, empty: there is none.
template <typename Item, typename Emit>
std::string EmitPage(const std::vector<Item>& items, const Page& page, Emit emit) {
  const std::size_t begin = std::min(items.size(), static_cast<std::size_t>(page.position));
  const std::size_t end = std::min(items.size(), begin + static_cast<std::size_t>(page.size));
  for (std::size_t i = begin; i < end; ++i) emit(items[i]);
  return end < items.size() ? std::to_string(end) : "";
}

fleet::v1::TargetInterval ToMessage(const TargetPeriod& period);
fleet::v1::DeploymentInterval ToMessage(const DeploymentPeriod& period);
fleet::v1::HistoryGap ToMessage(const LostRecords& gap);
fleet::v1::GetAvailabilityResponse ToMessage(const Availability& availability);
fleet::v1::Token ToMessage(const StoredToken& token);
fleet::v1::AuditEntry ToMessage(const AuditRecord& record);

// Counts over the whole fleet, and the `target_limit` targets that need attention most: stale, then those with
// deployments in error, stale or progressing, then not connected, then the healthy ones; each group by name.
fleet::v1::FleetStatus Summarize(const FleetSnapshot& fleet, int target_limit);

// Only what a customer's token may see.
void LimitToCustomer(FleetSnapshot& fleet, std::string_view customer);

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_FLEET_MESSAGES_H_
