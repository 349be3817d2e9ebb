#include "hub/api/fleet_handlers.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "common/version.h"
#include "hub/api/fleet_messages.h"
#include "hub/store/reads.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

// A token limited to a customer sees that customer, whatever the request names.
std::string EffectiveCustomer(const Caller& caller, const std::string& requested) {
  return caller.customer.empty() ? requested : caller.customer;
}

absl::Status Stopping() {
  return MakeError(absl::StatusCode::kUnavailable, "HUB_STOPPING", "the hub is stopping; ask again when it is back");
}

}  // namespace

template <typename Request, typename Response>
void FleetHandlers::Add(std::string name, Role role,
                        std::function<absl::StatusOr<Response>(const Caller&, const Request&)> handle) {
  unary_.push_back(Unary<Request, Response>(
      std::move(name), [role, handle = std::move(handle)](const Caller& caller, const Request& request,
                                                          std::function<void(absl::StatusOr<Response>)> done) {
        if (absl::Status allowed = RequireRole(caller, role); !allowed.ok()) return done(allowed);
        done(handle(caller, request));
      }));
}

FleetHandlers::FleetHandlers(FleetHandlersDeps deps)
    : deps_(std::move(deps)),
      history_(deps_.fleet, deps_.store, deps_.clock, deps_.started),
      logs_({.reader = deps_.logs, .scans = deps_.scans, .clock = deps_.clock, .observer = deps_.log_observer},
            &history_, deps_.tokens),
      host_metrics_({.reader = deps_.samples, .present = deps_.host_present}, deps_.fleet, &history_, deps_.clock),
      jobs_(deps_.fleet, deps_.jobs) {
  AddReads();
  AddHistory();
  AddHostMetricsAndJobs();
  AddTargetWrites();
  AddDeploymentWrites();
  AddTokensAndAudit();
  streams_.push_back(Stream<WatchFleetRequest>(
      "WatchFleet", [this](const Caller& caller, const WatchFleetRequest& request,
                           const std::shared_ptr<StreamSink>& sink) { StartWatch(caller, request, sink); }));
  for (UnaryMethod& method : logs_.Unaries()) unary_.push_back(std::move(method));
  for (StreamMethod& method : logs_.Streams()) streams_.push_back(std::move(method));
}

