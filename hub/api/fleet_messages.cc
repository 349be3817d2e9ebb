#include "hub/api/fleet_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;

// What a Timestamp may hold: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
constexpr std::int64_t kFirstSecond = -62135596800;
constexpr std::int64_t kLastSecond = 253402300799;

// How much one role includes; 0 for roles outside the ladder.
int Rank(fleet::v1::Role role) {
  switch (role) {
    case fleet::v1::ROLE_VIEWER:
      return 1;
    case fleet::v1::ROLE_OPERATOR:
      return 2;
    case fleet::v1::ROLE_ADMIN:
      return 3;
    default:
      return 0;
  }
}

bool HasDeployment(const TargetSnapshot& target, types::DeploymentStatus status) {
  return std::any_of(target.deployments.begin(), target.deployments.end(),
                     [&](const fleet::v1::Deployment& deployment) { return deployment.status() == status; });
}

// Smaller needs attention first.
int Urgency(const TargetSnapshot& target) {
  if (target.target.state() == types::TARGET_STATE_STALE) return 0;
  if (HasDeployment(target, types::DEPLOYMENT_STATUS_ERROR)) return 1;
  if (HasDeployment(target, types::DEPLOYMENT_STATUS_STALE)) return 2;
  if (HasDeployment(target, types::DEPLOYMENT_STATUS_PROGRESSING)) return 3;
  if (target.target.state() == types::TARGET_STATE_NOT_CONNECTED) return 4;
  return 5;
}

}  // namespace

absl::Status RequireRole(const Caller& caller, fleet::v1::Role needed) {
  if (Rank(caller.role) >= Rank(needed) && Rank(caller.role) > 0) return absl::OkStatus();
  return MakeError(absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW",
                   fmt::format("token \"{}\" has {}, this needs {}; use a token of that role", caller.token_name,
                               fleet::v1::Role_Name(caller.role), fleet::v1::Role_Name(needed)));
}

absl::StatusOr<Page> ReadPage(int page_size, const std::string& page_token, int default_size, int max_size) {
  const auto bad = [](std::string_view what) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE",
                     fmt::format("{}; send page_size from 0 and the page_token of the answer before", what));
  };
  if (page_size < 0) return bad("page_size is negative");
  Page page{.position = 0, .size = page_size == 0 ? default_size : std::min(page_size, max_size)};
  if (page_token.empty()) return page;
  const auto [end, error] = std::from_chars(page_token.data(), page_token.data() + page_token.size(), page.position);
  if (error != std::errc() || end != page_token.data() + page_token.size() || page.position <= 0) {
    return bad("page_token is not one of this hub's");
  }
  return page;
}

absl::StatusOr<absl::Time> ReadTime(std::string_view field, const google::protobuf::Timestamp& time) {
  if (time.seconds() >= kFirstSecond && time.seconds() <= kLastSecond && time.nanos() >= 0 &&
      time.nanos() < 1'000'000'000) {
    return FromProto(time);
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TIME",
                   fmt::format("{} is no time: {} s and {} ns since 1970; send one of the years 1 to 9999", field,
                               time.seconds(), time.nanos()));
}

absl::StatusOr<HistoryWindow> ReadWindow(const google::protobuf::Timestamp* from, const google::protobuf::Timestamp* to,
                                         const Page& page, absl::Time now) {
  HistoryWindow window;
  if (from != nullptr) {
    ASSIGN_OR_RETURN(window.from, ReadTime("from_time", *from));
  }
  if (to != nullptr) {
    ASSIGN_OR_RETURN(window.to, ReadTime("to_time", *to));
  }
  if (window.from >= window.to) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_WINDOW", "from_time must be before to_time");
  }
  if (window.from > now) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_WINDOW",
                     fmt::format("from_time must be in the past; here it is {}", FormatRfc3339(now)));
  }
  // What goes on does so beyond any time to come.
  if (window.to > now) window.to = absl::InfiniteFuture();
  if (page.position > 0) window.before = absl::FromUnixMicros(page.position);
  window.limit = page.size;
  return window;
}

fleet::v1::TargetInterval ToMessage(const TargetPeriod& period) {
  fleet::v1::TargetInterval message;
  message.set_state(period.state);
  *message.mutable_from_time() = ToProto(period.from);
  if (period.to != absl::InfiniteFuture()) *message.mutable_to_time() = ToProto(period.to);
  message.set_reason(period.reason);
  return message;
}

