#include "agent/docker/deployment_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/docker/deployment_identity.h"
#include "agent/docker/status_rules.h"
#include "common/secret.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr std::size_t kRevisionDigits = 12;
// More parts than that are kept only while their containers exist.
constexpr std::size_t kMaxPartsWithGrace = 1000;
bool IsUp(ContainerState state) { return state == ContainerState::kRunning || state == ContainerState::kPaused; }

const char* StateName(ContainerState state) {
  switch (state) {
    case ContainerState::kCreated:
      return "created";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kPaused:
      return "paused";
    case ContainerState::kRestarting:
      return "restarting";
    case ContainerState::kRemoving:
      return "removing";
    case ContainerState::kExited:
      return "exited";
    case ContainerState::kDead:
      return "dead";
    case ContainerState::kUnknown:
      break;
  }
  return "other";
}

std::string_view HealthWord(const Container& container) {
  if (!IsUp(container.state)) return "";
  switch (container.health) {
    case ContainerHealth::kStarting:
      return "starting";
    case ContainerHealth::kHealthy:
      return "healthy";
    case ContainerHealth::kUnhealthy:
      return "unhealthy";
    case ContainerHealth::kNone:
      break;
  }
  return "";
}

void FillResource(const Container& container, types::v1::Resource* resource) {
  resource->set_id(container.id);
  resource->set_name(container.name);
  resource->set_image(container.image);
  resource->set_image_id(container.image_id);
  resource->set_state(container.state_word);
  resource->set_health(std::string(HealthWord(container)));
  resource->set_restart_count(container.restart_count);
  resource->set_exit_code(container.exit_code);
  if (container.started != absl::InfinitePast()) *resource->mutable_start_time() = ToProto(container.started);
}

// The work of a container that never ran, or that ended well and is not meant to come back, was done.
bool IsDone(const Container& container, std::optional<int> died_with) {
  if (container.policy == RestartPolicy::kAlways || container.policy == RestartPolicy::kUnlessStopped) return false;
  if (died_with.has_value()) return *died_with == 0;
  if (container.state == ContainerState::kCreated) return container.exit_code == 0;
  return container.state == ContainerState::kExited && container.exit_code == 0;
}

bool StandsAlone(const Container& container) {
  return IdentityOf(container).kind == types::v1::DEPLOYMENT_KIND_CONTAINER;
}

}  // namespace

void DeploymentBook::OnEvent(const EngineEvent& event, Moment now) {
  const auto it = containers_.find(event.container_id);
  if (it == containers_.end()) return;
  it->second.history.OnEvent(event, now);
  if (event.action == EventAction::kDie) it->second.died_with = event.exit_code;
  if (event.action == EventAction::kStart) it->second.died_with.reset();
}

void DeploymentBook::Put(Container container, Moment now) {
  const auto [it, is_new] = containers_.try_emplace(container.id);
  Tracked& tracked = it->second;
  const Container& last = tracked.container;
  if (!is_new && container.partial) {
    container.created = last.created;
    container.policy = last.policy;
    container.auto_remove = last.auto_remove;
    container.has_tty = last.has_tty;
    container.log_driver = last.log_driver;
    container.restart_count = last.restart_count;
    container.config_hash = last.config_hash;
    if (container.state == last.state) {
      container.started = last.started;
      container.finished = last.finished;
    }
  }
  if (!is_new && StandsAlone(last)) {
    // Renamed: the old name ends, which is no failure.
    if (std::string old_key = IdentityOf(last).key; old_key != IdentityOf(container).key)
      done_.insert(std::move(old_key));
  }
  tracked.history.OnInspect(container, now);
  tracked.container = std::move(container);
}

void DeploymentBook::Remove(std::string_view id) {
  const auto it = containers_.find(id);
  if (it == containers_.end()) return;
  const Container& container = it->second.container;
  if (StandsAlone(container) && IsDone(container, it->second.died_with)) done_.insert(IdentityOf(container).key);
  containers_.erase(it);
}

