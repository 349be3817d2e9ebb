#include "hub/api/host_metric_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/api/fleet_messages.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kWeek = absl::Hours(24 * 7);
// Each divides the next or is a fair part of a day; beyond come whole weeks.
constexpr std::array<absl::Duration, 16> kSteps = {
    absl::Seconds(30), absl::Minutes(1),  absl::Minutes(2),  absl::Minutes(5), absl::Minutes(10),
    absl::Minutes(15), absl::Minutes(20), absl::Minutes(30), absl::Hours(1),   absl::Hours(2),
    absl::Hours(3),    absl::Hours(4),    absl::Hours(6),    absl::Hours(12),  kDay,
    absl::Hours(48)};

absl::Status Bad(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::StatusOr<TimeSpan> ReadSpan(const QueryHostMetricsRequest& request, const HistorySubject& target,
                                  absl::Time now) {
  TimeSpan window{.from = {}, .to = now};
  if (request.has_to_time()) {
    ASSIGN_OR_RETURN(const absl::Time to, ReadTime("to_time", request.to_time()));
    window.to = std::min(now, to);
  }
  window.from = window.to - kMetricWindow;
  if (request.has_from_time()) {
    ASSIGN_OR_RETURN(window.from, ReadTime("from_time", request.from_time()));
  }
  if (window.from >= window.to) {
    return Bad("BAD_WINDOW", fmt::format("from_time must be before to_time, and in the past; here it is {}",
                                         FormatRfc3339(ToMicros(now))));
  }
  if (window.from < target.created && target.created < window.to) window.from = target.created;
  return window;
}

absl::StatusOr<absl::Duration> ReadStep(const QueryHostMetricsRequest& request, absl::Duration window) {
  if (!request.has_step()) return DefaultMetricStep(window);
  const absl::Duration step = FromProto(request.step());
  if (step < kMinMetricStep) {
    return Bad("BAD_STEP", fmt::format("a step of {} is too short: samples come every {}", absl::FormatDuration(step),
                                       absl::FormatDuration(kMinMetricStep)));
  }
  if (window <= step * kMaxMetricPoints) return step;
  return Bad("TOO_MANY_POINTS",
             fmt::format("a step of {} cuts {} into more than {} points; ask for a longer step or a shorter window",
                         absl::FormatDuration(step), FormatAge(window), kMaxMetricPoints));
}

absl::StatusOr<SampleAggregation> ReadAggregation(MetricAggregation aggregation) {
  switch (aggregation) {
    case METRIC_AGGREGATION_UNSPECIFIED:
    case METRIC_AGGREGATION_AVERAGE:
      return SampleAggregation::kAverage;
    case METRIC_AGGREGATION_MINIMUM:
      return SampleAggregation::kMinimum;
    case METRIC_AGGREGATION_MAXIMUM:
      return SampleAggregation::kMaximum;
    default:
      return Bad("BAD_AGGREGATION", "aggregation is none of average, minimum and maximum");
  }
}

bool IsOfDeployment(const SampleSeries& series) { return series.metric.starts_with("deployment_"); }

void CopyDisks(const agent::v1::HostSample& sample, HostMetrics* metrics) {
  for (const auto& disk : sample.disks()) {
    HostDisk* entry = metrics->add_disks();
    entry->set_device(disk.device());
    entry->set_mount_path(disk.mount_path());
    entry->set_filesystem_type(disk.filesystem_type());
    entry->set_total_bytes(disk.total_bytes());
    entry->set_used_bytes(disk.used_bytes());
    entry->set_available_bytes(disk.available_bytes());
    entry->set_files(disk.files());
    entry->set_files_free(disk.files_free());
    entry->set_is_stuck(disk.is_stuck());
  }
}

void CopyContainers(const agent::v1::HostSample& sample, const DeploymentNames& names, HostMetrics* metrics) {
  for (const auto& count : sample.containers()) {
    HostContainerCount* entry = metrics->add_containers();
    entry->set_state(count.state());
    entry->set_count(count.count());
  }
  metrics->set_container_restarts(sample.container_restarts());
  for (const auto& use : sample.deployments()) {
    HostDeploymentUse* entry = metrics->add_deployments();
    const auto known = names.find(use.deployment_key());
    if (known != names.end()) entry->set_deployment_id(known->second.id);
    entry->set_name(NameOfKey(names, use.deployment_key()));
    if (use.has_cpu_cores()) entry->set_cpu_cores(use.cpu_cores());
    entry->set_memory_bytes(use.memory_bytes());
  }
}

void CopyNodes(const agent::v1::HostSample& sample, HostMetrics* metrics) {
  for (const auto& node : sample.nodes()) {
    HostNode* entry = metrics->add_nodes();
    entry->set_node(node.node());
    entry->set_cpu_cores(node.cpu_cores());
    entry->set_memory_total_bytes(node.memory_total_bytes());
    if (node.has_cpu_cores_used()) entry->set_cpu_cores_used(node.cpu_cores_used());
    if (node.has_memory_used_bytes()) entry->set_memory_used_bytes(node.memory_used_bytes());
    if (node.has_is_ready()) entry->set_is_ready(node.is_ready());
  }
}

}  // namespace

