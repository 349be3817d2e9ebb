#include "agent/kubernetes/group_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "agent/present.h"
#include "common/secret.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using Node = KubeNodeOfTree;

constexpr std::size_t kRevisionDigits = 12;

bool IsPod(const Node& node) { return node.kind == KubeKind::kPod; }

bool IsUnwanted(const Node& pod) {
  return pod.parent != nullptr && pod.parent->wants_no_pods && pod.parent->parent != nullptr;
}

bool IsNewer(const Node& a, const Node& b) { return std::tie(a.created, a.name) > std::tie(b.created, b.name); }

const Node* NewestPod(const std::vector<Node*>& pods) {
  const Node* newest = nullptr;
  for (const Node* pod : pods) {
    if (!pod->is_deleted && (newest == nullptr || IsNewer(*pod, *newest))) newest = pod;
  }
  return newest;
}

std::vector<Node*> PodsBelow(Node& root) {
  std::vector<Node*> pods;
  ObjectTree::ForEachPod(root, [&pods](Node& pod) { pods.push_back(&pod); });
  std::sort(pods.begin(), pods.end(), [](const Node* a, const Node* b) { return a->name < b->name; });
  return pods;
}

std::string ImagesOf(const std::vector<KubeContainerSpec>& containers) {
  std::string images;
  for (const KubeContainerSpec& container : containers)
    images += fmt::format("{}={}\n", container.name, container.image);
  return images;
}

std::string ImagesOf(const KubePod& pod) {
  std::string images;
  for (const KubeContainer& container : pod.containers) {
    images += fmt::format("{}={}\n", container.spec.name, container.spec.image);
  }
  return images;
}

std::string FirstImage(const KubePod& pod) {
  for (const KubeContainer& container : pod.containers) {
    if (!container.is_init) return container.spec.image;
  }
  return "";
}

void FillFrom(const KubeLabels& more, KubeLabels& labels) {
  for (std::string KubeLabels::*label :
       {&KubeLabels::muster_application, &KubeLabels::muster_version, &KubeLabels::name, &KubeLabels::version}) {
    if ((labels.*label).empty()) labels.*label = more.*label;
  }
}

// Evidence of when it last got further, for a workload that was not seen before.
absl::Time LastSign(const WorkloadView& view) {
  absl::Time last = absl::InfinitePast();
  for (const PodOfWorkload& pod : view.pods) last = std::max({last, pod.created, pod.judgement.since});
  for (const KubeCondition& condition : view.workload.conditions) last = std::max(last, condition.since);
  return last;
}

Progress CountsOf(const WorkloadView& view) {
  const KubeWorkload& workload = view.workload;
  Progress counts;
  counts.generation = workload.meta.generation;
  counts.updated = workload.kind == KubeKind::kJob ? workload.succeeded : workload.updated_replicas;
  counts.ready = workload.ready_replicas + workload.available_replicas;
  if (workload.kind == KubeKind::kJob) {
    counts.ready = std::count_if(view.pods.begin(), view.pods.end(), [](const PodOfWorkload& pod) {
      return pod.judgement.pod_class == PodClass::kRunning || pod.judgement.pod_class == PodClass::kHealthy;
    });
  }
  return counts;
}

void Advance(const Progress& counts, bool is_new, absl::Time last_sign, absl::Time now, Progress& progress) {
  const bool got_further =
      counts.generation != progress.generation || counts.updated > progress.updated || counts.ready > progress.ready;
  absl::Time last = progress.last;
  if (is_new) {
    last = last_sign == absl::InfinitePast() ? now : std::min(last_sign, now);
  } else if (!progress.was_waiting || got_further) {
    last = now;
  }
  const bool was_waiting = progress.was_waiting;
  progress = counts;
  progress.last = last;
  progress.was_waiting = was_waiting;
}

const char* StateWord(KubeContainerState state) {
  switch (state) {
    case KubeContainerState::kRunning:
      return "running";
    case KubeContainerState::kTerminated:
      return "exited";
    default:
      return "created";
  }
}

