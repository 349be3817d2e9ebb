#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/deployments/picture.h"
#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/testing/cluster_book_test_base.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_PROGRESSING;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

class ClusterStatusTest : public ClusterBookTestBase {};

TEST_F(ClusterStatusTest, ThreeRestartsInTenMinutesAreALoopUntilTheyAreOld) {
  PutWeb();
  Only();
  for (int i = 1; i <= 3; ++i) {
    clock_.Advance(absl::Minutes(1));
    pod_.containers[0].restart_count = i;
    pod_.containers[0].last = MakeEnd(1, clock_.Now());
    Put(pod_);
  }
  EXPECT_EQ(Only().message(),
            "web-7d4-x/web is in a restart loop (3 or more restarts in 10 min), last exited with code 1");
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now());
  EXPECT_EQ(book_.NextChange() - clock_.Monotonic(), absl::Minutes(8));
  clock_.Advance(absl::Minutes(8));
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now());
  EXPECT_EQ(book_.NextChange(), Instant::FromDuration(absl::InfiniteDuration()));
}

TEST_F(ClusterStatusTest, PodThatRestartedBeforeItWasSeenIsJudgedByItsTimes) {
  KubePod pod = MakePod("young", "shop", clock_.Now() - absl::Minutes(5));
  pod.containers[0].restart_count = 5;
  pod.containers[0].started = clock_.Now() - absl::Minutes(1);
  Put(pod);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_ERROR);
  ClusterBook other;
  pod = MakePod("old");
  pod.containers[0].restart_count = 5;
  pod.containers[0].started = clock_.Now() - absl::Minutes(1);
  other.Put(KubeKind::kPod, pod, clock_.Read());
  EXPECT_EQ(other.Look(clock_.Read()).deployments[0].status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ClusterStatusTest, ErrImagePullBecomesAnErrorAndKeepsWhatTheRegistrySaid) {
  KubePod pod = MakePod("web");
  SetReady(pod, false, clock_.Now());
  Wait(pod.containers[0], "ErrImagePull", "manifest unknown");
  Put(pod);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(book_.NextChange() - clock_.Monotonic(), absl::Seconds(10));
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_ERROR);
  Wait(pod.containers[0], "ImagePullBackOff", "Back-off pulling image");
  Put(pod);
  EXPECT_EQ(Only().message(), "web/web cannot pull its image shop/web:1.2 (ImagePullBackOff): manifest unknown");
  pod = MakePod("web");
  Put(pod);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ClusterStatusTest, WarningsStandInTheMessage) {
  PutWeb();
  pod_.containers[0].spec.has_probe = true;
  pod_.containers[0].is_ready = false;
  SetReady(pod_, false, clock_.Now());
  Put(pod_);
  web_.ready_replicas = 0;
  Put(web_);
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x/web is not ready");
  EXPECT_EQ(Only().resources(0).health(), "unhealthy");
  Warn(pod_.meta, "Unhealthy", "Readiness probe failed: 503");
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x/web is not ready: Readiness probe failed: 503");
  EXPECT_THAT(book_.Uids(KubeKind::kEvent), SizeIs(1));
  book_.Remove(KubeKind::kEvent, book_.Uids(KubeKind::kEvent).front(), clock_.Read());
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x/web is not ready");
}

TEST_F(ClusterStatusTest, DeadlineRunsFromTheLastProgress) {
  KubeWorkload set = MakeWorkload(KubeKind::kStatefulSet, "db", 3);
  Put(set);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  clock_.Advance(absl::Hours(5));
  set.ready_replicas = 1;
  Put(set);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_PROGRESSING) << "it was in order until now";
  EXPECT_EQ(book_.NextChange() - clock_.Monotonic(), absl::Minutes(10));
  clock_.Advance(absl::Minutes(9));
  set.ready_replicas = 2;
  Put(set);
  Only();
  clock_.Advance(absl::Minutes(9));
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_PROGRESSING) << "slow, but it goes on";
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Only().message(), "db has had 2 of 3 pods ready for 10 min");
  set.ready_replicas = 3;
  Put(set);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(ClusterStatusTest, LostNode) {
  PutWeb();
  KubeNode node;
  node.meta.uid = "node-1";
  node.meta.name = "n1";
  node.is_ready = true;
  node.kubelet_version = "v1.29.1";
  Put(node);
  EXPECT_EQ(book_.RuntimeName(), "kubernetes v1.29.1");
  EXPECT_THAT(book_.Nodes(), SizeIs(1));
  SetReady(pod_, false, clock_.Now());
  pod_.containers[0].is_ready = false;
  Put(pod_);
  web_.ready_replicas = 0;
  Put(web_);
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x/web is not ready");
  node.is_ready = false;
  Put(node);
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x is on node n1, which does not answer");
  book_.Remove(KubeKind::kNode, "node-1", clock_.Read());
  EXPECT_EQ(Only().message(), "web has 0 of 1 pods ready; web-7d4-x/web is not ready");
  EXPECT_EQ(book_.RuntimeName(), "");
}

