#include "agent/kubernetes/cluster_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/kubernetes/object_identity.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

KubeNode Node(const std::string& name, std::int64_t millicores, std::int64_t bytes) {
  KubeNode node;
  node.meta.name = name;
  node.cpu_millicores = millicores;
  node.memory_bytes = bytes;
  return node;
}

LogContainer Running(const std::string& pod, const std::string& key) {
  LogContainer container;
  container.deployment_key = key;
  container.log_path = KubeLogPath("shop", pod, "web", /*previous=*/false);
  container.is_running = true;
  return container;
}

ClusterReading Whole() {
  ClusterReading reading;
  reading.has_nodes = true;
  reading.nodes = {Node("a", 4000, 1000), Node("b", 2000, 3000)};
  reading.node_usage = std::vector<KubeNodeUsage>{{.node = "a", .cpu_cores = 1, .memory_bytes = 400},
                                                  {.node = "b", .cpu_cores = 0.5, .memory_bytes = 600}};
  reading.containers = {Running("web-1", "app/shop/web"), Running("web-2", "app/shop/web")};
  reading.container_usage = std::vector<KubeContainerUsage>{
      {.name_space = "shop", .pod = "web-1", .container = "web", .cpu_cores = 0.25, .memory_bytes = 10},
      {.name_space = "shop", .pod = "web-2", .container = "web", .cpu_cores = 0.5, .memory_bytes = 20},
      {.name_space = "other", .pod = "web-1", .container = "web", .cpu_cores = 7, .memory_bytes = 7}};
  reading.census = ContainerCensus{.states = {{"running", 2}}, .restarts = 3};
  return reading;
}

TEST(MakeClusterReport, SumsNodesAndContainers) {
  const v1::HostSample sample = MakeClusterReport(Whole()).sample();
  EXPECT_EQ(sample.cpu_cores(), 6);
  EXPECT_DOUBLE_EQ(sample.cpu_usage_ratio(), 0.25);
  EXPECT_EQ(sample.memory_total_bytes(), 4000);
  EXPECT_EQ(sample.memory_used_bytes(), 1000);
  ASSERT_EQ(sample.deployments_size(), 1);
  EXPECT_EQ(sample.deployments(0).deployment_key(), "app/shop/web");
  EXPECT_DOUBLE_EQ(sample.deployments(0).cpu_cores(), 0.75);
  EXPECT_EQ(sample.deployments(0).memory_bytes(), 30);
  EXPECT_EQ(sample.container_restarts(), 3);
  EXPECT_THAT(sample.missing(), IsEmpty());
}

TEST(MakeClusterReport, ANodeWithoutUsageMakesItPartial) {
  ClusterReading reading = Whole();
  reading.node_usage->pop_back();
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.memory_total_bytes(), 4000);
  EXPECT_DOUBLE_EQ(sample.cpu_usage_ratio(), 0.25) << "of the cores whose use is known";
  EXPECT_THAT(sample.missing(), ElementsAre("usage of node b"));
}

TEST(MakeClusterReport, WithoutAMetricsApiNothingIsSaidToBeUsed) {
  ClusterReading reading = Whole();
  reading.node_usage = absl::UnavailableError("no metrics API");
  reading.container_usage = absl::UnavailableError("no metrics API");
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.cpu_cores(), 6);
  EXPECT_EQ(sample.memory_total_bytes(), 4000);
  EXPECT_FALSE(sample.has_cpu_usage_ratio());
  EXPECT_EQ(sample.memory_used_bytes(), 0) << "which is: not known";
  EXPECT_THAT(sample.deployments(), IsEmpty());
  EXPECT_THAT(sample.missing(), ElementsAre("usage of nodes (metrics.k8s.io)", "usage of pods (metrics.k8s.io)"));
}

TEST(MakeClusterReport, OneNamespaceHasNoNodesAndNothingOfThemIsMissing) {
  ClusterReading reading = Whole();
  reading.has_nodes = false;
  reading.nodes.clear();
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.cpu_cores(), 0);
  EXPECT_EQ(sample.memory_total_bytes(), 0);
  EXPECT_EQ(sample.deployments_size(), 1);
  EXPECT_THAT(sample.missing(), IsEmpty());
}

}  // namespace
}  // namespace muster::agent
