#include "hub/api/job_calls.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "common/status.h"

namespace muster::hub {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

absl::StatusOr<ListJobsResponse> JobCalls::List(const Caller& caller, const ListJobsRequest& request,
                                                const Page& page) const {
  std::string target_id;
  if (!request.target().empty()) {
    ASSIGN_OR_RETURN(const TargetSnapshot found, fleet_->FindTarget(request.target(), caller.customer));
    target_id = found.target.id();
  }
  std::vector<Job> jobs = list_();
  std::erase_if(jobs, [&](const Job& job) {
    if (!caller.customer.empty() && job.customer() != caller.customer) return true;
    if (!target_id.empty() && job.target_id() != target_id) return true;
    return request.only_overdue() && !job.is_overdue();
  });
  const auto place = [](const Job& job) { return std::tie(job.target_name(), job.target_id(), job.name()); };
  std::sort(jobs.begin(), jobs.end(), [&](const Job& a, const Job& b) { return place(a) < place(b); });
  ListJobsResponse response;
  response.set_total_size(static_cast<int>(jobs.size()));
  response.set_next_page_token(EmitPage(jobs, page, [&](const Job& job) { *response.add_jobs() = job; }));
  return response;
}

}  // namespace muster::hub