TEST_F(ClusterStatusTest, MirrorPodIsADeploymentOfItsOwn) {
  KubePod pod = MakePod("kube-apiserver-n1", "kube-system");
  pod.is_mirror = true;
  pod.meta.controller = KubeOwner{.kind = "Node", .api_group = "", .name = "n1", .uid = "node-1"};
  Put(pod);
  EXPECT_EQ(Only().key(), "pod/kube-system/kube-apiserver-n1");
}

TEST_F(ClusterStatusTest, PodsOfAnUnknownControllerMakeOneDeployment) {
  for (const char* name : {"front-1", "front-2"}) {
    KubePod pod = MakePod(name);
    pod.meta.controller = KubeOwner{.kind = "CloneSet", .api_group = "apps.kruise.io", .name = "front", .uid = "c"};
    Put(pod);
  }
  EXPECT_EQ(Only().key(), "cloneset/shop/front");
  EXPECT_EQ(Only().resources_size(), 2);
  EXPECT_EQ(Only().resources(1).name(), "front/front-2/web");
}

TEST_F(ClusterStatusTest, CronJobBetweenRuns) {
  KubeWorkload cron = MakeWorkload(KubeKind::kCronJob, "backup");
  Put(cron);
  KubeWorkload job = MakeWorkload(KubeKind::kJob, "backup-1");
  Own(cron, job.meta);
  KubePod pod = MakePod("backup-1-x");
  pod.restart_policy = "Never";
  Own(job, pod.meta);
  Put(job);
  Put(pod);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Only().resources(0).name(), "backup/backup-1-x/web");
  End(pod.containers[0], 1, clock_.Now());
  pod.phase = "Failed";
  Put(pod);
  SetCondition(job.conditions, "Failed", "True", clock_.Now(), "BackoffLimitExceeded", "too often");
  Put(job);
  EXPECT_EQ(Only().message(), "backup-1 failed (BackoffLimitExceeded): too often; backup-1-x/web exited with code 1");
  Remove(KubeKind::kPod, pod.meta);
  Remove(KubeKind::kJob, job.meta);
  EXPECT_EQ(Only().message(), "next run by its schedule");
}

TEST_F(ClusterStatusTest, NamesContainersForTheirLogs) {
  PutWeb();
  KubeContainer init = MakeContainer("migrate");
  init.is_init = true;
  End(init, 0, clock_.Now() - absl::Hours(1), "Completed");
  pod_.containers.insert(pod_.containers.begin(), init);
  KubeContainer& web = pod_.containers[1];
  web.restart_count = 1;
  web.last = MakeEnd(1, clock_.Now() - absl::Minutes(20));
  Put(pod_);
  const std::string revision = Only().revision();
  std::vector<LogContainer> all = book_.LogContainers();
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_EQ(all[0].id, "containerd://migrate");
  EXPECT_EQ(all[0].name, "web/web-7d4-x/migrate");
  EXPECT_FALSE(all[0].is_running);
  EXPECT_EQ(all[1].id, "containerd://before");
  EXPECT_EQ(all[1].log_path, "/api/v1/namespaces/shop/pods/web-7d4-x/log?container=web&previous=true");
  EXPECT_EQ(all[1].created, clock_.Now() - absl::Minutes(21));
  EXPECT_FALSE(all[1].is_running);
  const LogContainer expected = {.id = "containerd://web-7d4-x",
                                 .name = "web/web-7d4-x/web",
                                 .deployment_key = "deployment/shop/web",
                                 .revision = revision,
                                 .has_tty = true,
                                 .log_driver = "kubernetes",
                                 .created = clock_.Now() - absl::Hours(1),
                                 .is_running = true,
                                 .log_path = "/api/v1/namespaces/shop/pods/web-7d4-x/log?container=web"};
  EXPECT_EQ(all[2], expected);
  // While it waits for its next run, the path shows the last one.
  web.last->container_id = web.container_id;
  Wait(web, "CrashLoopBackOff");
  Put(pod_);
  Look();
  all = book_.LogContainers();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[1].id, web.container_id);
  EXPECT_EQ(all[1].created, clock_.Now() - absl::Minutes(21));
  EXPECT_FALSE(all[1].is_running);
}