void FleetHandlers::AddReads() {
  Add<GetHubRequest, GetHubResponse>(
      "GetHub", ROLE_VIEWER, [this](const Caller& caller, const GetHubRequest&) -> absl::StatusOr<GetHubResponse> {
        GetHubResponse response;
        response.set_version(kVersion);
        response.set_organization(deps_.fleet->organization());
        *response.mutable_start_time() = ToProto(deps_.started);
        *response.mutable_hub_time() = ToProto(deps_.clock->Now());
        response.set_public_url(deps_.public_url);
        response.set_role(caller.role);
        return response;
      });
  Add<ListTargetsRequest, ListTargetsResponse>(
      "ListTargets", ROLE_VIEWER,
      [this](const Caller& caller, const ListTargetsRequest& request) -> absl::StatusOr<ListTargetsResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        FleetSnapshot fleet = deps_.fleet->Snapshot(deps_.clock->Now());
        LimitToCustomer(fleet, EffectiveCustomer(caller, request.customer()));
        if (request.state() != types::v1::TARGET_STATE_UNSPECIFIED) {
          std::erase_if(fleet.targets, [&](const auto& t) { return t.target.state() != request.state(); });
        }
        ListTargetsResponse response;
        response.set_total_size(static_cast<int>(fleet.targets.size()));
        response.set_next_page_token(
            EmitPage(fleet.targets, page, [&](const auto& t) { *response.add_targets() = t.target; }));
        return response;
      });
  Add<GetTargetRequest, GetTargetResponse>(
      "GetTarget", ROLE_VIEWER,
      [this](const Caller& caller, const GetTargetRequest& request) -> absl::StatusOr<GetTargetResponse> {
        ASSIGN_OR_RETURN(TargetSnapshot found, deps_.fleet->FindTarget(request.target(), caller.customer));
        GetTargetResponse response;
        *response.mutable_target() = std::move(found.target);
        return response;
      });
  Add<ListDeploymentsRequest, ListDeploymentsResponse>(
      "ListDeployments", ROLE_VIEWER,
      [this](const Caller& caller, const ListDeploymentsRequest& request) -> absl::StatusOr<ListDeploymentsResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        FleetSnapshot fleet;
        if (request.target().empty()) {
          fleet = deps_.fleet->Snapshot(deps_.clock->Now());
          LimitToCustomer(fleet, caller.customer);
        } else {
          ASSIGN_OR_RETURN(TargetSnapshot found, deps_.fleet->FindTarget(request.target(), caller.customer));
          fleet.targets.push_back(std::move(found));
        }
        std::vector<Deployment> deployments;
        for (TargetSnapshot& target : fleet.targets) {
          for (Deployment& deployment : target.deployments) {
            const bool wanted =
                request.status() == types::v1::DEPLOYMENT_STATUS_UNSPECIFIED || request.status() == deployment.status();
            if (wanted) deployments.push_back(std::move(deployment));
          }
        }
        ListDeploymentsResponse response;
        response.set_total_size(static_cast<int>(deployments.size()));
        response.set_next_page_token(
            EmitPage(deployments, page, [&](const Deployment& d) { *response.add_deployments() = d; }));
        return response;
      });
  Add<GetDeploymentRequest, GetDeploymentResponse>(
      "GetDeployment", ROLE_VIEWER,
      [this](const Caller& caller, const GetDeploymentRequest& request) -> absl::StatusOr<GetDeploymentResponse> {
        GetDeploymentResponse response;
        ASSIGN_OR_RETURN(*response.mutable_deployment(),
                         deps_.fleet->FindDeployment(request.deployment(), caller.customer));
        return response;
      });
  Add<GetFleetStatusRequest, GetFleetStatusResponse>(
      "GetFleetStatus", ROLE_VIEWER,
      [this](const Caller& caller, const GetFleetStatusRequest& request) -> absl::StatusOr<GetFleetStatusResponse> {
        GetFleetStatusResponse response;
        *response.mutable_status() = Status(caller, request.target_limit());
        return response;
      });
}

void FleetHandlers::AddHistory() {
  Add<ListTargetHistoryRequest, ListTargetHistoryResponse>(
      "ListTargetHistory", ROLE_VIEWER,
      [this](const Caller& caller,
             const ListTargetHistoryRequest& request) -> absl::StatusOr<ListTargetHistoryResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        return history_.ListTarget(caller, request, page);
      });
  Add<ListDeploymentHistoryRequest, ListDeploymentHistoryResponse>(
      "ListDeploymentHistory", ROLE_VIEWER,
      [this](const Caller& caller,
             const ListDeploymentHistoryRequest& request) -> absl::StatusOr<ListDeploymentHistoryResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        return history_.ListDeployment(caller, request, page);
      });
  Add<GetFleetAtRequest, GetFleetAtResponse>(
      "GetFleetAt", ROLE_VIEWER,
      [this](const Caller& caller, const GetFleetAtRequest& request) { return history_.GetFleetAt(caller, request); });
  Add<GetAvailabilityRequest, GetAvailabilityResponse>(
      "GetAvailability", ROLE_VIEWER, [this](const Caller& caller, const GetAvailabilityRequest& request) {
        return history_.GetAvailability(caller, request);
      });
}

void FleetHandlers::AddHostMetricsAndJobs() {
  Add<GetHostMetricsRequest, GetHostMetricsResponse>(
      "GetHostMetrics", ROLE_VIEWER, [this](const Caller& caller, const GetHostMetricsRequest& request) {
        return host_metrics_.Get(caller, request);
      });
  Add<QueryHostMetricsRequest, QueryHostMetricsResponse>(
      "QueryHostMetrics", ROLE_VIEWER, [this](const Caller& caller, const QueryHostMetricsRequest& request) {
        return host_metrics_.Query(caller, request);
      });
  Add<ListJobsRequest, ListJobsResponse>(
      "ListJobs", ROLE_VIEWER,
      [this](const Caller& caller, const ListJobsRequest& request) -> absl::StatusOr<ListJobsResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        return jobs_.List(caller, request, page);
      });
}