std::vector<std::string> DeploymentBook::ContainerIds() const {
  std::vector<std::string> ids;
  ids.reserve(containers_.size());
  for (const auto& [id, tracked] : containers_) ids.push_back(id);
  return ids;
}

bool DeploymentBook::IsLeftOut(const Container& container, const std::string& key, Moment now) const {
  if (!container.labels.compose_project.empty()) return container.labels.compose_oneoff;
  return container.auto_remove && StandsAlone(container) && !deployments_.contains(key) &&
         now.wall - container.created < kMinAutoRemoveAge;
}

std::map<std::string, DeploymentBook::Members> DeploymentBook::Group(Moment now) const {
  std::map<std::string, Members> groups;
  std::map<std::string, const Tracked*> slots;
  const auto is_newer = [](const Tracked* a, const Tracked* b) {
    return std::tie(a->container.created, a->container.id) > std::tie(b->container.created, b->container.id);
  };
  for (const auto& [id, tracked] : containers_) {
    const Container& container = tracked.container;
    std::string key = IdentityOf(container).key;
    if (IsLeftOut(container, key, now)) continue;
    if (const std::string_view slot = SwarmSlotOf(container); !slot.empty()) {
      const Tracked*& newest = slots[fmt::format("{}\n{}", key, slot)];
      if (newest == nullptr || is_newer(&tracked, newest)) newest = &tracked;
    } else {
      groups[std::move(key)].push_back(&tracked);
    }
  }
  for (const auto& [slot, tracked] : slots) groups[IdentityOf(tracked->container).key].push_back(tracked);
  for (auto& [key, members] : groups) {
    // The order in which messages and resources name them; of one service the newest first.
    std::sort(members.begin(), members.end(), [&](const Tracked* a, const Tracked* b) {
      const std::string service_a = ServiceOf(a->container);
      const std::string service_b = ServiceOf(b->container);
      return service_a != service_b ? service_a < service_b : is_newer(a, b);
    });
  }
  return groups;
}

Present DeploymentBook::Look(Moment now) {
  const std::map<std::string, Members> groups = Group(now);
  for (const auto& [key, members] : groups) {
    Memory& memory = deployments_[key];
    memory.gone_since.reset();
    memory.state.set_gone(false);
    Judge(members, now, memory);
  }
  for (auto it = deployments_.begin(); it != deployments_.end();) {
    Memory& memory = it->second;
    if (groups.contains(it->first)) {
      ++it;
    } else if (done_.contains(it->first) && !memory.gone_since.has_value()) {
      it = deployments_.erase(it);
    } else {
      if (!memory.gone_since.has_value()) memory.gone_since = now.monotonic;
      memory.state.clear_resources();
      memory.state.set_gone(true);
      DeploymentVerdict gone = JudgeDeployment({});
      memory.status.Set(gone.status, std::move(gone.message), now.wall, false, now.wall, memory.state);
      ++it;
    }
  }
  done_.clear();
  ForgetOldestGone(groups.size());

  Present present;
  for (const auto& [key, memory] : deployments_) {
    if (present.deployments.size() == kMaxDeploymentsPerTarget) {
      ++present.omitted;
    } else {
      present.deployments.push_back(memory.state);
    }
  }
  KeepWithinPictureSize(present);
  return present;
}

std::vector<LogContainer> DeploymentBook::LogContainers(const Present& present, Moment now) const {
  std::map<std::string_view, std::string_view> revisions;
  for (const v1::DeploymentState& state : present.deployments) revisions.emplace(state.key(), state.revision());
  std::vector<LogContainer> all;
  for (const auto& [id, tracked] : containers_) {
    const Container& container = tracked.container;
    std::string key = IdentityOf(container).key;
    const auto shown = revisions.find(key);
    if (shown == revisions.end() || container.config_hash.empty() || IsLeftOut(container, key, now)) continue;
    all.push_back({.id = id,
                   .name = container.name,
                   .deployment_key = std::move(key),
                   .revision = std::string(shown->second),
                   .has_tty = container.has_tty,
                   .log_driver = container.log_driver,
                   .created = container.created,
                   .is_running = IsUp(container.state)});
  }
  return all;
}