TEST_F(ClusterStatusTest, LogsVersionChangesWithRunsNotWithReadiness) {
  PutWeb();
  Look();
  std::uint64_t before = book_.LogsVersion();
  SetReady(pod_, false, clock_.Now());
  pod_.containers[0].is_ready = false;
  Put(pod_);
  Put(web_);
  Look();
  EXPECT_EQ(book_.LogsVersion(), before);
  pod_.containers[0].container_id = "containerd://next";
  Put(pod_);
  EXPECT_NE(book_.LogsVersion(), before);
  Look();
  before = book_.LogsVersion();
  set_.meta.labels.pod_template_hash = "8e5";
  Put(set_);
  Look();
  EXPECT_NE(book_.LogsVersion(), before) << "the revision is part of it";
  before = book_.LogsVersion();
  Remove(KubeKind::kPod, pod_.meta);
  EXPECT_NE(book_.LogsVersion(), before);
}

TEST_F(ClusterStatusTest, CensusCountsAllContainersWhateverTheyBelongTo) {
  EXPECT_EQ(book_.Census(), ContainerCensus());
  PutWeb();
  KubePod lost = MakePod("lost");
  Own(MakeWorkload(KubeKind::kReplicaSet, "unseen"), lost.meta);
  End(lost.containers[0], 1, clock_.Now());
  lost.containers[0].restart_count = 3;
  lost.containers.push_back(MakeContainer("side"));
  Wait(lost.containers[1], "ContainerCreating");
  Put(lost);
  EXPECT_EQ(book_.Census(),
            (ContainerCensus{.states = {{"created", 1}, {"exited", 1}, {"running", 1}}, .restarts = 3}));
  Remove(KubeKind::kPod, lost.meta);
  EXPECT_EQ(book_.Census(), (ContainerCensus{.states = {{"running", 1}}, .restarts = 0}));
  EXPECT_THAT(book_.Uids(KubeKind::kPod), ElementsAre(pod_.meta.uid));
  EXPECT_THAT(book_.Uids(KubeKind::kReplicaSet), ElementsAre(set_.meta.uid));
}

TEST_F(ClusterStatusTest, PictureStaysWithinItsLimits) {
  for (int i = 0; i < 600; ++i) {
    const std::string name = fmt::format("app-{:03}-{}", i, std::string(200, 'x'));
    KubeWorkload set = MakeWorkload(KubeKind::kStatefulSet, name, 3, std::string(60, 'n'));
    Put(set);
    for (int p = 0; p < (i == 0 ? 300 : 3); ++p) {
      KubePod pod = MakePod(fmt::format("{}-{}", name, p), std::string(60, 'n'));
      Own(set, pod.meta);
      Put(pod);
    }
  }
  const Present present = Look();
  EXPECT_LE(present.deployments.size(), kMaxDeploymentsPerTarget);
  EXPECT_EQ(present.deployments.size() + static_cast<std::size_t>(present.omitted), 600U);
  std::size_t bytes = 0;
  for (const v1::DeploymentState& state : present.deployments) {
    bytes += state.ByteSizeLong() + kFieldOverheadBytes;
    EXPECT_LE(state.key().size(), kMaxNameBytes);
    for (const types::v1::Resource& resource : state.resources()) EXPECT_LE(resource.name().size(), kMaxNameBytes);
  }
  EXPECT_LE(bytes, kMaxPictureBytes);
  // With fewer there is room for their resources again.
  for (int i = 50; i < 600; ++i) {
    Remove(KubeKind::kStatefulSet,
           MakeWorkload(KubeKind::kStatefulSet, fmt::format("app-{:03}-{}", i, std::string(200, 'x')), 3,
                        std::string(60, 'n'))
               .meta);
  }
  const Present fewer = Look();
  EXPECT_EQ(fewer.deployments.front().resources_size(), kMaxResourcesPerDeployment);
  EXPECT_LE(fewer.deployments.size(), 50U + kMaxGoneDeployments);
}

TEST_F(ClusterStatusTest, HostileTextsCannotBreakAFrame) {
  KubePod pod = MakePod(std::string(1000, 'x'));
  pod.containers[0].spec.name = std::string(1000, 'c');
  pod.containers[0].spec.image = std::string(1000, 'i');
  pod.containers[0].container_id = std::string(1000, 'd');
  for (int i = 0; i < 500; ++i) pod.meta.labels.muster_version += "\xC3\xBC";
  Wait(pod.containers[0], "CreateContainerError", std::string(300, 'm'));
  Put(pod);
  const v1::DeploymentState state = Only();
  EXPECT_EQ(state.status(), DEPLOYMENT_STATUS_ERROR);
  EXPECT_LE(state.message().size(), kMaxMessageBytes);
  EXPECT_LE(state.application_version().size(), kMaxNameBytes);
  EXPECT_TRUE(IsValidUtf8(state.application_version()));
  for (const std::string& text :
       {state.key(), state.name(), state.resources(0).id(), state.resources(0).name(), state.resources(0).image()}) {
    EXPECT_LE(text.size(), kMaxNameBytes);
  }
}

}  // namespace
}  // namespace muster::agent