void FleetHandlers::AddTargetWrites() {
  Add<CreateTargetRequest, CreateTargetResponse>(
      "CreateTarget", ROLE_OPERATOR,
      [this](const Caller& caller, const CreateTargetRequest& request) -> absl::StatusOr<CreateTargetResponse> {
        ASSIGN_OR_RETURN(const TargetAdmin::Credentials created,
                         deps_.admin->CreateTarget(request.name(), request.type(),
                                                   EffectiveCustomer(caller, request.customer()), caller.token_name));
        ASSIGN_OR_RETURN(TargetSnapshot found, deps_.fleet->FindTarget(created.target_id, caller.customer));
        CreateTargetResponse response;
        response.set_target_id(created.target_id);
        response.set_target_secret(created.secret.Reveal());
        response.set_connect_command(deps_.connect_command(request.type(), created.connect_code));
        *response.mutable_connect_expire_time() = ToProto(created.connect_expires);
        *response.mutable_target() = std::move(found.target);
        return response;
      });
  Add<ReconnectTargetRequest, ReconnectTargetResponse>(
      "ReconnectTarget", ROLE_OPERATOR,
      [this](const Caller& caller, const ReconnectTargetRequest& request) -> absl::StatusOr<ReconnectTargetResponse> {
        ASSIGN_OR_RETURN(const TargetSnapshot found, deps_.fleet->FindTarget(request.target(), caller.customer));
        ASSIGN_OR_RETURN(const TargetAdmin::Credentials renewed,
                         deps_.admin->Reconnect(found.target.id(), caller.token_name));
        ReconnectTargetResponse response;
        response.set_target_id(renewed.target_id);
        response.set_target_secret(renewed.secret.Reveal());
        response.set_connect_command(deps_.connect_command(found.target.type(), renewed.connect_code));
        *response.mutable_connect_expire_time() = ToProto(renewed.connect_expires);
        return response;
      });
  Add<UpdateTargetRequest, UpdateTargetResponse>(
      "UpdateTarget", ROLE_OPERATOR,
      [this](const Caller& caller, const UpdateTargetRequest& request) -> absl::StatusOr<UpdateTargetResponse> {
        ASSIGN_OR_RETURN(const TargetSnapshot found, deps_.fleet->FindTarget(request.target(), caller.customer));
        RETURN_IF_ERROR(deps_.admin->UpdateTarget(
            found.target.id(), request.has_name() ? std::optional(request.name()) : std::nullopt,
            request.has_metrics_enabled() ? std::optional(request.metrics_enabled()) : std::nullopt,
            caller.token_name));
        ASSIGN_OR_RETURN(TargetSnapshot changed, deps_.fleet->FindTarget(found.target.id(), caller.customer));
        UpdateTargetResponse response;
        *response.mutable_target() = std::move(changed.target);
        return response;
      });
  Add<DeleteTargetRequest, DeleteTargetResponse>(
      "DeleteTarget", ROLE_OPERATOR,
      [this](const Caller& caller, const DeleteTargetRequest& request) -> absl::StatusOr<DeleteTargetResponse> {
        ASSIGN_OR_RETURN(const TargetSnapshot found, deps_.fleet->FindTarget(request.target(), caller.customer));
        RETURN_IF_ERROR(deps_.admin->DeleteTarget(found.target.id(), caller.token_name));
        return DeleteTargetResponse();
      });
}

void FleetHandlers::AddDeploymentWrites() {
  Add<UpdateDeploymentRequest, UpdateDeploymentResponse>(
      "UpdateDeployment", ROLE_OPERATOR,
      [this](const Caller& caller, const UpdateDeploymentRequest& request) -> absl::StatusOr<UpdateDeploymentResponse> {
        ASSIGN_OR_RETURN(const Deployment found, deps_.fleet->FindDeployment(request.deployment(), caller.customer));
        RETURN_IF_ERROR(deps_.admin->UpdateDeployment(
            found, request.has_logs_enabled() ? std::optional(request.logs_enabled()) : std::nullopt,
            request.has_application() ? std::optional(request.application()) : std::nullopt,
            request.has_application_version() ? std::optional(request.application_version()) : std::nullopt,
            caller.token_name));
        UpdateDeploymentResponse response;
        ASSIGN_OR_RETURN(*response.mutable_deployment(), deps_.fleet->FindDeployment(found.id(), caller.customer));
        return response;
      });
  Add<DeleteDeploymentRequest, DeleteDeploymentResponse>(
      "DeleteDeployment", ROLE_OPERATOR,
      [this](const Caller& caller, const DeleteDeploymentRequest& request) -> absl::StatusOr<DeleteDeploymentResponse> {
        ASSIGN_OR_RETURN(const Deployment found, deps_.fleet->FindDeployment(request.deployment(), caller.customer));
        RETURN_IF_ERROR(deps_.admin->DeleteDeployment(found, caller.token_name));
        return DeleteDeploymentResponse();
      });
}

