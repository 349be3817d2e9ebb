// A book with a clock, and what its tests say often.
#ifndef MUSTER_AGENT_KUBERNETES_TESTING_CLUSTER_BOOK_TEST_BASE_H_
#define MUSTER_AGENT_KUBERNETES_TESTING_CLUSTER_BOOK_TEST_BASE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/testing/make_objects.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {

class ClusterBookTestBase : public testing::Test {
 protected:
  void Put(const KubeWorkload& workload) { book_.Put(workload.kind, workload, clock_.Read()); }
  void Put(const KubePod& pod) { book_.Put(KubeKind::kPod, pod, clock_.Read()); }
  void Put(const KubeNode& node) { book_.Put(KubeKind::kNode, node, clock_.Read()); }
  void Remove(KubeKind kind, const KubeMeta& meta) { book_.Remove(kind, meta.uid, clock_.Read()); }
  Present Look() { return book_.Look(clock_.Read()); }
  v1::DeploymentState Only() {
    const Present present = Look();
    EXPECT_THAT(present.deployments, ::testing::SizeIs(1));
    return present.deployments.empty() ? v1::DeploymentState() : present.deployments.front();
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const v1::DeploymentState& state : Look().deployments) keys.push_back(state.key());
    return keys;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const v1::DeploymentState& state : Look().deployments) names.push_back(state.name());
    return names;
  }
  void Warn(const KubeMeta& about, const std::string& reason, const std::string& message) {
    KubeEvent event;
    event.meta.uid = "event-" + about.uid + reason;
    event.meta.name = "e";
    event.about_uid = about.uid;
    event.reason = reason;
    event.message = message;
    event.last_seen = clock_.Now();
    book_.Put(KubeKind::kEvent, event, clock_.Read());
  }

  // A Deployment "web" of one replica with its ReplicaSet and pod.
  void PutWeb(const std::string& name_space = "shop") {
    web_ = MakeWorkload(KubeKind::kDeployment, "web", 1, name_space);
    set_ = MakeWorkload(KubeKind::kReplicaSet, "web-7d4", 1, name_space);
    set_.meta.labels.pod_template_hash = "7d4";
    set_.revision = 1;
    Own(web_, set_.meta);
    pod_ = MakePod("web-7d4-x", name_space);
    Own(set_, pod_.meta);
    Put(pod_);
    Put(set_);
    Put(web_);
  }

  FakeClock clock_;
  ClusterBook book_;
  KubeWorkload web_;
  KubeWorkload set_;
  KubePod pod_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_TESTING_CLUSTER_BOOK_TEST_BASE_H_