ContainerCensus DeploymentBook::Census() const {
  ContainerCensus census;
  for (const auto& [id, tracked] : containers_) {
    ++census.states[StateName(tracked.container.state)];
    census.restarts += tracked.container.restart_count;
  }
  return census;
}

void DeploymentBook::Judge(const Members& members, Moment now, Memory& memory) const {
  v1::DeploymentState& state = memory.state;
  const DeploymentIdentity identity = IdentityOf(members.front()->container);
  state.set_key(identity.key);
  state.set_name(identity.name);
  state.set_kind(identity.kind);

  std::vector<NamedJudgement> judgements;
  std::vector<const Container*> spokesmen;
  bool by_window = false;
  state.clear_resources();
  for (const Tracked* tracked : members) {
    const Container& container = tracked->container;
    const ContainerPast past = tracked->history.Past(now);
    by_window = by_window || past.restart_loop || past.oom;
    judgements.push_back({.name = container.name, .judgement = JudgeContainer(container, past)});
    if (spokesmen.empty() || ServiceOf(*spokesmen.back()) != ServiceOf(container)) spokesmen.push_back(&container);
    if (state.resources_size() < kMaxResourcesPerDeployment) FillResource(container, state.add_resources());
  }
  const ApplicationName name = ApplicationOf(spokesmen, identity.name);
  state.set_application(name.application);
  state.set_application_version(name.version);
  UpdateRevision(members, now, memory);
  DeploymentVerdict verdict = JudgeDeployment(judgements);
  memory.status.Set(verdict.status, std::move(verdict.message), verdict.since, by_window, now.wall, state);
}

void DeploymentBook::UpdateRevision(const Members& members, Moment now, Memory& memory) const {
  std::set<std::string> present;
  for (const Tracked* tracked : members) {
    const Container& container = tracked->container;
    // The newest of a service comes first and speaks for it.
    const std::string service = ServiceOf(container);
    if (!present.insert(service).second) continue;
    const std::string& labelled = container.labels.compose_config_hash;
    Part& part = memory.parts[service];
    part.away_since.reset();
    // Not inspected yet: its configuration is not known, and an invented one would be a revision that never was.
    if (container.config_hash.empty() && labelled.empty() && !part.digest.empty()) continue;
    part.digest = DerivedId("", container.image_id, labelled.empty() ? container.config_hash : labelled);
  }
  const bool may_wait = memory.parts.size() <= kMaxPartsWithGrace;
  std::string all;
  for (auto it = memory.parts.begin(); it != memory.parts.end();) {
    Part& part = it->second;
    if (!present.contains(it->first)) {
      if (!part.away_since.has_value()) part.away_since = now.monotonic;
      if (!may_wait || now.monotonic - *part.away_since >= kRevisionGrace) {
        it = memory.parts.erase(it);
        continue;
      }
    }
    all += DerivedId("", it->first, part.digest);
    ++it;
  }
  memory.state.set_revision(DerivedId("", "revision", all).substr(0, kRevisionDigits));
}

void DeploymentBook::ForgetOldestGone(std::size_t living) {
  const std::size_t limit = GoneDeploymentsBeside(living);
  std::vector<std::pair<Instant, std::string>> gone;
  for (const auto& [key, memory] : deployments_) {
    if (memory.gone_since.has_value()) gone.emplace_back(*memory.gone_since, key);
  }
  if (gone.size() <= limit) return;
  std::sort(gone.begin(), gone.end());
  gone.resize(gone.size() - limit);
  for (const auto& [since, key] : gone) deployments_.erase(key);
}

}  // namespace muster::agent