void FleetHandlers::AddTokensAndAudit() {
  Add<CreateTokenRequest, CreateTokenResponse>(
      "CreateToken", ROLE_ADMIN,
      [this](const Caller& caller, const CreateTokenRequest& request) -> absl::StatusOr<CreateTokenResponse> {
        ASSIGN_OR_RETURN(
            const TokenStore::Created created,
            deps_.tokens->Create(
                request.name(), request.role(), EffectiveCustomer(caller, request.customer()),
                request.has_time_to_live() ? std::optional(FromProto(request.time_to_live())) : std::nullopt, caller));
        CreateTokenResponse response;
        *response.mutable_token() = ToMessage(created.token);
        response.set_secret(created.secret.Reveal());
        return response;
      });
  Add<ListTokensRequest, ListTokensResponse>(
      "ListTokens", ROLE_ADMIN,
      [this](const Caller& caller, const ListTokensRequest& request) -> absl::StatusOr<ListTokensResponse> {
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        std::vector<StoredToken> tokens = deps_.tokens->List();
        std::erase_if(tokens, [&](const StoredToken& token) {
          return !caller.customer.empty() && token.customer != caller.customer;
        });
        ListTokensResponse response;
        response.set_next_page_token(
            EmitPage(tokens, page, [&](const StoredToken& token) { *response.add_tokens() = ToMessage(token); }));
        return response;
      });
  Add<RevokeTokenRequest, RevokeTokenResponse>(
      "RevokeToken", ROLE_ADMIN,
      [this](const Caller& caller, const RevokeTokenRequest& request) -> absl::StatusOr<RevokeTokenResponse> {
        RETURN_IF_ERROR(deps_.tokens->Revoke(request.token(), caller));
        return RevokeTokenResponse();
      });
  const auto refuse_customers = [](const Caller& caller) {
    if (caller.customer.empty()) return absl::OkStatus();
    return MakeError(absl::StatusCode::kPermissionDenied, "CUSTOMER_TOKEN",
                     "the audit log covers all customers; use a token that is not limited to one");
  };
  Add<ListAuditEntriesRequest, ListAuditEntriesResponse>(
      "ListAuditEntries", ROLE_ADMIN,
      [this, refuse_customers](const Caller& caller,
                               const ListAuditEntriesRequest& request) -> absl::StatusOr<ListAuditEntriesResponse> {
        RETURN_IF_ERROR(refuse_customers(caller));
        ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_size(), request.page_token(), kDefaultPage, kMaxPage));
        const std::int64_t before = page.position > 0 ? page.position : std::numeric_limits<std::int64_t>::max();
        ListAuditEntriesResponse response;
        RETURN_IF_ERROR(deps_.store->Read([&](sqlite::Database& database) -> absl::Status {
          ASSIGN_OR_RETURN(const std::vector<AuditRecord> records, ReadAudit(database, before, page.size));
          for (const AuditRecord& record : records) *response.add_entries() = ToMessage(record);
          return absl::OkStatus();
        }));
        const int count = response.entries_size();
        if (count == page.size && response.entries(count - 1).sequence() > 1) {
          response.set_next_page_token(std::to_string(response.entries(count - 1).sequence()));
        }
        return response;
      });
  Add<VerifyAuditLogRequest, VerifyAuditLogResponse>(
      "VerifyAuditLog", ROLE_ADMIN,
      [this, refuse_customers](const Caller& caller,
                               const VerifyAuditLogRequest&) -> absl::StatusOr<VerifyAuditLogResponse> {
        RETURN_IF_ERROR(refuse_customers(caller));
        VerifyAuditLogResponse response;
        RETURN_IF_ERROR(deps_.store->Read([&](sqlite::Database& database) -> absl::Status {
          ASSIGN_OR_RETURN(const AuditVerdict verdict, VerifyAudit(database));
          response.set_intact(!verdict.first_bad);
          response.set_entries(verdict.entries);
          response.set_first_bad_sequence(verdict.first_bad.value_or(0));
          return absl::OkStatus();
        }));
        return response;
      });
}

