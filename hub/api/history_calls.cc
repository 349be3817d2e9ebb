#include "hub/api/history_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

// A caller's clock may be ahead of the hub's by this much; what is asked about is then the present.
constexpr absl::Duration kAheadOfUs = absl::Minutes(1);

// Pages continue at a point in time.
template <typename Period, typename Response>
void FillPage(const HistoryPage<Period>& page, Response* response) {
  for (const Period& period : page.periods) *response->add_intervals() = ToMessage(period);
  for (const LostRecords& gap : page.gaps) *response->add_gaps() = ToMessage(gap);
  if (page.more) response->set_next_page_token(std::to_string(absl::ToUnixMicros(page.periods.back().from)));
}

absl::StatusOr<absl::Time> ReadInstant(const GetFleetAtRequest& request, absl::Time now) {
  if (!request.has_time()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "TIME_MISSING", "say which time you ask about");
  }
  ASSIGN_OR_RETURN(const absl::Time time, ReadTime("time", request.time()));
  if (time > now + kAheadOfUs) {
    return MakeError(absl::StatusCode::kInvalidArgument, "TIME_IN_FUTURE",
                     fmt::format("{} has not come yet; here it is {}", FormatRfc3339(time), FormatRfc3339(now)));
  }
  return std::min(time, now);
}

// Both ends, as the request and the subject's creation say.
absl::StatusOr<TimeSpan> ReadAvailabilityWindow(const GetAvailabilityRequest& request, const HistorySubject& subject,
                                                absl::Time now) {
  TimeSpan window{.from = {}, .to = now};
  if (request.has_to_time()) {
    ASSIGN_OR_RETURN(const absl::Time to, ReadTime("to_time", request.to_time()));
    window.to = std::min(now, to);
  }
  window.from = std::max(window.to - kAvailabilityWindow, subject.created);
  if (request.has_from_time()) {
    ASSIGN_OR_RETURN(window.from, ReadTime("from_time", request.from_time()));
  }
  if (window.from < window.to) return window;
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_WINDOW",
                   request.has_from_time()
                       ? "from_time must be before to_time, and in the past"
                       : fmt::format("to_time is before its creation at {}", FormatRfc3339(subject.created)));
}

absl::Status SubjectMissing() {
  return MakeError(absl::StatusCode::kInvalidArgument, "SUBJECT_MISSING",
                   "say which target or which deployment you ask about");
}

}  // namespace

absl::Status HistoryCalls::Read(absl::Time now, const std::function<absl::Status(HistoryReader&)>& query) const {
  return store_->Read([&](sqlite::Database& database) {
    HistoryReader reader(&database, started_, now);
    return query(reader);
  });
}

absl::StatusOr<HistorySubject> HistoryCalls::FindTarget(HistoryReader& reader, const Caller& caller,
                                                        const std::string& reference) const {
  const auto live = fleet_->FindTarget(reference, caller.customer);
  ASSIGN_OR_RETURN(const auto found, reader.FindTarget(live.ok() ? live->target.id() : reference, caller.customer));
  if (found) return *found;
  if (!live.ok()) return live.status();
  return HistorySubject{.target_id = live->target.id(),
                        .deployment_id = "",
                        .created = FromProto(live->target.create_time()),
                        .ended = {}};
}

absl::StatusOr<HistorySubject> HistoryCalls::FindDeployment(HistoryReader& reader, const Caller& caller,
                                                            const std::string& reference) const {
  const auto live = fleet_->FindDeployment(reference, caller.customer);
  if (!live.ok() && !absl::IsNotFound(live.status())) return live.status();
  ASSIGN_OR_RETURN(const auto found, reader.FindDeployment(live.ok() ? live->id() : reference, caller.customer));
  if (found) return *found;
  if (!live.ok()) return live.status();
  // Reported this moment, and not stored yet.
  return HistorySubject{.target_id = live->target_id(),
                        .deployment_id = live->id(),
                        .created = FromProto(live->create_time()),
                        .ended = {}};
}

absl::StatusOr<HistorySubject> HistoryCalls::FindTarget(const Caller& caller, const std::string& reference) const {
  absl::StatusOr<HistorySubject> found;
  RETURN_IF_ERROR(Read(clock_->Now(), [&](HistoryReader& reader) {
    found = FindTarget(reader, caller, reference);
    return found.status();
  }));
  return found;
}

absl::StatusOr<HistorySubject> HistoryCalls::FindDeployment(const Caller& caller, const std::string& reference) const {
  absl::StatusOr<HistorySubject> found;
  RETURN_IF_ERROR(Read(clock_->Now(), [&](HistoryReader& reader) {
    found = FindDeployment(reader, caller, reference);
    return found.status();
  }));
  return found;
}

