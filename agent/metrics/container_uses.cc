#include "agent/metrics/container_uses.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "agent/docker/engine_client.h"
#include "agent/metrics/host_sample.h"
#include "agent/present.h"

namespace muster::agent {
namespace {

// Of deployments and of containers in a report.
constexpr int kMaxContainersTold = 500;

}  // namespace

void ContainerUses::Update(const std::vector<LogContainer>& containers, const Clock* clock, const Ask& ask) {
  Take(containers);
  // Who waits longest comes first.
  std::vector<std::pair<std::optional<Instant>, std::string>> turns;
  for (const auto& [id, known] : known_) turns.emplace_back(known.asked_at, id);
  std::sort(turns.begin(), turns.end());
  if (turns.size() > kMaxContainersAsked) turns.resize(kMaxContainersAsked);
  const Instant end = clock->Monotonic() + kMaxAskingTime;
  for (const auto& [asked_at, id] : turns) {
    if (clock->Monotonic() >= end) return;
    Known& known = known_.at(id);
    const absl::StatusOr<ContainerStats> stats = ask(id);
    const Instant now = clock->Monotonic();
    known.asked_at = now;
    if (stats.ok()) {
      Note(*stats, now, known);
    } else if (IsEngineFailure(stats.status())) {
      return;
    }
  }
}

void ContainerUses::Take(const std::vector<LogContainer>& containers) {
  std::set<std::string_view> running;
  for (const LogContainer& container : containers) {
    if (!container.is_running) continue;
    running.insert(container.id);
    Known& known = known_[container.id];
    known.deployment_key = container.deployment_key;
    known.name = container.name;
  }
  std::erase_if(known_, [&](const auto& entry) { return !running.contains(entry.first); });
}

void ContainerUses::Note(const ContainerStats& stats, Instant now, Known& known) {
  known.cpu_cores.reset();
  if (known.stats.has_value() && now > known.told_at) {
    const double used = std::max(0.0, stats.cpu_seconds - known.stats->cpu_seconds);
    known.cpu_cores = used / absl::ToDoubleSeconds(now - known.told_at);
  }
  known.stats = stats;
  known.told_at = now;
}

void ContainerUses::Fill(Instant now, std::int64_t host_memory_bytes, v1::HostReport* report) const {
  struct Sum {
    std::optional<double> cpu_cores;
    std::int64_t memory_bytes = 0;
  };
  std::map<std::string_view, Sum> deployments;
  std::vector<const Known*> told;
  for (const auto& [id, known] : known_) {
    if (!known.stats.has_value() || now - known.told_at > kMaxUseAge) continue;
    told.push_back(&known);
    Sum& sum = deployments[known.deployment_key];
    sum.memory_bytes += known.stats->memory_bytes;
    if (known.cpu_cores.has_value()) sum.cpu_cores = sum.cpu_cores.value_or(0) + *known.cpu_cores;
  }
  for (const auto& [key, sum] : deployments) {
    if (report->sample().deployments_size() == kMaxDeploymentsTold) break;
    v1::HostSample::DeploymentUse* use = report->mutable_sample()->add_deployments();
    use->set_deployment_key(std::string(key));
    use->set_memory_bytes(sum.memory_bytes);
    if (sum.cpu_cores.has_value()) use->set_cpu_cores(*sum.cpu_cores);
  }
  std::sort(told.begin(), told.end(), [](const Known* a, const Known* b) {
    return std::tie(a->deployment_key, a->name) < std::tie(b->deployment_key, b->name);
  });
  for (const Known* known : told) {
    if (report->containers_size() == kMaxContainersTold) break;
    v1::ContainerUse* use = report->add_containers();
    use->set_deployment_key(known->deployment_key);
    use->set_container(known->name);
    use->set_cpu_seconds(known->stats->cpu_seconds);
    use->set_memory_bytes(known->stats->memory_bytes);
    const std::int64_t limit = known->stats->memory_limit_bytes;
    use->set_memory_limit_bytes(host_memory_bytes > 0 && limit >= host_memory_bytes ? 0 : limit);
  }
}

}  // namespace muster::agent