absl::Duration DefaultMetricStep(absl::Duration window) {
  const absl::Duration shortest = window / kDefaultMetricPoints;
  for (const absl::Duration step : kSteps) {
    if (step >= shortest) return step;
  }
  return absl::Ceil(shortest, kWeek);
}

absl::StatusOr<SampleQuery> ReadMetricQuery(const QueryHostMetricsRequest& request, const HistorySubject& target,
                                            absl::Time now) {
  ASSIGN_OR_RETURN(const TimeSpan window, ReadSpan(request, target, now));
  SampleQuery query{.target_id = target.target_id,
                    .metrics = {request.metrics().begin(), request.metrics().end()},
                    .from = window.from,
                    .to = window.to,
                    .step = {}};
  // Who names one a thousand times asks for it once.
  std::sort(query.metrics.begin(), query.metrics.end());
  query.metrics.erase(std::unique(query.metrics.begin(), query.metrics.end()), query.metrics.end());
  ASSIGN_OR_RETURN(query.step, ReadStep(request, window.to - window.from));
  ASSIGN_OR_RETURN(query.aggregation, ReadAggregation(request.aggregation()));
  return query;
}

std::string NameOfKey(const DeploymentNames& names, const std::string& key) {
  const auto known = names.find(key);
  // "compose/shop": what the agent called it when it was there.
  return known != names.end() ? known->second.name : key.substr(key.find('/') + 1);
}

HostMetrics ToMessage(const StoredSample& taken, const DeploymentNames& names) {
  const agent::v1::HostSample& sample = taken.sample;
  HostMetrics metrics;
  *metrics.mutable_time() = ToProto(taken.time);
  metrics.set_cpu_cores(sample.cpu_cores());
  if (sample.has_cpu_usage_ratio()) metrics.set_cpu_usage_ratio(sample.cpu_usage_ratio());
  metrics.set_memory_total_bytes(sample.memory_total_bytes());
  metrics.set_memory_used_bytes(sample.memory_used_bytes());
  if (sample.has_swap_total_bytes()) metrics.set_swap_total_bytes(sample.swap_total_bytes());
  if (sample.has_swap_used_bytes()) metrics.set_swap_used_bytes(sample.swap_used_bytes());
  if (sample.has_load1()) metrics.set_load1(sample.load1());
  if (sample.has_load5()) metrics.set_load5(sample.load5());
  if (sample.has_load15()) metrics.set_load15(sample.load15());
  if (sample.has_uptime()) *metrics.mutable_uptime() = ToProto(FromProto(sample.uptime()));
  if (sample.has_network_receive_bytes_per_second()) {
    metrics.set_network_receive_bytes_per_second(sample.network_receive_bytes_per_second());
  }
  if (sample.has_network_transmit_bytes_per_second()) {
    metrics.set_network_transmit_bytes_per_second(sample.network_transmit_bytes_per_second());
  }
  if (sample.has_disk_read_bytes_per_second()) {
    metrics.set_disk_read_bytes_per_second(sample.disk_read_bytes_per_second());
  }
  if (sample.has_disk_written_bytes_per_second()) {
    metrics.set_disk_written_bytes_per_second(sample.disk_written_bytes_per_second());
  }
  CopyDisks(sample, &metrics);
  CopyContainers(sample, names, &metrics);
  CopyNodes(sample, &metrics);
  *metrics.mutable_missing() = sample.missing();
  return metrics;
}

void NameDeployments(const DeploymentNames& names, std::vector<SampleSeries>& series) {
  std::map<std::string, std::set<std::string>> keys_of;  // by name
  for (const SampleSeries& s : series) {
    if (IsOfDeployment(s)) keys_of[NameOfKey(names, s.instance)].insert(s.instance);
  }
  for (SampleSeries& s : series) {
    if (!IsOfDeployment(s)) continue;
    std::string name = NameOfKey(names, s.instance);
    if (keys_of.at(name).size() == 1) s.instance = std::move(name);
  }
}

HostSeries ToMessage(const SampleSeries& series) {
  HostSeries message;
  message.set_metric(series.metric);
  message.set_instance(series.instance);
  message.set_unit(series.unit);
  message.mutable_points()->Reserve(static_cast<int>(series.points.size()));
  for (const SamplePoint& point : series.points) {
    HostPoint* entry = message.add_points();
    *entry->mutable_time() = ToProto(point.time);
    entry->set_value(point.value);
  }
  return message;
}

}  // namespace muster::hub
