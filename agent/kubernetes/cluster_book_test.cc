#include "agent/kubernetes/cluster_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/kubernetes/object_tree.h"
#include "agent/kubernetes/testing/cluster_book_test_base.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_PROGRESSING;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

class ClusterBookTest : public ClusterBookTestBase {};

TEST_F(ClusterBookTest, OwnedObjectsBelongToTheTopInWhateverOrderTheyCome) {
  PutWeb();
  const v1::DeploymentState state = Only();
  EXPECT_EQ(state.key(), "deployment/shop/web");
  EXPECT_EQ(state.name(), "web");
  EXPECT_EQ(state.kind(), types::v1::DEPLOYMENT_KIND_WORKLOAD);
  EXPECT_EQ(state.status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(FromProto(state.status_time()), clock_.Now() - absl::Hours(1));
  EXPECT_EQ(state.application(), "web");
  EXPECT_EQ(state.application_version(), "1.2");
  EXPECT_THAT(state.revision(), SizeIs(12));
  ASSERT_EQ(state.resources_size(), 1);
  EXPECT_EQ(state.resources(0).id(), "containerd://web-7d4-x");
  EXPECT_EQ(state.resources(0).name(), "web/web-7d4-x/web");
  EXPECT_EQ(state.resources(0).state(), "running");
  EXPECT_EQ(state.resources(0).health(), "");
  EXPECT_EQ(state.resources(0).image(), "shop/web:1.2");
}

TEST_F(ClusterBookTest, RevisionIsThatOfTheNewestTemplateWhateverElseChanges) {
  PutWeb();
  const std::string revision = Only().revision();
  pod_.meta.uid = "another";
  pod_.meta.name = "web-7d4-y";
  Put(pod_);
  web_.replicas = 2;
  Put(web_);
  EXPECT_EQ(Only().revision(), revision);
  KubeWorkload next = MakeWorkload(KubeKind::kReplicaSet, "web-8e5");
  next.meta.labels.pod_template_hash = "8e5";
  next.revision = 2;
  Own(web_, next.meta);
  Put(next);
  EXPECT_NE(Only().revision(), revision);
  // Back to the first template: its ReplicaSet is the newest again.
  set_.revision = 3;
  Put(set_);
  EXPECT_EQ(Only().revision(), revision);
}

TEST_F(ClusterBookTest, PodsOfAReplicaSetThatIsNotWantedDoNotCount) {
  PutWeb();
  KubeWorkload old = MakeWorkload(KubeKind::kReplicaSet, "web-old", 0);
  Own(web_, old.meta);
  Put(old);
  KubePod crashing = MakePod("web-old-x");
  Own(old, crashing.meta);
  Wait(crashing.containers[0], "CrashLoopBackOff");
  Put(crashing);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Only().resources_size(), 1);
  old.replicas = 1;
  Put(old);
  EXPECT_EQ(Only().message(), "web-old-x/web is in CrashLoopBackOff (0 restarts)");
}

TEST_F(ClusterBookTest, GroupsByReleaseAndInstance) {
  for (const char* name : {"front", "back"}) {
    KubeWorkload workload = MakeWorkload(KubeKind::kDeployment, name);
    workload.meta.labels.instance = "bakery";
    workload.meta.labels.managed_by = "Helm";
    Put(workload);
  }
  EXPECT_EQ(Only().key(), "helm/shop/bakery");
  EXPECT_EQ(Only().kind(), types::v1::DEPLOYMENT_KIND_HELM_RELEASE);
  KubeWorkload back = MakeWorkload(KubeKind::kDeployment, "back");
  back.meta.labels.instance = "bakery";
  back.meta.labels.managed_by = "Helm";
  back.ready_replicas = 0;
  Put(back);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Only().message(), "back has 0 of 1 pods ready");
  back.meta.labels.managed_by = "";
  Put(back);
  EXPECT_THAT(Keys(), ElementsAre("app/shop/bakery", "helm/shop/bakery"));
  // It moves on, and what it leaves empty was only another name for it.
  back.meta.labels.instance = "";
  Put(back);
  EXPECT_THAT(Keys(), ElementsAre("deployment/shop/back", "helm/shop/bakery"));
}

TEST_F(ClusterBookTest, NamesAlikeInTwoNamespacesNameTheirNamespace) {
  PutWeb("shop");
  EXPECT_THAT(Names(), ElementsAre("web"));
  PutWeb("test");
  EXPECT_THAT(Names(), ElementsAre("web (shop)", "web (test)"));
  KubeWorkload set = MakeWorkload(KubeKind::kStatefulSet, "solo");
  Put(set);
  EXPECT_THAT(Names(), ElementsAre("web (shop)", "web (test)", "solo"));
}

TEST_F(ClusterBookTest, AllGoneIsAnErrorUntilTheyReturn) {
  PutWeb();
  const std::string revision = Only().revision();
  clock_.Advance(absl::Hours(1));
  Remove(KubeKind::kDeployment, web_.meta);
  Remove(KubeKind::kReplicaSet, set_.meta);
  Remove(KubeKind::kPod, pod_.meta);
  const v1::DeploymentState gone = Only();
  EXPECT_EQ(gone.status(), DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(gone.message(), "all workloads are gone");
  EXPECT_TRUE(gone.gone());
  EXPECT_EQ(gone.revision(), revision);
  EXPECT_EQ(FromProto(gone.status_time()), clock_.Now());
  EXPECT_THAT(gone.resources(), IsEmpty());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now() - absl::Hours(1));
  PutWeb();
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_FALSE(Only().gone());
  EXPECT_EQ(Only().revision(), revision);
}