fleet::v1::DeploymentInterval ToMessage(const DeploymentPeriod& period) {
  fleet::v1::DeploymentInterval message;
  message.set_status(period.status);
  *message.mutable_from_time() = ToProto(period.from);
  if (period.to != absl::InfiniteFuture()) *message.mutable_to_time() = ToProto(period.to);
  message.set_message(period.message);
  message.set_application_version(period.application_version);
  message.set_revision(period.revision);
  if (period.agent_time) *message.mutable_agent_time() = ToProto(*period.agent_time);
  return message;
}

fleet::v1::HistoryGap ToMessage(const LostRecords& gap) {
  constexpr std::string_view kPrefix = "GAP_REASON_";
  fleet::v1::HistoryGap message;
  *message.mutable_from_time() = ToProto(gap.from);
  *message.mutable_to_time() = ToProto(gap.to);
  message.set_records(gap.records);
  const std::string name = agent::v1::GapReason_Name(gap.reason);
  message.set_reason(name.size() > kPrefix.size() ? name.substr(kPrefix.size()) : "UNSPECIFIED");
  return message;
}

fleet::v1::GetAvailabilityResponse ToMessage(const Availability& availability) {
  fleet::v1::GetAvailabilityResponse message;
  *message.mutable_from_time() = ToProto(availability.window().from);
  *message.mutable_to_time() = ToProto(availability.window().to);
  *message.mutable_available() = ToProto(availability.available());
  *message.mutable_unavailable() = ToProto(availability.unavailable());
  *message.mutable_unknown() = ToProto(availability.unknown());
  if (const auto ratio = availability.Ratio()) message.set_ratio(*ratio);
  return message;
}

fleet::v1::Token ToMessage(const StoredToken& token) {
  fleet::v1::Token message;
  message.set_id(token.id);
  message.set_name(token.name);
  message.set_role(token.role);
  message.set_customer(token.customer);
  *message.mutable_create_time() = ToProto(token.created);
  if (token.expires) *message.mutable_expire_time() = ToProto(*token.expires);
  if (token.revoked) *message.mutable_revoke_time() = ToProto(*token.revoked);
  return message;
}

fleet::v1::AuditEntry ToMessage(const AuditRecord& record) {
  fleet::v1::AuditEntry message;
  message.set_sequence(record.sequence);
  *message.mutable_time() = ToProto(record.at);
  message.set_actor(record.actor);
  message.set_action(record.action);
  message.set_subject(record.subject);
  message.set_detail(record.detail);
  return message;
}

fleet::v1::FleetStatus Summarize(const FleetSnapshot& fleet, int target_limit) {
  fleet::v1::FleetStatus status;
  *status.mutable_hub_time() = ToProto(fleet.taken);
  status.set_organization(fleet.organization);
  std::map<types::TargetState, int> states;
  std::map<types::DeploymentStatus, int> statuses;
  std::vector<const TargetSnapshot*> order;
  for (const TargetSnapshot& target : fleet.targets) {
    ++states[target.target.state()];
    for (const fleet::v1::Deployment& deployment : target.deployments) ++statuses[deployment.status()];
    order.push_back(&target);
  }
  for (const auto& [state, count] : states) {
    fleet::v1::TargetStateCount* entry = status.add_targets();
    entry->set_state(state);
    entry->set_count(count);
  }
  for (const auto& [value, count] : statuses) {
    fleet::v1::StatusCount* entry = status.add_deployments();
    entry->set_status(value);
    entry->set_count(count);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return Urgency(*a) < Urgency(*b); });
  order.resize(std::min(order.size(), static_cast<std::size_t>(target_limit)));
  for (const TargetSnapshot* target : order) {
    fleet::v1::TargetStatus* entry = status.add_target_statuses();
    *entry->mutable_target() = target->target;
    for (const fleet::v1::Deployment& deployment : target->deployments) *entry->add_deployments() = deployment;
  }
  return status;
}

void LimitToCustomer(FleetSnapshot& fleet, std::string_view customer) {
  if (customer.empty()) return;
  std::erase_if(fleet.targets, [&](const TargetSnapshot& target) { return target.target.customer() != customer; });
}

}  // namespace muster::hub
