// The API's questions about history, answered from the store: also about what is archived or deleted, which the live
// fleet no longer knows. Used by FleetHandlers, which has checked the caller's role. Thread-safe; every call blocks on
// the store.
#ifndef MUSTER_HUB_API_HISTORY_CALLS_H_
#define MUSTER_HUB_API_HISTORY_CALLS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "hub/api/caller.h"
#include "hub/api/fleet_messages.h"
#include "hub/fleet/fleet.h"
#include "hub/store/history_reads.h"
#include "hub/store/store.h"

namespace muster::hub {

// A window of availability without a beginning.
inline constexpr absl::Duration kAvailabilityWindow = absl::Hours(24 * 30);

class HistoryCalls {
 public:
  // `started` is when the hub's present run began.
  HistoryCalls(const Fleet* fleet, Store* store, const Clock* clock, absl::Time started)
      : fleet_(fleet), store_(store), clock_(clock), started_(started) {}

  absl::StatusOr<fleet::v1::ListTargetHistoryResponse> ListTarget(const Caller& caller,
                                                                  const fleet::v1::ListTargetHistoryRequest& request,
                                                                  const Page& page) const;
  absl::StatusOr<fleet::v1::ListDeploymentHistoryResponse> ListDeployment(
      const Caller& caller, const fleet::v1::ListDeploymentHistoryRequest& request, const Page& page) const;
  absl::StatusOr<fleet::v1::GetFleetAtResponse> GetFleetAt(const Caller& caller,
                                                           const fleet::v1::GetFleetAtRequest& request) const;
  absl::StatusOr<fleet::v1::GetAvailabilityResponse> GetAvailability(
      const Caller& caller, const fleet::v1::GetAvailabilityRequest& request) const;

  // By id or by name, also what was archived or deleted; other customers' are not found.
  absl::StatusOr<HistorySubject> FindTarget(const Caller& caller, const std::string& reference) const;
  absl::StatusOr<HistorySubject> FindDeployment(const Caller& caller, const std::string& reference) const;
  // Records of the target's agent that are lost in the window.
  absl::StatusOr<std::vector<LostRecords>> ReadGaps(const HistorySubject& target, const TimeSpan& window) const;

 private:
  absl::Status Read(absl::Time now, const std::function<absl::Status(HistoryReader&)>& query) const;
  // The fleet knows what is there, the store also what was.
  absl::StatusOr<HistorySubject> FindTarget(HistoryReader& reader, const Caller& caller,
                                            const std::string& reference) const;
  absl::StatusOr<HistorySubject> FindDeployment(HistoryReader& reader, const Caller& caller,
                                                const std::string& reference) const;

  const Fleet* const fleet_;
  Store* const store_;
  const Clock* const clock_;
  const absl::Time started_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_HISTORY_CALLS_H_
