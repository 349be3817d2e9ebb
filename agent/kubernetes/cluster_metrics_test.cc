#include "agent/kubernetes/cluster_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
  reading.nodes = std::vector<KubeNode>{Node("a", 4000, 1000), Node("b", 2000, 3000)};
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

TEST(MakeClusterReport, NodesAreToldOneByOneByName) {
  ClusterReading reading = Whole();
  std::reverse(reading.nodes->begin(), reading.nodes->end());
  reading.nodes->at(1).is_ready = true;
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  ASSERT_EQ(sample.nodes_size(), 2);
  EXPECT_EQ(sample.nodes(0).node(), "a");
  EXPECT_EQ(sample.nodes(0).cpu_cores(), 4);
  EXPECT_EQ(sample.nodes(0).cpu_cores_used(), 1);
  EXPECT_EQ(sample.nodes(0).memory_total_bytes(), 1000);
  EXPECT_EQ(sample.nodes(0).memory_used_bytes(), 400);
  EXPECT_TRUE(sample.nodes(0).is_ready());
  EXPECT_EQ(sample.nodes(1).node(), "b");
  EXPECT_TRUE(sample.nodes(1).has_is_ready());
  EXPECT_FALSE(sample.nodes(1).is_ready());
  EXPECT_FALSE(sample.has_swap_total_bytes()) << "nobody tells the swap of a cluster";
}

TEST(MakeClusterReport, WhatIsTooMuchForASampleIsCutAndNamed) {
  ClusterReading reading = Whole();
  for (int i = 0; i < 600; ++i) {
    const std::string pod = "pod-" + std::to_string(i);
    reading.nodes->push_back(Node("node-" + std::to_string(i), 1000, 1000));
    reading.node_usage->push_back({.node = "node-" + std::to_string(i), .cpu_cores = 0.5, .memory_bytes = 500});
    reading.containers.push_back(Running(pod, "deployment/shop/" + pod));
    reading.container_usage->push_back(
        {.name_space = "shop", .pod = pod, .container = "web", .cpu_cores = 1, .memory_bytes = 1});
  }
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.nodes_size(), 500);
  EXPECT_EQ(sample.deployments_size(), 500);
  EXPECT_EQ(sample.cpu_cores(), 606) << "the sum is of all";
  EXPECT_THAT(sample.missing(), ElementsAre("some deployments", "some nodes"));
}

TEST(MakeClusterReport, ANodeWithoutUsageMakesItPartial) {
  ClusterReading reading = Whole();
  reading.node_usage->pop_back();
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.memory_total_bytes(), 4000);
  EXPECT_DOUBLE_EQ(sample.cpu_usage_ratio(), 0.25) << "of the cores whose use is known";
  EXPECT_FALSE(sample.nodes(1).has_cpu_cores_used());
  EXPECT_FALSE(sample.nodes(1).has_memory_used_bytes());
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

TEST(MakeClusterReport, NodesThatWereNotListedYetAreMissingNotNone) {
  ClusterReading reading = Whole();
  reading.nodes.reset();
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.cpu_cores(), 0);
  EXPECT_THAT(sample.missing(), ElementsAre("nodes"));
}

TEST(MakeClusterReport, OneNamespaceHasNoNodesAndNothingOfThemIsMissing) {
  ClusterReading reading = Whole();
  reading.has_nodes = false;
  reading.nodes.reset();
  const v1::HostSample sample = MakeClusterReport(reading).sample();
  EXPECT_EQ(sample.cpu_cores(), 0);
  EXPECT_EQ(sample.memory_total_bytes(), 0);
  EXPECT_EQ(sample.deployments_size(), 1);
  EXPECT_THAT(sample.missing(), IsEmpty());
}

}  // namespace
}  // namespace muster::agent
