#include "hub/samples/metric_series.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

namespace muster::hub {
namespace {

using agent::v1::HostSample;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "name{instance} stored"
std::vector<std::string> Told(const HostSample& sample) {
  std::vector<std::string> told;
  for (const SeriesValue& value : ValuesOf(sample)) {
    const MetricSeriesInfo& info = *FindMetricSeries(static_cast<std::uint32_t>(value.key.series));
    told.push_back(value.key.instance.empty() ? fmt::format("{} {}", info.name, value.value)
                                              : fmt::format("{}{{{}}} {}", info.name, value.key.instance, value.value));
  }
  return told;
}

TEST(MetricSeries, NamesAndNumbersFindTheSameOnce) {
  std::set<std::string> names;
  for (const MetricSeriesInfo& info : AllMetricSeries()) {
    EXPECT_EQ(FindMetricSeries(info.name), &info);
    EXPECT_EQ(FindMetricSeries(static_cast<std::uint32_t>(info.series)), &info);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
  }
  EXPECT_EQ(FindMetricSeries("cpu"), nullptr);
  EXPECT_EQ(FindMetricSeries(0U), nullptr);
  EXPECT_EQ(FindMetricSeries(static_cast<std::uint32_t>(AllMetricSeries().size() + 1)), nullptr);
}

TEST(MetricSeries, WhatASampleDoesNotKnowHasNoValue) {
  const struct {
    const char* name;
    std::function<void(HostSample&)> change;
    ::testing::Matcher<std::vector<std::string>> told;
  } cases[] = {
      {"nothing", [](HostSample&) {}, IsEmpty()},
      {"an idle host", [](HostSample& s) { s.set_cpu_usage_ratio(0); }, ElementsAre("cpu_usage 0")},
      {"rounded to millionths", [](HostSample& s) { s.set_cpu_usage_ratio(0.12345678); },
       ElementsAre("cpu_usage 123457")},
      {"no swap",
       [](HostSample& s) {
         s.set_memory_total_bytes(100);
         s.set_memory_used_bytes(40);
         s.set_swap_total_bytes(0);
         s.set_swap_used_bytes(0);
       },
       ElementsAre("memory_total 100", "memory_used 40", "swap_total 0", "swap_used 0")},
      {"a cluster, of whose swap nobody knows",
       [](HostSample& s) {
         s.set_memory_total_bytes(100);
         s.set_memory_used_bytes(40);
       },
       ElementsAre("memory_total 100", "memory_used 40")},
      {"a node whose use is known, and one whose is not",
       [](HostSample& s) {
         for (const char* name : {"a", "b"}) {
           s.add_nodes()->set_node(name);
           s.mutable_nodes()->rbegin()->set_cpu_cores(4);
         }
         s.mutable_nodes(0)->set_cpu_cores_used(0.5);
         s.mutable_nodes(0)->set_memory_used_bytes(7);
       },
       ElementsAre("node_cpu{a} 500000", "node_memory{a} 7")},
      {"rates in whole bytes", [](HostSample& s) { s.set_disk_read_bytes_per_second(1.5); },
       ElementsAre("disk_read 2")},
      {"a stuck mount",
       [](HostSample& s) {
         s.add_disks()->set_device("nfs:/x");
         s.mutable_disks(0)->set_is_stuck(true);
       },
       IsEmpty()},
      {"a device that is told twice",
       [](HostSample& s) {
         for (const int total : {10, 20}) {
           HostSample::Disk* disk = s.add_disks();
           disk->set_device("sda");
           disk->set_total_bytes(total);
         }
       },
       ElementsAre("filesystem_total{sda} 10", "filesystem_used{sda} 0", "filesystem_available{sda} 0")},
      {"containers",
       [](HostSample& s) {
         for (const char* state : {"exited", "running", "paused"}) {
           HostSample::ContainerCount* count = s.add_containers();
           count->set_state(state);
           count->set_count(3);
         }
       },
       ElementsAre("containers_running 3", "containers_other 6")},
      {"a deployment that just began",
       [](HostSample& s) {
         s.add_deployments()->set_deployment_key("compose/a");
         s.mutable_deployments(0)->set_memory_bytes(7);
       },
       ElementsAre("deployment_memory{compose/a} 7")},
  };
  for (const auto& c : cases) {
    HostSample sample;
    c.change(sample);
    EXPECT_THAT(Told(sample), c.told) << c.name;
  }
}

TEST(MetricSeries, AllOfASampleComesBack) {
  HostSample sample;
  sample.set_cpu_cores(8);
  sample.set_cpu_usage_ratio(0.5);
  sample.set_memory_total_bytes(1000);
  sample.set_memory_used_bytes(500);
  sample.set_swap_total_bytes(20);
  sample.set_swap_used_bytes(10);
  sample.set_load1(1.25);
  sample.set_load5(0);
  sample.set_load15(3.5);
  sample.set_network_receive_bytes_per_second(11);
  sample.set_network_transmit_bytes_per_second(12);
  sample.set_disk_read_bytes_per_second(13);
  sample.set_disk_written_bytes_per_second(14);
  for (const char* device : {"sda", "sdb"}) {
    HostSample::Disk* disk = sample.add_disks();
    disk->set_device(device);
    disk->set_total_bytes(100);
    disk->set_used_bytes(60);
    disk->set_available_bytes(30);
  }
  for (const char* state : {"running", "other"}) {
    HostSample::ContainerCount* count = sample.add_containers();
    count->set_state(state);
    count->set_count(2);
  }
  for (const char* key : {"compose/a", "container/b"}) {
    HostSample::DeploymentUse* use = sample.add_deployments();
    use->set_deployment_key(key);
    use->set_cpu_cores(0.75);
    use->set_memory_bytes(99);
  }
  sample.add_nodes()->set_node("node-a");
  sample.mutable_nodes(0)->set_cpu_cores_used(1.5);
  sample.mutable_nodes(0)->set_memory_used_bytes(77);
  EXPECT_EQ(SampleOf(ValuesOf(sample)).DebugString(), sample.DebugString());
}

}  // namespace
}  // namespace muster::hub