FleetStatus FleetHandlers::Status(const Caller& caller, int target_limit) const {
  const Moment now = deps_.clock->Read();
  FleetSnapshot fleet = deps_.fleet->Snapshot(now.wall);
  LimitToCustomer(fleet, caller.customer);
  FleetStatus status = Summarize(fleet, target_limit <= 0 ? kDefaultPage : std::min(target_limit, kMaxPage));
  if (const auto grace = deps_.fleet->GraceUntil(now)) *status.mutable_grace_until() = ToProto(*grace);
  if (absl::Status fault = deps_.store->writer().Fault(); !fault.ok()) status.set_store_fault(MessageOf(fault));
  if (absl::Status fault = deps_.log_fault(); !fault.ok()) status.set_log_store_fault(MessageOf(fault));
  return status;
}

FleetHandlers::Told FleetHandlers::Look() const {
  return {.version = deps_.fleet->version(),
          .storing = deps_.store->writer().Fault().ok(),
          .storing_logs = deps_.log_fault().ok(),
          .grace = deps_.fleet->GraceUntil(deps_.clock->Read()).has_value()};
}

void FleetHandlers::StartWatch(const Caller& caller, const WatchFleetRequest& request,
                               const std::shared_ptr<StreamSink>& sink) {
  if (absl::Status allowed = RequireRole(caller, ROLE_VIEWER); !allowed.ok()) return sink->Finish(allowed);
  // Looked at before the status is made: a change in between is told again rather than missed.
  auto watch = std::make_shared<Watch>(
      Watch{.sink = sink, .caller = caller, .target_limit = request.target_limit(), .told = Look()});
  WatchFleetResponse response;
  *response.mutable_status() = Status(caller, request.target_limit());
  if (!sink->Write(response)) watch->told = {};
  {
    MutexLock lock(&mutex_);
    if (!stopping_) {
      watches_.push_back(std::move(watch));
      return;
    }
  }
  sink->Finish(Stopping());
}

void FleetHandlers::Tick() {
  logs_.Tick();
  std::vector<std::shared_ptr<Watch>> watches;
  {
    MutexLock lock(&mutex_);
    watches = watches_;
  }
  if (watches.empty()) return;
  const Told present = Look();
  std::map<std::pair<std::string, int>, WatchFleetResponse> responses;
  std::set<const Watch*> ended;
  for (const std::shared_ptr<Watch>& watch : watches) {
    if (watch->sink->cancelled()) {
      ended.insert(watch.get());
    } else if (!deps_.tokens->StillValid(watch->caller.token_id)) {
      watch->sink->Finish(MakeError(absl::StatusCode::kUnauthenticated, "TOKEN_REVOKED",
                                    "the API token was revoked or has expired while watching"));
      ended.insert(watch.get());
    } else if (watch->told != present) {
      const auto [it, made] = responses.try_emplace({watch->caller.customer, watch->target_limit});
      if (made) *it->second.mutable_status() = Status(watch->caller, watch->target_limit);
      // What a slow reader did not take is offered again.
      if (watch->sink->Write(it->second)) watch->told = present;
    }
  }
  if (ended.empty()) return;
  // `watches` keeps the sinks until the lock is released.
  MutexLock lock(&mutex_);
  std::erase_if(watches_, [&](const std::shared_ptr<Watch>& watch) { return ended.contains(watch.get()); });
}

void FleetHandlers::Stop() {
  std::vector<std::shared_ptr<Watch>> watches;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    watches.swap(watches_);
  }
  for (const std::shared_ptr<Watch>& watch : watches) watch->sink->Finish(Stopping());
  logs_.Stop(Stopping());
}

}  // namespace muster::hub
