#include "agent/kubernetes/object_identity.h"

#include <gtest/gtest.h>

#include "agent/kubernetes/testing/make_objects.h"
#include "agent/present.h"

namespace muster::agent {
namespace {

TEST(KubeIdentity, FirstMatchWins) {
  KubeMeta meta = MakePod("web").meta;
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).key, "pod/shop/web");
  EXPECT_EQ(IdentityOf(KubeKind::kDaemonSet, meta).key, "daemonset/shop/web");
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).kind, types::v1::DEPLOYMENT_KIND_WORKLOAD);
  meta.controller = KubeOwner{.kind = "Rollout", .api_group = "argoproj.io", .name = "front", .uid = "u"};
  EXPECT_EQ(IdentityOf(KubeKind::kReplicaSet, meta).key, "rollout/shop/front");
  meta.labels.instance = "bakery";
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).key, "app/shop/bakery");
  meta.labels.managed_by = "Helm";
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).key, "helm/shop/bakery");
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).name, "bakery");
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).kind, types::v1::DEPLOYMENT_KIND_HELM_RELEASE);
}

TEST(KubeIdentity, ReplicaSetThatCannotBeSeenStillNamesItsDeployment) {
  KubeMeta meta = MakePod("web-7d4-x").meta;
  meta.controller = KubeOwner{.kind = "ReplicaSet", .api_group = "apps", .name = "web-7d4", .uid = "u"};
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).key, "replicaset/shop/web-7d4");
  EXPECT_EQ(TopName(meta), "web-7d4");
  meta.labels.pod_template_hash = "7d4";
  EXPECT_EQ(IdentityOf(KubeKind::kPod, meta).key, "deployment/shop/web");
  EXPECT_EQ(TopName(meta), "web");
}

TEST(KubeIdentity, KindsOfTheSameNameFromElsewhereAreNotOurs) {
  EXPECT_EQ(KnownKind({.kind = "Job", .api_group = "batch", .name = "", .uid = ""}), KubeKind::kJob);
  EXPECT_EQ(KnownKind({.kind = "Job", .api_group = "batch.volcano.sh", .name = "", .uid = ""}), std::nullopt);
  EXPECT_EQ(KnownKind({.kind = "Node", .api_group = "", .name = "", .uid = ""}), std::nullopt);
}

TEST(KubeIdentity, LongNamesStayApartAndWithinTheLimit) {
  KubeMeta meta;
  meta.name_space = std::string(63, 'n');
  meta.name = std::string(1000, 'x') + "1";
  const DeploymentIdentity one = IdentityOf(KubeKind::kStatefulSet, meta);
  meta.name.back() = '2';
  const DeploymentIdentity two = IdentityOf(KubeKind::kStatefulSet, meta);
  EXPECT_LE(one.key.size(), kMaxNameBytes);
  EXPECT_LE(one.name.size(), kMaxNameBytes);
  EXPECT_NE(one.key, two.key);
  EXPECT_NE(one.name, two.name);
}

TEST(KubeApplication, FromLabelsElseFromNameAndImage) {
  std::vector<KubeSpokesman> spokesmen(2);
  spokesmen[0].image = "shop/web:1.2";
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").application, "shop");
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").version, "1.2");
  EXPECT_EQ(ApplicationOf({}, "shop").application, "shop");
  spokesmen[1].labels.name = "bakery";
  spokesmen[1].image = "shop/db:9";
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").application, "bakery");
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").version, "9");
  spokesmen[1].labels.version = "3.4";
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").version, "3.4");
  spokesmen[0].labels.muster_version = "7";
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").application, "shop");
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").version, "7");
  spokesmen[1].labels.muster_application = "Bakery";
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").application, "Bakery");
  EXPECT_EQ(ApplicationOf(spokesmen, "shop").version, "7");
}

TEST(KubeLogPath, IsEncoded) {
  EXPECT_EQ(KubeLogPath("shop", "web-1.x", "web", false), "/api/v1/namespaces/shop/pods/web-1.x/log?container=web");
  EXPECT_EQ(KubeLogPath("a/b", "..?", "c&d=\xC3\xBC", true),
            "/api/v1/namespaces/a%2Fb/pods/..%3F/log?container=c%26d%3D%C3%BC&previous=true");
}

}  // namespace
}  // namespace muster::agent