const char* HealthWord(const KubeContainer& container) {
  if (container.state != KubeContainerState::kRunning || !container.spec.has_probe) return "";
  if (container.is_ready) return "healthy";
  return container.has_started ? "unhealthy" : "starting";
}

void FillResource(const std::string& workload, const KubePod& pod, const KubeContainer& container,
                  types::v1::Resource& resource) {
  resource.set_id(container.container_id.empty()
                      ? BoundedIdentity(fmt::format("{}/{}", pod.meta.uid, container.spec.name), kMaxNameBytes)
                      : BoundedIdentity(container.container_id, kMaxNameBytes));
  resource.set_name(
      BoundedIdentity(fmt::format("{}/{}/{}", workload, pod.meta.name, container.spec.name), kMaxNameBytes));
  resource.set_image(CleanUtf8(container.spec.image, kMaxNameBytes));
  resource.set_image_id(CleanUtf8(container.image_id, kMaxNameBytes));
  resource.set_state(StateWord(container.state));
  resource.set_health(HealthWord(container));
  resource.set_restart_count(container.restart_count);
  absl::Time started = container.started;
  if (container.state == KubeContainerState::kTerminated) {
    resource.set_exit_code(container.terminated.exit_code);
  } else if (container.state == KubeContainerState::kWaiting && container.last.has_value()) {
    resource.set_exit_code(container.last->exit_code);
    started = container.last->started;
  }
  if (started != absl::InfinitePast()) *resource.mutable_start_time() = ToProto(started);
}

}  // namespace

GroupJudge::GroupJudge(ObjectTree* tree, const EventShelf* events, const std::set<std::string, std::less<>>* lost_nodes)
    : tree_(tree), events_(events), lost_nodes_(lost_nodes) {}

void GroupJudge::Judge(KubeGroup& group, int max_resources, const Moment& now) {
  Draft draft;
  std::vector<Node*> workloads;
  std::map<std::string, std::vector<Node*>> loose;
  bool only_jobs = true;
  for (Node* root : group.roots) {
    only_jobs = only_jobs && root->kind == KubeKind::kJob;
    if (!IsPod(*root)) {
      workloads.push_back(root);
      continue;
    }
    const std::optional<KubeOwner> owner = tree_->Pod(*root).meta.controller;
    loose[owner.has_value() ? owner->uid : *root->uid].push_back(root);
  }
  const auto by_name = [](const Node* a, const Node* b) {
    return std::tie(a->kind, a->name) < std::tie(b->kind, b->name);
  };
  std::sort(workloads.begin(), workloads.end(), by_name);
  for (Node* root : workloads) {
    JudgeWorkloadRoot(*root, only_jobs || root->kind != KubeKind::kJob, now, draft);
  }
  std::erase_if(group.loose, [&loose](const auto& entry) { return !loose.contains(entry.first); });
  for (auto& [owner, pods] : loose) {
    std::sort(pods.begin(), pods.end(), by_name);
    const auto [progress, is_new] = group.loose.try_emplace(owner);
    JudgeLoose(pods, progress->second, is_new, now, draft);
  }

  v1::DeploymentState& state = group.state;
  state.set_gone(false);
  const ApplicationName name = ApplicationOf(draft.spokesmen, group.name);
  state.set_application(name.application);
  state.set_application_version(name.version);
  std::string all;
  for (auto& [workload, hash] : draft.revision_parts) {
    // Not known at this moment: what it was is nearer to the truth than nothing.
    if (const auto old = group.revision_parts.find(workload); hash.empty() && old != group.revision_parts.end()) {
      hash = old->second;
    }
    all += DerivedId("", workload, hash);
  }
  if (const std::string revision = DerivedId("", "revision", all).substr(0, kRevisionDigits);
      !all.empty() && revision != state.revision()) {
    state.set_revision(revision);
    tree_->BumpLogs();
  }
  group.revision_parts = std::move(draft.revision_parts);

  KubeVerdict verdict = JudgeKubeDeployment(draft.judgements);
  group.never_changes = verdict.next_change == absl::InfiniteFuture();
  if (!group.never_changes) group.next_change = now.monotonic + (verdict.next_change - now.wall);
  group.status.Set(verdict.status, std::move(verdict.message), verdict.since, verdict.by_window, now.wall, state);
  FillResources(draft.pods, max_resources, group);
}