TEST_F(ClusterBookTest, WhatADeletedWorkloadLeavesBehindIsNoDeploymentOfItsOwn) {
  PutWeb();
  Only();
  Remove(KubeKind::kDeployment, web_.meta);
  EXPECT_THAT(Keys(), ElementsAre("deployment/shop/web"));
  EXPECT_TRUE(Only().gone());
  clock_.Advance(kOrphanGrace);
  EXPECT_FALSE(Only().gone()) << "its ReplicaSet and pod are still there after a minute";
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ClusterBookTest, PodWhoseControllerCannotBeSeenWaitsForIt) {
  KubePod pod = MakePod("web-7d4-x");
  KubeWorkload set = MakeWorkload(KubeKind::kReplicaSet, "web-7d4");
  Own(set, pod.meta);
  pod.meta.labels.pod_template_hash = "7d4";
  Put(pod);
  EXPECT_THAT(Keys(), IsEmpty());
  EXPECT_EQ(book_.NextChange() - clock_.Monotonic(), kOrphanGrace);
  clock_.Advance(kOrphanGrace);
  EXPECT_EQ(Only().key(), "deployment/shop/web");
  EXPECT_EQ(Only().resources(0).name(), "web/web-7d4-x/web");
  // Its controllers come at last: the same deployment, without a moment in which it is gone.
  KubeWorkload web = MakeWorkload(KubeKind::kDeployment, "web");
  Own(web, set.meta);
  Put(set);
  Put(web);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Only().resources_size(), 1);
}

TEST_F(ClusterBookTest, OwnersInARingAreHarmless) {
  KubeWorkload a = MakeWorkload(KubeKind::kReplicaSet, "a");
  KubeWorkload b = MakeWorkload(KubeKind::kReplicaSet, "b");
  Own(b, a.meta);
  Own(a, b.meta);
  Put(a);
  Put(b);
  Own(a, a.meta);
  Put(a);
  clock_.Advance(kOrphanGrace);
  EXPECT_THAT(Keys(), ElementsAre("replicaset/shop/a"));
  Remove(KubeKind::kReplicaSet, a.meta);
  Remove(KubeKind::kReplicaSet, b.meta);
  Look();
}

TEST_F(ClusterBookTest, FinishedWorkLeavesNoTrace) {
  KubeWorkload job = MakeWorkload(KubeKind::kJob, "import");
  SetCondition(job.conditions, "Complete", "True", clock_.Now());
  Put(job);
  EXPECT_EQ(Only().message(), "completed");
  Remove(KubeKind::kJob, job.meta);
  EXPECT_THAT(Keys(), IsEmpty());

  job.conditions.clear();
  SetCondition(job.conditions, "Failed", "True", clock_.Now(), "BackoffLimitExceeded");
  job.removes_itself = true;
  Put(job);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_ERROR);
  Remove(KubeKind::kJob, job.meta);
  EXPECT_THAT(Keys(), IsEmpty()) << "its TTL removed it";

  KubePod command = MakePod("debug");
  command.restart_policy = "Never";
  Put(command);
  EXPECT_EQ(Only().key(), "pod/shop/debug");
  command.meta.is_deleted = true;
  command.phase = "Failed";
  Put(command);
  EXPECT_EQ(Only().message(), "debug is being deleted");
  Remove(KubeKind::kPod, command.meta);
  EXPECT_THAT(Keys(), IsEmpty());

  KubePod bare = MakePod("bare");
  Put(bare);
  Only();
  Remove(KubeKind::kPod, bare.meta);
  EXPECT_EQ(Only().message(), "all workloads are gone");
}

TEST_F(ClusterBookTest, JobsBesideOthersDoNotChangeTheRevision) {
  PutWeb();
  web_.meta.labels.instance = "bakery";
  Put(web_);
  const std::string revision = Only().revision();
  KubeWorkload job = MakeWorkload(KubeKind::kJob, "migrate");
  job.meta.labels.instance = "bakery";
  SetCondition(job.conditions, "Complete", "True", clock_.Now());
  Put(job);
  EXPECT_EQ(Only().revision(), revision);
  EXPECT_EQ(Only().message(), "");
  Remove(KubeKind::kJob, job.meta);
  EXPECT_EQ(Only().revision(), revision);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ClusterBookTest, RevisionsOfTheOtherKinds) {
  KubeWorkload set = MakeWorkload(KubeKind::kStatefulSet, "db");
  set.update_revision = set.current_revision = "db-1";
  Put(set);
  std::string before = Only().revision();
  set.update_revision = "db-2";
  Put(set);
  EXPECT_NE(Only().revision(), before);
  Remove(KubeKind::kStatefulSet, set.meta);

  ClusterBook daemons;
  KubeWorkload daemon = MakeWorkload(KubeKind::kDaemonSet, "logs");
  KubePod pod = MakePod("logs-1");
  Own(daemon, pod.meta);
  pod.meta.labels.controller_revision = "1";
  daemons.Put(KubeKind::kDaemonSet, daemon, clock_.Read());
  daemons.Put(KubeKind::kPod, pod, clock_.Read());
  const auto revision = [&] { return daemons.Look(clock_.Read()).deployments.front().revision(); };
  before = revision();
  daemons.Remove(KubeKind::kPod, pod.meta.uid, clock_.Read());
  EXPECT_EQ(revision(), before) << "none is there to tell: it is what it was";
  pod.meta.labels.controller_revision = "2";
  daemons.Put(KubeKind::kPod, pod, clock_.Read());
  EXPECT_NE(revision(), before);
}

}  // namespace
}  // namespace muster::agent
