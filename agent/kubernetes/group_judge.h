// Judges one deployment of a cluster's book anew: status, resources, application, revision. Used by cluster_book.h
// alone. Not thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_GROUP_JUDGE_H_
#define MUSTER_AGENT_KUBERNETES_GROUP_JUDGE_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/kubernetes/event_shelf.h"
#include "agent/kubernetes/object_identity.h"
#include "agent/kubernetes/object_tree.h"
#include "agent/kubernetes/workload_rules.h"
#include "common/clock.h"

namespace muster::agent {

class GroupJudge {
 public:
  // All outlive it. `lost_nodes`: names of nodes that are not ready.
  GroupJudge(ObjectTree* tree, const EventShelf* events, const std::set<std::string, std::less<>>* lost_nodes);

  // `group` has roots. At most `max_resources` are kept in its state.
  void Judge(KubeGroup& group, int max_resources, const Moment& now);
  // Nothing is left of it.
  void JudgeGone(KubeGroup& group, const Moment& now);

 private:
  using Node = KubeNodeOfTree;
  // While one deployment is judged.
  struct Draft {
    std::vector<WorkloadJudgement> judgements;
    std::vector<KubeSpokesman> spokesmen;
    // Pods whose containers are resources, with the name of their workload.
    std::vector<std::pair<std::string, Node*>> pods;
    std::map<std::string, std::string> revision_parts;
  };

  void JudgeWorkloadRoot(Node& root, bool counts_for_revision, const Moment& now, Draft& draft);
  void JudgeLoose(const std::vector<Node*>& pods, Progress& progress, bool is_new, const Moment& now, Draft& draft);
  WorkloadView ViewOf(Node& root, const Moment& now);
  PodOfWorkload PodOf(Node& node, const Moment& now);
  void EnsureJudged(Node& node, const Moment& now);
  std::string TemplateHash(const Node& root, const WorkloadView& view, const Node* newest_pod) const;
  void FillResources(const std::vector<std::pair<std::string, Node*>>& pods, int max_resources, KubeGroup& group) const;

  ObjectTree* const tree_;
  const EventShelf* const events_;
  const std::set<std::string, std::less<>>* const lost_nodes_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_GROUP_JUDGE_H_