void GroupJudge::JudgeGone(KubeGroup& group, const Moment& now) {
  group.gone_since = now.monotonic;
  group.loose.clear();
  group.never_changes = true;
  group.state.set_gone(true);
  KubeVerdict gone = JudgeKubeDeployment({});
  group.status.Set(gone.status, std::move(gone.message), now.wall, false, now.wall, group.state);
  FillResources({}, 0, group);
}

void GroupJudge::JudgeWorkloadRoot(Node& root, bool counts_for_revision, const Moment& now, Draft& draft) {
  WorkloadView view = ViewOf(root, now);
  const bool is_new = root.progress == nullptr;
  if (is_new) root.progress = std::make_unique<Progress>();
  Advance(CountsOf(view), is_new, LastSign(view), now.wall, *root.progress);
  view.last_progress = root.progress->last;
  WorkloadJudgement judgement = JudgeWorkload(view, now.wall);
  root.progress->was_waiting = judgement.is_waiting;
  draft.judgements.push_back(std::move(judgement));

  const std::vector<Node*> pods = PodsBelow(root);
  const Node* newest = NewestPod(pods);
  KubeSpokesman spokesman{.labels = view.workload.meta.labels, .image = ""};
  if (newest != nullptr) FillFrom(tree_->Pod(*newest).meta.labels, spokesman.labels);
  if (!view.workload.containers.empty()) spokesman.image = view.workload.containers.front().image;
  draft.spokesmen.push_back(std::move(spokesman));
  if (counts_for_revision) {
    draft.revision_parts.emplace(fmt::format("{}/{}", KubeKindWord(root.kind), root.name),
                                 TemplateHash(root, view, newest));
  }
  const bool any_lives = std::any_of(pods.begin(), pods.end(), [](const Node* pod) { return !pod->is_over; });
  for (Node* pod : pods) {
    if (!pod->is_deleted && !IsUnwanted(*pod) && !(pod->is_over && any_lives)) draft.pods.emplace_back(root.name, pod);
  }
}

void GroupJudge::JudgeLoose(const std::vector<Node*>& pods, Progress& progress, bool is_new, const Moment& now,
                            Draft& draft) {
  WorkloadView view;
  for (Node* pod : pods) view.pods.push_back(PodOf(*pod, now));
  Progress counts;
  counts.ready = std::count_if(view.pods.begin(), view.pods.end(), [](const PodOfWorkload& pod) {
    return pod.judgement.pod_class == PodClass::kRunning || pod.judgement.pod_class == PodClass::kHealthy;
  });
  Advance(counts, is_new, LastSign(view), now.wall, progress);
  WorkloadJudgement judgement = JudgeLoosePods(view.pods, progress.last, now.wall);
  progress.was_waiting = judgement.is_waiting;
  draft.judgements.push_back(std::move(judgement));

  const Node* newest = NewestPod(pods);
  const KubePod spokesman = tree_->Pod(newest == nullptr ? *pods.front() : *newest);
  draft.spokesmen.push_back({.labels = spokesman.meta.labels, .image = FirstImage(spokesman)});
  const std::string top = TopName(spokesman.meta);
  draft.revision_parts.emplace(fmt::format("pod/{}", top), ImagesOf(spokesman));
  for (Node* pod : pods) {
    if (!pod->is_deleted) draft.pods.emplace_back(top, pod);
  }
}

