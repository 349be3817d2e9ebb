#include "agent/kubernetes/packed_objects.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/kubernetes/testing/make_objects.h"

namespace muster::agent {
namespace {

TEST(StringPool, KeepsOneOfEachAndFreesWhatNobodyUses) {
  StringPool pool;
  EXPECT_EQ(pool.Intern(""), 0U);
  const StringPool::Id shop = pool.Intern("shop");
  EXPECT_EQ(pool.Intern("shop"), shop);
  const StringPool::Id bakery = pool.Intern("bakery");
  EXPECT_NE(bakery, shop);
  pool.Release(shop);
  EXPECT_EQ(pool.Get(shop), "shop") << "one more uses it";
  pool.Release(shop);
  EXPECT_EQ(pool.Get(shop), "");
  EXPECT_EQ(pool.size(), 1U);
  EXPECT_EQ(pool.Intern("third"), shop) << "its number is free again";
  pool.Release(0);
  pool.Release(99);
  EXPECT_EQ(pool.Get(bakery), "bakery");
  for (int i = 0; i < 1000; ++i) pool.Intern(fmt::format("text {}", i));
  EXPECT_EQ(pool.Get(bakery), "bakery");
}

TEST(PackedObjects, PodComesBackAsItWas) {
  StringPool pool;
  KubePod pod = MakePod("web-1");
  pod.meta.labels.instance = "shop";
  pod.meta.labels.controller_revision = "r";
  pod.meta.generation = -5;
  pod.meta.is_deleted = true;
  Own(MakeWorkload(KubeKind::kReplicaSet, "web"), pod.meta);
  pod.message = "why";
  pod.is_mirror = true;
  pod.started = absl::FromUnixMicros(1'800'000'000'000'001);
  KubeContainer ended = MakeContainer("init");
  ended.is_init = ended.spec.is_sidecar = ended.spec.has_probe = true;
  End(ended, -7, kTestNow);
  ended.terminated.message = std::string(300, 'm');
  KubeContainer waiting = MakeContainer("waiting");
  Wait(waiting, "CrashLoopBackOff", "back-off");
  waiting.last = MakeEnd(137, kTestNow, "OOMKilled");
  waiting.restart_count = 1LL << 40;
  pod.containers.insert(pod.containers.end(), {ended, waiting});

  const std::string packed = PackPod(pod, pool);
  const KubePod again = UnpackPod(packed, pool);
  EXPECT_EQ(again.meta.labels.instance, "shop");
  EXPECT_EQ(again.meta.labels.controller_revision, "r");
  EXPECT_EQ(again.meta.generation, -5);
  EXPECT_TRUE(again.meta.is_deleted && again.is_mirror);
  EXPECT_EQ(again.meta.created, pod.meta.created);
  EXPECT_EQ(again.meta.controller->uid, pod.meta.controller->uid);
  EXPECT_EQ(again.started, pod.started);
  EXPECT_EQ(again.message, "why");
  EXPECT_EQ(again.conditions.size(), pod.conditions.size());
  EXPECT_EQ(again.conditions[0].since, pod.conditions[0].since);
  ASSERT_EQ(again.containers.size(), 3U);
  EXPECT_EQ(again.containers[0].container_id, "containerd://web-1");
  EXPECT_TRUE(again.containers[0].is_ready);
  EXPECT_TRUE(again.containers[1].is_init && again.containers[1].spec.is_sidecar && again.containers[1].spec.has_probe);
  EXPECT_EQ(again.containers[1].terminated.exit_code, -7);
  EXPECT_EQ(again.containers[1].terminated.message, ended.terminated.message);
  EXPECT_EQ(again.containers[2].waiting_message, "back-off");
  EXPECT_EQ(again.containers[2].last->reason, "OOMKilled");
  EXPECT_EQ(again.containers[2].restart_count, 1LL << 40);
  EXPECT_EQ(again.containers[2].started, absl::InfinitePast());
  EXPECT_EQ(PackPod(again, pool), packed);
  for (int i = 0; i < 2; ++i) ReleasePod(packed, pool);
  EXPECT_EQ(pool.size(), 0U);
}

TEST(PackedObjects, WorkloadComesBackAsItWas) {
  StringPool pool;
  KubeWorkload workload = MakeWorkload(KubeKind::kStatefulSet, "db", 3);
  workload.update_revision = "db-2";
  workload.keeps_old_pods = workload.removes_itself = true;
  workload.completed = kTestNow;
  workload.revision = 12;
  SetCondition(workload.conditions, "Failed", "True", kTestNow, "R", "m");
  const std::string packed = PackWorkload(workload, pool);
  const KubeWorkload again = UnpackWorkload(packed, pool);
  EXPECT_EQ(again.kind, KubeKind::kStatefulSet);
  EXPECT_EQ(again.ready_replicas, 3);
  EXPECT_EQ(again.update_revision, "db-2");
  EXPECT_EQ(again.revision, 12);
  EXPECT_TRUE(again.keeps_old_pods && again.removes_itself);
  EXPECT_FALSE(again.is_paused);
  EXPECT_EQ(again.completed, kTestNow);
  EXPECT_EQ(again.conditions[0].message, "m");
  EXPECT_EQ(again.containers[0].image, "shop/web:1.2");
  EXPECT_EQ(PackWorkload(again, pool), packed);
  for (int i = 0; i < 2; ++i) ReleaseWorkload(packed, pool);
  EXPECT_EQ(pool.size(), 0U);
}

}  // namespace
}  // namespace muster::agent