absl::StatusOr<std::vector<LostRecords>> HistoryCalls::ReadGaps(const HistorySubject& target,
                                                                const TimeSpan& window) const {
  std::vector<LostRecords> gaps;
  RETURN_IF_ERROR(Read(clock_->Now(), [&](HistoryReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(gaps, reader.ReadGaps(target, window));
    return absl::OkStatus();
  }));
  return gaps;
}

absl::StatusOr<ListTargetHistoryResponse> HistoryCalls::ListTarget(const Caller& caller,
                                                                   const ListTargetHistoryRequest& request,
                                                                   const Page& page) const {
  const absl::Time now = clock_->Now();
  ASSIGN_OR_RETURN(const HistoryWindow window,
                   ReadWindow(request.has_from_time() ? &request.from_time() : nullptr,
                              request.has_to_time() ? &request.to_time() : nullptr, page, now));
  ListTargetHistoryResponse response;
  RETURN_IF_ERROR(Read(now, [&](HistoryReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(const HistorySubject target, FindTarget(reader, caller, request.target()));
    ASSIGN_OR_RETURN(const auto found, reader.ReadTarget(target, window));
    FillPage(found, &response);
    return absl::OkStatus();
  }));
  return response;
}

absl::StatusOr<ListDeploymentHistoryResponse> HistoryCalls::ListDeployment(const Caller& caller,
                                                                           const ListDeploymentHistoryRequest& request,
                                                                           const Page& page) const {
  const absl::Time now = clock_->Now();
  ASSIGN_OR_RETURN(const HistoryWindow window,
                   ReadWindow(request.has_from_time() ? &request.from_time() : nullptr,
                              request.has_to_time() ? &request.to_time() : nullptr, page, now));
  ListDeploymentHistoryResponse response;
  RETURN_IF_ERROR(Read(now, [&](HistoryReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(const HistorySubject deployment, FindDeployment(reader, caller, request.deployment()));
    ASSIGN_OR_RETURN(const auto found, reader.ReadDeployment(deployment, window));
    FillPage(found, &response);
    return absl::OkStatus();
  }));
  return response;
}

absl::StatusOr<GetFleetAtResponse> HistoryCalls::GetFleetAt(const Caller& caller,
                                                            const GetFleetAtRequest& request) const {
  const absl::Time now = clock_->Now();
  ASSIGN_OR_RETURN(const absl::Time at, ReadInstant(request, now));
  hub::FleetAt fleet;
  RETURN_IF_ERROR(Read(now, [&](HistoryReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(fleet, reader.ReadFleetAt(at, caller.customer));
    return absl::OkStatus();
  }));
  GetFleetAtResponse response;
  *response.mutable_time() = ToProto(at);
  for (const hub::TargetAt& t : fleet.targets) {
    fleet::v1::TargetAt* entry = response.add_targets();
    entry->set_target_id(t.target_id);
    entry->set_target_name(t.target_name);
    entry->set_customer(t.customer);
    *entry->mutable_interval() = ToMessage(t.period);
  }
  for (const hub::DeploymentAt& d : fleet.deployments) {
    fleet::v1::DeploymentAt* entry = response.add_deployments();
    entry->set_deployment_id(d.deployment_id);
    entry->set_target_id(d.target_id);
    entry->set_target_name(d.target_name);
    entry->set_name(d.name);
    *entry->mutable_interval() = ToMessage(d.period);
  }
  return response;
}

absl::StatusOr<GetAvailabilityResponse> HistoryCalls::GetAvailability(const Caller& caller,
                                                                      const GetAvailabilityRequest& request) const {
  if (request.subject_case() == GetAvailabilityRequest::SUBJECT_NOT_SET) return SubjectMissing();
  const absl::Time now = clock_->Now();
  GetAvailabilityResponse response;
  RETURN_IF_ERROR(Read(now, [&](HistoryReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(const HistorySubject subject, request.has_target()
                                                       ? FindTarget(reader, caller, request.target())
                                                       : FindDeployment(reader, caller, request.deployment()));
    ASSIGN_OR_RETURN(const TimeSpan window, ReadAvailabilityWindow(request, subject, now));
    ASSIGN_OR_RETURN(const Availability availability, reader.ReadAvailability(subject, window));
    response = ToMessage(availability);
    return absl::OkStatus();
  }));
  return response;
}

}  // namespace muster::hub
