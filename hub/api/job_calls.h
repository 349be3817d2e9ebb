// The API's list of what jobs on hosts pushed (docs/jobs.md). Used by FleetHandlers, which has checked the caller's
// role. Thread-safe as far as `list` is.
#ifndef MUSTER_HUB_API_JOB_CALLS_H_
#define MUSTER_HUB_API_JOB_CALLS_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/api/caller.h"
#include "hub/api/fleet_messages.h"
#include "hub/fleet/fleet.h"

namespace muster::hub {

class JobCalls {
 public:
  // `list` gives all groups of all targets as they are now, in any order.
  JobCalls(const Fleet* fleet, std::function<std::vector<fleet::v1::Job>()> list)
      : fleet_(fleet), list_(std::move(list)) {}

  // By target, then by name.
  absl::StatusOr<fleet::v1::ListJobsResponse> List(const Caller& caller, const fleet::v1::ListJobsRequest& request,
                                                   const Page& page) const;

 private:
  const Fleet* const fleet_;
  const std::function<std::vector<fleet::v1::Job>()> list_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_JOB_CALLS_H_
