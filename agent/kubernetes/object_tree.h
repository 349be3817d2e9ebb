// A cluster's objects as they own each other, and the deployments that those at the top make. What changes marks its
// deployment, and nothing else is looked at. Used by cluster_book.h alone. Not thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_OBJECT_TREE_H_
#define MUSTER_AGENT_KUBERNETES_OBJECT_TREE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/deployments/picture.h"
#include "agent/deployments/status_keeper.h"
#include "agent/kubernetes/objects.h"
#include "agent/kubernetes/pod_history.h"
#include "agent/kubernetes/pod_rules.h"
#include "agent/kubernetes/string_pool.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of pods and workloads together, some 1 KiB each; what comes beyond is not taken.
inline constexpr std::size_t kMaxKubeObjects = 40'000;
// An object whose controller is not there waits so long for it: watches of different kinds do not keep order, and what
// a deleted workload leaves behind is removed within that.
inline constexpr absl::Duration kOrphanGrace = absl::Seconds(60);

struct KubeGroup;

// How far a workload got, for its deadline.
struct Progress {
  std::int64_t generation = 0;
  std::int64_t updated = 0;
  std::int64_t ready = 0;
  absl::Time last = absl::InfinitePast();
  bool was_waiting = false;
  bool operator==(const Progress&) const = default;
};

// A pod or a workload.
struct KubeNodeOfTree {
  KubeKind kind = KubeKind::kPod;
  // The key in the tree's map.
  const std::string* uid = nullptr;
  std::string name;
  std::string packed;
  KubeNodeOfTree* parent = nullptr;
  // Of the controller that is not there; null: it is, or there shall be none.
  std::unique_ptr<std::string> awaited_uid;
  std::vector<KubeNodeOfTree*> children;
  // Of those at the top; null while its controller is awaited.
  KubeGroup* group = nullptr;
  std::optional<Instant> orphan_since;

  // Of a pod.
  std::unique_ptr<PodRecord> record;
  // False: to be judged.
  bool is_judged = false;
  PodClass pod_class = PodClass::kRunning;
  absl::Time judged_since = absl::InfinitePast();
  // Null for most: there is nothing to say, and it does not change by itself.
  std::unique_ptr<PodJudgement> judgement;
  bool is_deleted = false;
  bool is_over = false;
  absl::Time created = absl::InfinitePast();
  std::uint16_t waiting = 0;
  std::uint16_t running = 0;
  std::uint16_t ended = 0;
  std::int64_t restarts = 0;

  // When it goes, nothing is missing: see IsDone.
  bool is_done = false;
  // Of a ReplicaSet.
  bool wants_no_pods = false;
  std::unique_ptr<Progress> progress;
};

struct KubeGroup {
  std::string key;
  std::string name;  // without the namespace
  std::string name_space;
  std::vector<KubeNodeOfTree*> roots;
  v1::DeploymentState state;
  StatusKeeper status;
  // Of pods without a workload that is known, by their owner's uid or their own.
  std::map<std::string, Progress> loose;
  // Part of the revision by workload, kept while it is not known.
  std::map<std::string, std::string> revision_parts;
  std::optional<Instant> gone_since;
  // The last that left did so in good order.
  bool is_done = false;
  Instant next_change;
  bool never_changes = true;
  // Bytes with as many resources as kResourceSteps says.
  std::array<std::size_t, kResourceSteps.size()> sizes = {};
  // In the picture that was given last.
  bool is_shown = false;
};

class ObjectTree {
 public:
  // By key, the order of the picture.
  using Groups = std::map<std::string, KubeGroup>;

  void PutPod(const KubePod& pod, const Moment& now);
  void PutWorkload(const KubeWorkload& workload, const Moment& now);
  // False: it is not known.
  bool Remove(std::string_view uid, const Moment& now);
  // Shows orphans that waited long enough.
  void AdoptOrphans(const Moment& now);
  // When that has something to do.
  std::optional<Instant> NextOrphan() const;

  KubeNodeOfTree* Find(std::string_view uid);
  KubePod Pod(const KubeNodeOfTree& node) const;
  KubeWorkload Workload(const KubeNodeOfTree& node) const;
  // Its judgement is void, and so is its deployment's.
  void Mark(KubeNodeOfTree& node);
  void MarkPodsOn(std::string_view cluster_node);
  // Pods below this node, itself included.
  static void ForEachPod(KubeNodeOfTree& node, const std::function<void(KubeNodeOfTree&)>& visit);

  Groups& groups() { return groups_; }
  const Groups& groups() const { return groups_; }
  void EraseGroup(Groups::iterator group);
  // Those that were marked since the last call.
  std::vector<KubeGroup*> TakeMarked();
  void MarkAll();
  // The set of groups changed since the last call, and with it which names are taken twice.
  bool TakeNamesChanged() { return std::exchange(names_changed_, false); }

  // Changes with whatever the list of logs is made of: runs of containers, and which deployment they belong to.
  std::uint64_t logs_version() const { return logs_version_; }
  void BumpLogs() { ++logs_version_; }

  std::vector<std::string> Uids(KubeKind kind) const;
  std::int64_t waiting() const { return waiting_; }
  std::int64_t running() const { return running_; }
  std::int64_t ended() const { return ended_; }
  std::int64_t restarts() const { return restarts_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  // Null: there is no room. A node of another kind with that uid is replaced.
  KubeNodeOfTree* FindOrAdd(KubeKind kind, const KubeMeta& meta, const Moment& now);
  void AdoptChildren(KubeNodeOfTree& node);
  void Link(KubeNodeOfTree& node, const KubeMeta& meta, const Moment& now);
  void Unlink(KubeNodeOfTree& node);
  void JoinGroup(KubeNodeOfTree& node, const KubeMeta& meta);
  // `in_order`: nothing is missing if that leaves the group empty.
  void LeaveGroup(KubeNodeOfTree& node, bool in_order);
  void MarkGroup(KubeNodeOfTree& node);
  KubeMeta Meta(const KubeNodeOfTree& node) const;
  void Await(KubeNodeOfTree& node, const std::string& controller_uid, const Moment& now);
  void NoAwait(KubeNodeOfTree& node);
  void Count(const KubePod& pod, KubeNodeOfTree& node);
  void Uncount(KubeNodeOfTree& node);

  StringPool pool_;
  std::unordered_map<std::string, KubeNodeOfTree, Hash, std::equal_to<>> nodes_;
  // Nodes whose controller is not there, by its uid.
  std::map<std::string, std::set<KubeNodeOfTree*>, std::less<>> awaiting_;
  std::set<std::pair<Instant, KubeNodeOfTree*>> orphans_;
  Groups groups_;
  std::unordered_set<KubeGroup*> marked_;
  bool names_changed_ = false;
  std::uint64_t logs_version_ = 0;
  std::int64_t waiting_ = 0;
  std::int64_t running_ = 0;
  std::int64_t ended_ = 0;
  std::int64_t restarts_ = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_OBJECT_TREE_H_