WorkloadView GroupJudge::ViewOf(Node& root, const Moment& now) {
  WorkloadView view;
  view.workload = tree_->Workload(root);
  view.warnings = events_->About(*root.uid);
  for (Node* child : root.children) {
    if (root.kind == KubeKind::kCronJob && child->kind == KubeKind::kJob) {
      WorkloadView job = ViewOf(*child, now);
      const bool is_new = child->progress == nullptr;
      if (is_new) child->progress = std::make_unique<Progress>();
      Advance(CountsOf(job), is_new, LastSign(job), now.wall, *child->progress);
      job.last_progress = child->progress->last;
      child->progress->was_waiting = JudgeWorkload(job, now.wall).is_waiting;
      view.jobs.push_back(std::move(job));
    } else if (!IsPod(*child)) {
      const std::vector<KubeWarning> warnings = events_->About(*child->uid);
      view.warnings.insert(view.warnings.end(), warnings.begin(), warnings.end());
    }
  }
  if (root.kind == KubeKind::kCronJob) return view;
  for (Node* pod : PodsBelow(root)) view.pods.push_back(PodOf(*pod, now));
  return view;
}

PodOfWorkload GroupJudge::PodOf(Node& node, const Moment& now) {
  EnsureJudged(node, now);
  PodJudgement judgement;
  if (node.judgement != nullptr) {
    judgement = *node.judgement;
  } else {
    judgement.pod_class = node.pod_class;
    judgement.since = node.judged_since;
  }
  return {.name = node.name,
          .judgement = std::move(judgement),
          .is_over = node.is_over,
          .is_deleted = node.is_deleted,
          .is_unwanted = IsUnwanted(node),
          .created = node.created};
}

void GroupJudge::EnsureJudged(Node& node, const Moment& now) {
  if (node.is_judged && (node.judgement == nullptr || now.wall < node.judgement->next_change)) return;
  const KubePod pod = tree_->Pod(node);
  PodPast past = PastOf(node.record.get(), now);
  past.is_node_lost = lost_nodes_->contains(pod.node);
  PodJudgement judgement = JudgePod(pod, past, events_->About(*node.uid), now.wall);
  node.is_judged = true;
  node.pod_class = judgement.pod_class;
  node.judged_since = judgement.since;
  const bool is_plain = judgement.reason.empty() && judgement.next_change == absl::InfiniteFuture();
  node.judgement = is_plain ? nullptr : std::make_unique<PodJudgement>(std::move(judgement));
}

std::string GroupJudge::TemplateHash(const Node& root, const WorkloadView& view, const Node* newest_pod) const {
  switch (root.kind) {
    case KubeKind::kDeployment: {
      std::tuple<std::int64_t, absl::Time, std::string> newest;
      for (const Node* child : root.children) {
        if (child->kind != KubeKind::kReplicaSet) continue;
        const KubeWorkload set = tree_->Workload(*child);
        const std::string& hash = set.meta.labels.pod_template_hash;
        newest = std::max(newest, {set.revision, set.meta.created, hash.empty() ? set.meta.name : hash});
      }
      return std::get<std::string>(newest);
    }
    case KubeKind::kStatefulSet:
      return view.workload.update_revision;
    case KubeKind::kDaemonSet:
      return newest_pod == nullptr ? "" : tree_->Pod(*newest_pod).meta.labels.controller_revision;
    default:
      return ImagesOf(view.workload.containers);
  }
}

void GroupJudge::FillResources(const std::vector<std::pair<std::string, Node*>>& pods, int max_resources,
                               KubeGroup& group) const {
  v1::DeploymentState& state = group.state;
  // Cleared ones would be kept for later use.
  google::protobuf::RepeatedPtrField<types::v1::Resource>().Swap(state.mutable_resources());
  std::size_t bytes = state.ByteSizeLong() + kFieldOverheadBytes;
  group.sizes.fill(bytes);
  int count = 0;
  for (const auto& entry : pods) {
    if (count == kMaxResourcesPerDeployment) return;
    const KubePod pod = tree_->Pod(*entry.second);
    for (const KubeContainer& container : pod.containers) {
      if (count == kMaxResourcesPerDeployment) return;
      types::v1::Resource resource;
      FillResource(entry.first, pod, container, resource);
      ++count;
      bytes += resource.ByteSizeLong() + kFieldOverheadBytes;
      for (std::size_t i = 0; i < kResourceSteps.size(); ++i) {
        if (count <= kResourceSteps[i]) group.sizes[i] = bytes;
      }
      if (count <= max_resources) *state.add_resources() = std::move(resource);
    }
  }
}

}  // namespace muster::agent
