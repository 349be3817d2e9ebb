#include "agent/kubernetes/cluster_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "agent/deployments/picture.h"
#include "agent/kubernetes/event_shelf.h"
#include "agent/kubernetes/group_judge.h"
#include "agent/kubernetes/object_identity.h"
#include "agent/kubernetes/object_tree.h"

namespace muster::agent {
namespace {

// The picture must have become so much smaller than its bound before more resources are told again: telling all of them
// anew is dear.
constexpr std::size_t kRoomyPictureBytes = kMaxPictureBytes / 10 * 9;

std::optional<LogContainer> RunBefore(const KubeContainer& container, LogContainer like, const KubePod& pod) {
  if (!container.last.has_value() || container.last->container_id.empty() ||
      container.last->container_id == container.container_id) {
    return std::nullopt;
  }
  like.id = container.last->container_id;
  like.created = container.last->started;
  like.is_running = false;
  like.log_path = KubeLogPath(pod.meta.name_space, pod.meta.name, container.spec.name, /*previous=*/true);
  return like;
}

void AddLogs(const KubePod& pod, const std::string& workload, const KubeGroup& group, std::vector<LogContainer>& all) {
  for (const KubeContainer& container : pod.containers) {
    LogContainer present{
        .id = container.container_id,
        .name = BoundedIdentity(fmt::format("{}/{}/{}", workload, pod.meta.name, container.spec.name), kMaxNameBytes),
        .deployment_key = group.key,
        .revision = group.state.revision(),
        .has_tty = true,
        .log_driver = "kubernetes",
        .created = container.started,
        .is_running = container.state == KubeContainerState::kRunning,
        .log_path = KubeLogPath(pod.meta.name_space, pod.meta.name, container.spec.name, /*previous=*/false)};
    // While it waits for its next run, the last one is what the path shows.
    const bool shows_last = container.last.has_value() && container.last->container_id == container.container_id;
    if (container.state == KubeContainerState::kWaiting && shows_last) present.created = container.last->started;
    if (present.created == absl::InfinitePast()) present.created = pod.meta.created;
    if (std::optional<LogContainer> before = RunBefore(container, present, pod)) all.push_back(*std::move(before));
    if (!present.id.empty()) all.push_back(std::move(present));
  }
}

}  // namespace

struct ClusterBook::State {
  ObjectTree tree;
  EventShelf events;
  std::map<std::string, KubeNode, std::less<>> nodes;  // by uid
  std::set<std::string, std::less<>> lost_nodes;       // by name
  GroupJudge judge{&tree, &events, &lost_nodes};
  // Index into kResourceSteps.
  std::size_t resource_step = 0;

  void PutNode(KubeNode node);
  void RemoveNode(std::string_view uid);
  void SetLost(const std::string& name, bool is_lost);
  void PutEvent(const KubeEvent& event);

