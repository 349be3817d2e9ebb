#include "agent/kubernetes/object_tree.h"

#include <algorithm>

#include "agent/kubernetes/object_identity.h"
#include "agent/kubernetes/packed_objects.h"
#include "agent/kubernetes/workload_rules.h"

namespace muster::agent {
namespace {

// What may own what, whatever objects say of each other: so there are no rings, and nothing is deeper than three.
int RankOf(KubeKind kind) {
  switch (kind) {
    case KubeKind::kDeployment:
    case KubeKind::kCronJob:
      return 2;
    case KubeKind::kReplicaSet:
    case KubeKind::kStatefulSet:
    case KubeKind::kDaemonSet:
    case KubeKind::kJob:
      return 1;
    default:
      return 0;
  }
}

bool MayOwn(const KubeNodeOfTree& owner, const KubeNodeOfTree& owned) {
  return RankOf(owner.kind) > RankOf(owned.kind);
}

bool IsPod(const KubeNodeOfTree& node) { return node.kind == KubeKind::kPod; }

bool IsOver(const KubePod& pod) { return pod.phase == "Failed" || pod.phase == "Succeeded"; }

// Work that ended well, or a command that nobody would start again: when it goes, nothing is missing.
bool IsDone(const KubePod& pod) {
  if (pod.phase == "Succeeded") return true;
  return pod.phase != "Failed" && !pod.restart_policy.empty() && pod.restart_policy != "Always";
}

bool IsDone(const KubeWorkload& workload) {
  if (workload.kind != KubeKind::kJob) return false;
  return IsJobComplete(workload) || (IsJobFailed(workload) && workload.removes_itself);
}

// What the rules ask for; the others say when a pod was on its way.
bool IsNeeded(const KubeCondition& condition) {
  return condition.type == "Ready" || condition.type == "ContainersReady" || condition.type == "PodScheduled";
}

bool HasSameRuns(const KubePod& a, const KubePod& b) {
  return std::equal(a.containers.begin(), a.containers.end(), b.containers.begin(), b.containers.end(),
                    [](const KubeContainer& x, const KubeContainer& y) {
                      const std::string before_x = x.last.has_value() ? x.last->container_id : "";
                      const std::string before_y = y.last.has_value() ? y.last->container_id : "";
                      return x.spec.name == y.spec.name && x.container_id == y.container_id && x.state == y.state &&
                             x.started == y.started && before_x == before_y;
                    });
}

}  // namespace

void ObjectTree::PutPod(const KubePod& given, const Moment& now) {
  KubePod pod = given;
  std::erase_if(pod.conditions, [](const KubeCondition& condition) { return !IsNeeded(condition); });
  // A node owns its mirror pods, but what runs there is the pod.
  if (pod.is_mirror) pod.meta.controller.reset();
  KubeNodeOfTree* node = FindOrAdd(KubeKind::kPod, pod.meta, now);
  if (node == nullptr) return;
  if (node->packed.empty()) {
    RecordPod(nullptr, pod, now, node->record);
  } else {
    const KubePod before = Pod(*node);
    RecordPod(&before, pod, now, node->record);
    if (!HasSameRuns(before, pod)) BumpLogs();
    Uncount(*node);
  }
  Count(pod, *node);
  node->is_deleted = pod.meta.is_deleted;
  node->is_over = IsOver(pod);
  node->created = pod.meta.created;
  // How it ends when it is stopped says nothing about its work.
  if (!pod.meta.is_deleted) node->is_done = IsDone(pod);
  // The new one first: what both share stays in the pool.
  std::string packed = PackPod(pod, pool_);
  if (!node->packed.empty()) ReleasePod(node->packed, pool_);
  node->packed = std::move(packed);
  Link(*node, pod.meta, now);
  Mark(*node);
}

void ObjectTree::PutWorkload(const KubeWorkload& workload, const Moment& now) {
  KubeNodeOfTree* node = FindOrAdd(workload.kind, workload.meta, now);
  if (node == nullptr) return;
  node->is_deleted = workload.meta.is_deleted;
  node->created = workload.meta.created;
  node->wants_no_pods = workload.kind == KubeKind::kReplicaSet && workload.replicas == 0;
  if (!workload.meta.is_deleted) node->is_done = IsDone(workload);
  std::string packed = PackWorkload(workload, pool_);
  if (!node->packed.empty()) ReleaseWorkload(node->packed, pool_);
  node->packed = std::move(packed);
  Link(*node, workload.meta, now);
  AdoptChildren(*node);
  Mark(*node);
}

bool ObjectTree::Remove(std::string_view uid, const Moment& now) {
  const auto it = nodes_.find(uid);
  if (it == nodes_.end()) return false;
  KubeNodeOfTree& node = it->second;
  Mark(node);
  BumpLogs();
  LeaveGroup(node, node.is_done);
  Unlink(node);
  for (KubeNodeOfTree* child : std::exchange(node.children, {})) {
    child->parent = nullptr;
    Await(*child, *node.uid, now);
  }
  if (IsPod(node)) {
    Uncount(node);
    ReleasePod(node.packed, pool_);
  } else {
    ReleaseWorkload(node.packed, pool_);
  }
  nodes_.erase(it);
  return true;
}

KubeNodeOfTree* ObjectTree::FindOrAdd(KubeKind kind, const KubeMeta& meta, const Moment& now) {
  auto it = nodes_.find(meta.uid);
  if (it != nodes_.end() && it->second.kind != kind) {
    Remove(meta.uid, now);
    it = nodes_.end();
  }
  if (it != nodes_.end()) return &it->second;
  if (nodes_.size() >= kMaxKubeObjects) return nullptr;
  it = nodes_.try_emplace(meta.uid).first;
  it->second.kind = kind;
  it->second.uid = &it->first;
  it->second.name = meta.name;
  return &it->second;
}

void ObjectTree::Link(KubeNodeOfTree& node, const KubeMeta& meta, const Moment& now) {
  const bool is_owned = meta.controller.has_value() && KnownKind(*meta.controller).has_value();
  const std::string& controller = is_owned ? meta.controller->uid : std::string();
  const std::string known = node.parent != nullptr        ? *node.parent->uid
                            : node.awaited_uid != nullptr ? *node.awaited_uid
                                                          : std::string();
  if (controller != known) {
    Mark(node);
    Unlink(node);
    LeaveGroup(node, /*in_order=*/true);
  }
  if (controller.empty()) return JoinGroup(node, meta);
  if (node.parent != nullptr) return;
  KubeNodeOfTree* parent = Find(controller);
  if (parent != nullptr && MayOwn(*parent, node)) {
    NoAwait(node);
    LeaveGroup(node, /*in_order=*/true);
    node.parent = parent;
    parent->children.push_back(&node);
    BumpLogs();
  } else if (node.group != nullptr) {
    // It was shown without its controller.
    JoinGroup(node, meta);
  } else if (node.awaited_uid == nullptr) {
    Await(node, controller, now);
  }
}

void ObjectTree::Unlink(KubeNodeOfTree& node) {
  NoAwait(node);
  if (node.parent == nullptr) return;
  std::erase(node.parent->children, &node);
  node.parent = nullptr;
}

void ObjectTree::AdoptChildren(KubeNodeOfTree& node) {
  const auto it = awaiting_.find(*node.uid);
  if (it == awaiting_.end()) return;
  const std::set<KubeNodeOfTree*> children = it->second;
  for (KubeNodeOfTree* child : children) {
    if (!MayOwn(node, *child)) continue;
    NoAwait(*child);
    Mark(*child);
    LeaveGroup(*child, /*in_order=*/true);
    child->parent = &node;
    node.children.push_back(child);
    BumpLogs();
  }
}

void ObjectTree::Await(KubeNodeOfTree& node, const std::string& controller_uid, const Moment& now) {
  node.awaited_uid = std::make_unique<std::string>(controller_uid);
  awaiting_[controller_uid].insert(&node);
  node.orphan_since = now.monotonic;
  orphans_.emplace(now.monotonic, &node);
}

void ObjectTree::NoAwait(KubeNodeOfTree& node) {
  if (node.awaited_uid != nullptr) {
    const auto it = awaiting_.find(*node.awaited_uid);
    it->second.erase(&node);
    if (it->second.empty()) awaiting_.erase(it);
    node.awaited_uid.reset();
  }
  if (!node.orphan_since.has_value()) return;
  orphans_.erase({*node.orphan_since, &node});
  node.orphan_since.reset();
}

// They go on awaiting their controller, but are seen meanwhile.
void ObjectTree::AdoptOrphans(const Moment& now) {
  while (!orphans_.empty() && now.monotonic - orphans_.begin()->first >= kOrphanGrace) {
    KubeNodeOfTree& node = *orphans_.begin()->second;
    orphans_.erase(orphans_.begin());
    node.orphan_since.reset();
    // What is on its way out needs no deployment.
    if (node.is_deleted) continue;
    JoinGroup(node, Meta(node));
    Mark(node);
  }
}

std::optional<Instant> ObjectTree::NextOrphan() const {
  if (orphans_.empty()) return std::nullopt;
  return orphans_.begin()->first + kOrphanGrace;
}

void ObjectTree::JoinGroup(KubeNodeOfTree& node, const KubeMeta& meta) {
  const DeploymentIdentity identity = IdentityOf(node.kind, meta);
  if (node.group != nullptr && node.group->key == identity.key) return;
  MarkGroup(node);
  LeaveGroup(node, /*in_order=*/true);
  const auto [it, is_new] = groups_.try_emplace(identity.key);
  KubeGroup& group = it->second;
  if (is_new) {
    group.key = identity.key;
    group.name = identity.name;
    group.name_space = meta.name_space;
    group.state.set_key(identity.key);
    group.state.set_kind(identity.kind);
    names_changed_ = true;
  }
  group.gone_since.reset();
  group.roots.push_back(&node);
  BumpLogs();
  node.group = &group;
  marked_.insert(&group);
}

void ObjectTree::LeaveGroup(KubeNodeOfTree& node, bool in_order) {
  if (node.group == nullptr) return;
  std::erase(node.group->roots, &node);
  node.group->is_done = in_order;
  BumpLogs();
  marked_.insert(node.group);
  node.group = nullptr;
}

void ObjectTree::MarkGroup(KubeNodeOfTree& node) {
  const KubeNodeOfTree* top = &node;
  while (top->parent != nullptr) top = top->parent;
  if (top->group != nullptr) marked_.insert(top->group);
}

void ObjectTree::Mark(KubeNodeOfTree& node) {
  node.is_judged = false;
  node.judgement.reset();
  MarkGroup(node);
}

void ObjectTree::MarkPodsOn(std::string_view cluster_node) {
  for (auto& [uid, node] : nodes_) {
    if (IsPod(node) && UnpackPod(node.packed, pool_).node == cluster_node) Mark(node);
  }
}

void ObjectTree::MarkAll() {
  for (auto& [key, group] : groups_) marked_.insert(&group);
}

std::vector<KubeGroup*> ObjectTree::TakeMarked() {
  std::vector<KubeGroup*> marked(marked_.begin(), marked_.end());
  marked_.clear();
  return marked;
}

void ObjectTree::EraseGroup(Groups::iterator group) {
  marked_.erase(&group->second);
  groups_.erase(group);
  names_changed_ = true;
}

KubeNodeOfTree* ObjectTree::Find(std::string_view uid) {
  const auto it = nodes_.find(uid);
  return it == nodes_.end() ? nullptr : &it->second;
}

KubePod ObjectTree::Pod(const KubeNodeOfTree& node) const {
  KubePod pod = UnpackPod(node.packed, pool_);
  pod.meta.uid = *node.uid;
  pod.meta.name = node.name;
  return pod;
}

KubeWorkload ObjectTree::Workload(const KubeNodeOfTree& node) const {
  KubeWorkload workload = UnpackWorkload(node.packed, pool_);
  workload.meta.uid = *node.uid;
  workload.meta.name = node.name;
  return workload;
}

KubeMeta ObjectTree::Meta(const KubeNodeOfTree& node) const {
  return IsPod(node) ? Pod(node).meta : Workload(node).meta;
}

void ObjectTree::ForEachPod(KubeNodeOfTree& node, const std::function<void(KubeNodeOfTree&)>& visit) {
  if (IsPod(node)) visit(node);
  for (KubeNodeOfTree* child : node.children) ForEachPod(*child, visit);
}

std::vector<std::string> ObjectTree::Uids(KubeKind kind) const {
  std::vector<std::string> uids;
  for (const auto& [uid, node] : nodes_) {
    if (node.kind == kind) uids.push_back(uid);
  }
  return uids;
}

void ObjectTree::Count(const KubePod& pod, KubeNodeOfTree& node) {
  node.waiting = node.running = node.ended = 0;
  node.restarts = 0;
  for (const KubeContainer& container : pod.containers) {
    if (container.state == KubeContainerState::kRunning) {
      ++node.running;
    } else if (container.state == KubeContainerState::kTerminated) {
      ++node.ended;
    } else {
      ++node.waiting;
    }
    node.restarts += container.restart_count;
  }
  waiting_ += node.waiting;
  running_ += node.running;
  ended_ += node.ended;
  restarts_ += node.restarts;
}

void ObjectTree::Uncount(KubeNodeOfTree& node) {
  waiting_ -= node.waiting;
  running_ -= node.running;
  ended_ -= node.ended;
  restarts_ -= node.restarts;
}

}  // namespace muster::agent
