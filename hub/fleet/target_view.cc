// How a Target describes itself to readers: the API's messages.
#include <map>
#include <string>

#include "common/time_format.h"
#include "hub/fleet/target.h"

namespace muster::hub {

namespace types = ::muster::types::v1;

namespace {

fleet::v1::Journal DescribeJournal(const JournalView& journal) {
  fleet::v1::Journal view;
  const agent::v1::JournalDepth& depth = *journal.depth;
  view.set_records(depth.records());
  view.set_bytes(depth.bytes());
  view.set_capacity_bytes(depth.capacity_bytes());
  if (depth.has_oldest_age()) *view.mutable_oldest_age() = depth.oldest_age();
  view.set_dropped_total(depth.dropped_total());
  view.set_poisoned_total(depth.poisoned_total());
  view.set_fault(depth.fault());
  view.set_gap_records(journal.gap_records);
  view.set_duplicate_records(journal.duplicate_records);
  if (journal.newest) *view.mutable_newest_applied_time() = ToProto(*journal.newest);
  return view;
}

}  // namespace

fleet::v1::Target Target::Describe() const {
  fleet::v1::Target view;
  view.set_id(stored_.id);
  view.set_name(stored_.name);
  view.set_type(stored_.type);
  view.set_customer(stored_.customer);
  view.set_state(stored_.open.state);
  *view.mutable_state_time() = ToProto(stored_.open.from);
  view.set_state_reason(stored_.open.reason);
  if (stored_.last_seen) *view.mutable_last_seen_time() = ToProto(*stored_.last_seen);
  *view.mutable_create_time() = ToProto(stored_.created);
  view.set_agent_version(stored_.agent_version);
  *view.mutable_machine() = stored_.machine;
  view.set_metrics_enabled(stored_.metrics_enabled);
  if (session_) {
    fleet::v1::Session* session = view.mutable_session();
    session->set_id(session_->id);
    session->set_peer(session_->peer);
    *session->mutable_start_time() = ToProto(session_->start);
    if (session_->round_trip) *session->mutable_round_trip() = ToProto(*session_->round_trip);
    if (session_->clock_skew) *session->mutable_clock_skew() = ToProto(*session_->clock_skew);
  }
  if (session_end_) *view.mutable_session_end() = *session_end_;
  view.set_observer_fault(observer_fault_);
  view.set_identity_warning(stored_.identity_warning);
  view.set_omitted_deployments(omitted_);
  if (journal_.depth) *view.mutable_journal() = DescribeJournal(journal_);
  std::map<types::DeploymentStatus, int> counts;
  for (const auto& [key, deployment] : deployments_) ++counts[deployment.open.status];
  for (const auto& [status, count] : counts) {
    fleet::v1::StatusCount* entry = view.add_deployments();
    entry->set_status(status);
    entry->set_count(count);
  }
  return view;
}

fleet::v1::Deployment Target::DescribeDeployment(const StoredDeployment& d) const {
  fleet::v1::Deployment view;
  view.set_id(d.id);
  view.set_target_id(stored_.id);
  view.set_target_name(stored_.name);
  view.set_customer(stored_.customer);
  view.set_name(d.report.name());
  view.set_kind(d.report.kind());
  view.set_status(d.open.status);
  view.set_last_known_status(d.report.status());
  *view.mutable_status_time() = ToProto(d.open.from);
  view.set_message(d.report.message());
  if (deployments_confirmed_wall_) *view.mutable_reported_time() = ToProto(*deployments_confirmed_wall_);
  view.set_application(d.choices.application.value_or(d.report.application()));
  view.set_application_version(d.choices.application_version.value_or(d.report.application_version()));
  view.set_revision(d.report.revision());
  *view.mutable_revision_time() = ToProto(d.revision_since);
  *view.mutable_resources() = d.report.resources();
  view.set_logs_enabled(d.choices.logs_enabled);
  *view.mutable_create_time() = ToProto(d.created);
  return view;
}

std::optional<fleet::v1::Deployment> Target::FindDeployment(std::string_view deployment_id) const {
  for (const auto& [key, deployment] : deployments_) {
    if (deployment.id == deployment_id) return DescribeDeployment(deployment);
  }
  return std::nullopt;
}

DeploymentNames Target::NamesOfDeployments() const {
  DeploymentNames names;
  for (const auto& [key, d] : deployments_) names[key] = {.id = d.id, .name = d.report.name()};
  return names;
}

TargetSnapshot Target::Snapshot() const {
  TargetSnapshot snapshot{.target = Describe(), .deployments = {}};
  snapshot.deployments.reserve(deployments_.size());
  for (const auto& [key, deployment] : deployments_) snapshot.deployments.push_back(DescribeDeployment(deployment));
  return snapshot;
}

}  // namespace muster::hub