  void SetNames();
  void JudgeMarked(const Moment& now);
  void ForgetOldestGone();
  std::size_t ShownSize(std::size_t step);
  void FitResources(const Moment& now);
};

void ClusterBook::State::PutNode(KubeNode node) {
  const auto known = nodes.find(node.meta.uid);
  if (known == nodes.end() && nodes.size() >= kMaxKubeObjects) return;
  SetLost(node.meta.name, !node.is_ready);
  nodes.insert_or_assign(node.meta.uid, std::move(node));
}

void ClusterBook::State::RemoveNode(std::string_view uid) {
  const auto it = nodes.find(uid);
  if (it == nodes.end()) return;
  SetLost(it->second.meta.name, false);
  nodes.erase(it);
}

void ClusterBook::State::SetLost(const std::string& name, bool is_lost) {
  if (lost_nodes.contains(name) == is_lost) return;
  if (is_lost) {
    lost_nodes.insert(name);
  } else {
    lost_nodes.erase(name);
  }
  tree.MarkPodsOn(name);
}

void ClusterBook::State::PutEvent(const KubeEvent& event) {
  if (!events.Put(event)) return;
  if (KubeNodeOfTree* about = tree.Find(event.about_uid); about != nullptr) tree.Mark(*about);
}

void ClusterBook::State::SetNames() {
  if (!tree.TakeNamesChanged()) return;
  std::map<std::string_view, std::set<std::string_view>> namespaces;
  for (const auto& [key, group] : tree.groups()) namespaces[group.name].insert(group.name_space);
  for (auto& [key, group] : tree.groups()) {
    const bool is_taken = namespaces[group.name].size() > 1;
    std::string name =
        is_taken ? BoundedIdentity(fmt::format("{} ({})", group.name, group.name_space), kMaxNameBytes) : group.name;
    for (std::size_t& size : group.sizes) size = size - group.state.name().size() + name.size();
    group.state.set_name(std::move(name));
  }
}

void ClusterBook::State::JudgeMarked(const Moment& now) {
  std::vector<KubeGroup*> marked = tree.TakeMarked();
  std::set<KubeGroup*> due(marked.begin(), marked.end());
  for (auto& [key, group] : tree.groups()) {
    if (!group.never_changes && group.next_change <= now.monotonic) due.insert(&group);
  }
  for (KubeGroup* group : due) {
    if (!group->roots.empty()) {
      judge.Judge(*group, kResourceSteps.at(resource_step), now);
    } else if (!group->gone_since.has_value()) {
      // One that was never looked at is not missed.
      const bool was_seen = group->state.status() != types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
      if (group->is_done || !was_seen) {
        tree.EraseGroup(tree.groups().find(group->key));
      } else {
        judge.JudgeGone(*group, now);
      }
    }
  }
}

void ClusterBook::State::ForgetOldestGone() {
  std::vector<std::pair<Instant, std::string>> gone;
  for (const auto& [key, group] : tree.groups()) {
    if (group.gone_since.has_value()) gone.emplace_back(*group.gone_since, key);
  }
  const std::size_t limit = GoneDeploymentsBeside(tree.groups().size() - gone.size());
  if (gone.size() <= limit) return;
  std::sort(gone.begin(), gone.end());
  gone.resize(gone.size() - limit);
  for (const auto& [since, key] : gone) tree.EraseGroup(tree.groups().find(key));
}

std::size_t ClusterBook::State::ShownSize(std::size_t step) {
  std::size_t size = 0;
  std::size_t count = 0;
  for (const auto& [key, group] : tree.groups()) {
    if (count++ == kMaxDeploymentsPerTarget) break;
    size += group.sizes.at(step);
  }
  return size;
}

// Resources that the picture has no room for are not kept either.
void ClusterBook::State::FitResources(const Moment& now) {
  const std::size_t before = resource_step;
  while (resource_step + 1 < kResourceSteps.size() && ShownSize(resource_step) > kMaxPictureBytes) ++resource_step;
  while (resource_step > 0 && ShownSize(resource_step - 1) <= kRoomyPictureBytes) {
    --resource_step;
  }
  if (resource_step == before) return;
  tree.MarkAll();
  JudgeMarked(now);
}

ClusterBook::ClusterBook() : state_(std::make_unique<State>()) {}
ClusterBook::~ClusterBook() = default;

void ClusterBook::Put(KubeKind /*kind*/, KubeObject object, const Moment& now) {
  if (MetaOf(object).uid.empty()) return;
  if (const auto* workload = std::get_if<KubeWorkload>(&object)) {
    state_->tree.PutWorkload(*workload, now);
  } else if (const auto* pod = std::get_if<KubePod>(&object)) {
    state_->tree.PutPod(*pod, now);
  } else if (const auto* event = std::get_if<KubeEvent>(&object)) {
    state_->PutEvent(*event);
  } else if (auto* node = std::get_if<KubeNode>(&object)) {
    state_->PutNode(std::move(*node));
  }
}

void ClusterBook::Remove(KubeKind kind, std::string_view uid, const Moment& now) {
  if (kind == KubeKind::kNode) {
    state_->RemoveNode(uid);
  } else if (kind == KubeKind::kEvent) {
    KubeNodeOfTree* about = state_->tree.Find(state_->events.Remove(uid));
    if (about != nullptr) state_->tree.Mark(*about);
  } else if (const KubeNodeOfTree* node = state_->tree.Find(uid); node != nullptr && node->kind == kind) {
    const std::string gone(uid);
    state_->tree.Remove(gone, now);
    state_->events.Forget(gone);
  }
}

std::vector<std::string> ClusterBook::Uids(KubeKind kind) const {
  if (kind == KubeKind::kEvent) return state_->events.Uids();
  if (kind != KubeKind::kNode) return state_->tree.Uids(kind);
  std::vector<std::string> uids;
  for (const auto& [uid, node] : state_->nodes) uids.push_back(uid);
  return uids;
}

Present ClusterBook::Look(const Moment& now) {
  State& state = *state_;
  state.tree.AdoptOrphans(now);
  state.JudgeMarked(now);
  state.ForgetOldestGone();
  state.SetNames();
  state.FitResources(now);
  Present present;
  for (auto& [key, group] : state.tree.groups()) {
    const bool was_shown = std::exchange(group.is_shown, present.deployments.size() < kMaxDeploymentsPerTarget);
    if (group.is_shown != was_shown) state.tree.BumpLogs();
    if (group.is_shown) {
      present.deployments.push_back(group.state);
    } else {
      ++present.omitted;
    }
  }
  if (state.ShownSize(state.resource_step) > kMaxPictureBytes) KeepWithinPictureSize(present);
  return present;
}

Instant ClusterBook::NextChange() const {
  Instant next = Instant::FromDuration(absl::InfiniteDuration());
  if (const std::optional<Instant> orphan = state_->tree.NextOrphan()) next = *orphan;
  for (const auto& [key, group] : std::as_const(state_->tree).groups()) {
    if (!group.never_changes) next = std::min(next, group.next_change);
  }
  return next;
}

std::vector<LogContainer> ClusterBook::LogContainers() const {
  const ObjectTree& tree = state_->tree;
  std::vector<LogContainer> all;
  for (const auto& entry : tree.groups()) {
    const KubeGroup& group = entry.second;
    if (!group.is_shown) continue;
    for (KubeNodeOfTree* root : group.roots) {
      ObjectTree::ForEachPod(*root, [&, root](KubeNodeOfTree& node) {
        const KubePod pod = tree.Pod(node);
        AddLogs(pod, root->kind == KubeKind::kPod ? TopName(pod.meta) : root->name, group, all);
      });
    }
  }
  return all;
}

std::uint64_t ClusterBook::LogsVersion() const { return state_->tree.logs_version(); }

ContainerCensus ClusterBook::Census() const {
  const ObjectTree& tree = state_->tree;
  ContainerCensus census;
  const auto set = [&census](const char* state, std::int64_t count) {
    if (count > 0) census.states[state] = static_cast<int>(count);
  };
  set("created", tree.waiting());
  set("exited", tree.ended());
  set("running", tree.running());
  census.restarts = tree.restarts();
  return census;
}

std::vector<KubeNode> ClusterBook::Nodes() const {
  std::vector<KubeNode> nodes;
  for (const auto& [uid, node] : state_->nodes) nodes.push_back(node);
  return nodes;
}

std::string ClusterBook::RuntimeName() const {
  std::map<std::string_view, int> versions;
  for (const auto& [uid, node] : state_->nodes) {
    if (!node.kubelet_version.empty()) ++versions[node.kubelet_version];
  }
  const auto most = std::max_element(versions.begin(), versions.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == versions.end() ? "" : fmt::format("kubernetes {}", most->first);
}

}  // namespace muster::agent
