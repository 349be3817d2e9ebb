#include "hub/fleet/report_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "common/text.h"
#include "common/time_format.h"
#include "hub/fleet/target.h"

namespace muster::hub {
namespace {

void Clean(std::string* text, std::size_t max_bytes) { *text = CleanUtf8(*text, max_bytes); }

// One time outside the years 1 to 9999 makes every answer that holds it unwritable as JSON.
void CleanTime(google::protobuf::Timestamp* time) { *time = ToProto(FromProto(*time)); }

void CleanResource(types::v1::Resource* resource) {
  if (resource->has_start_time()) CleanTime(resource->mutable_start_time());
  for (std::string* text : {resource->mutable_id(), resource->mutable_name(), resource->mutable_image(),
                            resource->mutable_image_id(), resource->mutable_state(), resource->mutable_health()}) {
    Clean(text, kMaxNameBytes);
  }
}

}  // namespace

std::string FindDefect(const agent::v1::DeploymentSnapshot& snapshot) {
  if (static_cast<std::size_t>(snapshot.deployments_size()) > kMaxDeploymentsPerTarget) {
    return fmt::format("{} deployments in one snapshot, at most {} are allowed", snapshot.deployments_size(),
                       kMaxDeploymentsPerTarget);
  }
  if (snapshot.omitted() < 0) return "a snapshot omits less than no deployment";
  std::set<std::string_view> keys;
  for (const agent::v1::DeploymentState& report : snapshot.deployments()) {
    if (report.key().empty() || report.key().size() > kMaxKeyBytes) return "a deployment's key is empty or too long";
    if (!keys.insert(report.key()).second) return "two deployments of a snapshot have the same key";
    if (!MayBeReported(report.status())) {
      return fmt::format("status {} of a deployment cannot be reported", static_cast<int>(report.status()));
    }
  }
  return "";
}

agent::v1::DeploymentState CleanReport(const agent::v1::DeploymentState& raw) {
  agent::v1::DeploymentState report = raw;
  // Kept for ever otherwise: fields of a newer agent, or anything else.
  report.DiscardUnknownFields();
  for (std::string* text : {report.mutable_name(), report.mutable_application(), report.mutable_application_version(),
                            report.mutable_revision()}) {
    Clean(text, kMaxNameBytes);
  }
  Clean(report.mutable_message(), kMaxMessageBytes);
  if (report.has_status_time()) CleanTime(report.mutable_status_time());
  // As the store keeps it: a change is named by it.
  if (report.has_change_time()) {
    CleanTime(report.mutable_change_time());
    *report.mutable_change_time() = ToProto(ToMicros(FromProto(report.change_time())));
  }
  const int resources = static_cast<int>(kMaxResourcesPerDeployment);
  if (report.resources_size() > resources) {
    report.mutable_resources()->DeleteSubrange(resources, report.resources_size() - resources);
  }
  for (types::v1::Resource& resource : *report.mutable_resources()) CleanResource(&resource);
  return report;
}

agent::v1::JournalDepth CleanJournal(const agent::v1::JournalDepth& raw) {
  agent::v1::JournalDepth depth;
  depth.set_records(std::max<std::int64_t>(raw.records(), 0));
  depth.set_bytes(std::max<std::int64_t>(raw.bytes(), 0));
  depth.set_capacity_bytes(std::max<std::int64_t>(raw.capacity_bytes(), 0));
  depth.set_dropped_total(std::max<std::int64_t>(raw.dropped_total(), 0));
  depth.set_poisoned_total(std::max<std::int64_t>(raw.poisoned_total(), 0));
  depth.set_fault(CleanUtf8(raw.fault(), kMaxMessageBytes));
  if (raw.has_oldest_age()) {
    *depth.mutable_oldest_age() = ToProto(std::max(FromProto(raw.oldest_age()), absl::ZeroDuration()));
  }
  return depth;
}

std::vector<agent::v1::LanePosition> ListedPositions(const agent::v1::Hello& hello) {
  std::vector<agent::v1::LanePosition> listed;
  for (const agent::v1::LanePosition& position : hello.journal_positions()) {
    if (listed.size() >= kMaxListedPositions) break;
    if (!position.epoch().empty() && position.epoch().size() <= kMaxEpochBytes) listed.push_back(position);
  }
  return listed;
}

types::v1::MachineFacts CleanMachine(const types::v1::MachineFacts& raw) {
  types::v1::MachineFacts machine = raw;
  machine.DiscardUnknownFields();
  for (std::string* text : {machine.mutable_hostname(), machine.mutable_os(), machine.mutable_kernel(),
                            machine.mutable_architecture(), machine.mutable_runtime()}) {
    Clean(text, kMaxNameBytes);
  }
  return machine;
}

}  // namespace muster::hub
