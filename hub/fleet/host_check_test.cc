#include "hub/fleet/host_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "common/text.h"
#include "common/time_format.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST(CleanHost, LeavesAGoodReportAsItIs) {
  agent::v1::HostReport raw;
  raw.mutable_age()->set_seconds(3);
  raw.mutable_sample()->set_cpu_usage_ratio(0.25);
  raw.mutable_sample()->set_memory_total_bytes(1000);
  auto* disk = raw.mutable_sample()->add_disks();
  disk->set_device("/dev/sda1");
  disk->set_mount_path("/");
  disk->set_total_bytes(7);
  raw.mutable_totals()->add_cpus()->add_ticks(5);
  raw.mutable_totals()->add_memory()->set_name("Active(anon)");
  raw.add_containers()->set_container("web");
  EXPECT_EQ(CleanHost(raw).SerializeAsString(), raw.SerializeAsString());
}

TEST(CleanHost, NumbersAreFiniteAndNotNegative) {
  for (const double bad : {kNan, kInfinite, -kInfinite, -1.0}) {
    agent::v1::HostReport raw;
    agent::v1::HostSample* sample = raw.mutable_sample();
    sample->set_cpu_cores(bad);
    sample->set_cpu_usage_ratio(bad);
    sample->set_load1(bad);
    sample->set_load5(bad);
    sample->set_load15(bad);
    sample->set_network_receive_bytes_per_second(bad);
    sample->set_disk_written_bytes_per_second(bad);
    sample->set_memory_total_bytes(-1);
    sample->add_disks()->set_used_bytes(-5);
    sample->add_deployments()->set_cpu_cores(bad);
    raw.mutable_totals()->add_cpus()->add_ticks(-7);
    raw.mutable_totals()->add_block_devices()->set_io_seconds(bad);
    raw.mutable_totals()->set_processes_running(-1);
    raw.add_containers()->set_cpu_seconds(bad);
    const agent::v1::HostReport report = CleanHost(raw);
    EXPECT_EQ(report.sample().cpu_cores(), 0);
    EXPECT_FALSE(report.sample().has_cpu_usage_ratio());
    EXPECT_FALSE(report.sample().has_load1());
    EXPECT_FALSE(report.sample().has_load5());
    EXPECT_FALSE(report.sample().has_load15());
    EXPECT_FALSE(report.sample().has_network_receive_bytes_per_second());
    EXPECT_FALSE(report.sample().has_disk_written_bytes_per_second());
    EXPECT_EQ(report.sample().memory_total_bytes(), 0);
    EXPECT_EQ(report.sample().disks(0).used_bytes(), 0);
    EXPECT_FALSE(report.sample().deployments(0).has_cpu_cores());
    EXPECT_EQ(report.totals().cpus(0).ticks(0), 0);
    EXPECT_EQ(report.totals().block_devices(0).io_seconds(), 0);
    EXPECT_EQ(report.totals().processes_running(), 0);
    EXPECT_EQ(report.containers(0).cpu_seconds(), 0);
  }
}

TEST(CleanHost, ListsEndAtTheirLimits) {
  agent::v1::HostReport raw;
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "n" + std::to_string(i);
    raw.mutable_sample()->add_disks()->set_device(name);
    raw.mutable_sample()->add_missing(name);
    raw.mutable_sample()->add_deployments()->set_deployment_key(name);
    raw.mutable_sample()->add_containers()->set_state(name);
    raw.mutable_sample()->add_nodes()->set_node(name);
    raw.mutable_totals()->add_cpus()->set_cpu(i);
    raw.mutable_totals()->add_memory()->set_name(name);
    raw.mutable_totals()->add_network_devices()->set_device(name);
    raw.mutable_totals()->add_block_devices()->set_device(name);
    raw.add_containers()->set_container(name);
  }
  for (int i = 0; i < 100; ++i) raw.mutable_totals()->mutable_cpus(0)->add_ticks(i);
  const agent::v1::HostReport report = CleanHost(raw);
  EXPECT_EQ(report.sample().disks_size(), kMaxHostDisks);
  EXPECT_EQ(report.sample().disks(kMaxHostDisks - 1).device(), "n63");
  EXPECT_EQ(report.sample().missing_size(), kMaxHostMissing);
  EXPECT_EQ(report.sample().deployments_size(), kMaxHostContainers);
  EXPECT_EQ(report.sample().containers_size(), 0) << "counts of 0";
  EXPECT_EQ(report.sample().nodes_size(), kMaxHostNodes);
  EXPECT_EQ(report.totals().cpus_size(), kMaxHostCpus);
  EXPECT_EQ(report.totals().cpus(0).ticks_size(), kMaxCpuModes);
  EXPECT_EQ(report.totals().memory_size(), kMaxHostMemoryValues);
  EXPECT_EQ(report.totals().network_devices_size(), kMaxHostDevices);
  EXPECT_EQ(report.totals().block_devices_size(), kMaxHostDevices);
  EXPECT_EQ(report.containers_size(), kMaxHostContainers);
}

TEST(CleanHost, WhatIsNamedTwiceIsThereOnce) {
  agent::v1::HostReport raw;
  for (int i = 0; i < 2; ++i) {
    raw.mutable_sample()->add_disks()->set_total_bytes(i + 1);
    raw.mutable_totals()->add_cpus()->set_cpu(3);
    raw.mutable_totals()->add_memory()->set_name("MemFree");
    raw.mutable_totals()->add_network_devices()->set_device("eth0");
    raw.mutable_totals()->add_block_devices()->set_device("sda");
    raw.add_containers()->set_container("web");
  }
  raw.mutable_totals()->add_cpus()->set_cpu(-1);
  raw.mutable_totals()->add_memory()->set_name("Mem{free=\"1\"}");
  const agent::v1::HostReport report = CleanHost(raw);
  ASSERT_EQ(report.sample().disks_size(), 1);
  EXPECT_EQ(report.sample().disks(0).total_bytes(), 1);
  EXPECT_EQ(report.totals().cpus_size(), 1);
  EXPECT_EQ(report.totals().memory_size(), 1);
  EXPECT_EQ(report.totals().network_devices_size(), 1);
  EXPECT_EQ(report.totals().block_devices_size(), 1);
  EXPECT_EQ(report.containers_size(), 1);
}

TEST(CleanHost, TextsAndTimesAreWithinBounds) {
  agent::v1::HostReport raw;
  raw.mutable_age()->set_seconds(-100);
  raw.mutable_sample()->add_disks()->set_mount_path(std::string(100'000, 'x'));
  raw.mutable_sample()->add_missing("\xff");
  raw.mutable_totals()->mutable_boot_time()->set_seconds(std::numeric_limits<std::int64_t>::max());
  raw.add_containers()->set_deployment_key(std::string(kMaxKeyBytes + 1, 'k'));
  for (int i = 0; i < 3; ++i) {
    raw.mutable_sample()->add_containers()->set_state("made up");
    raw.mutable_sample()->mutable_containers(i)->set_count(std::numeric_limits<std::int32_t>::max());
  }
  const agent::v1::HostReport report = CleanHost(raw);
  EXPECT_EQ(report.age().seconds(), 0);
  EXPECT_LE(report.sample().disks(0).mount_path().size(), kMaxNameBytes);
  EXPECT_TRUE(IsValidUtf8(report.sample().missing(0)));
  EXPECT_LT(FromProto(report.totals().boot_time()), absl::InfiniteFuture());
  EXPECT_EQ(report.containers_size(), 0);
  ASSERT_EQ(report.sample().containers_size(), 1);
  EXPECT_EQ(report.sample().containers(0).state(), "other");
  EXPECT_EQ(report.sample().containers(0).count(), std::numeric_limits<std::int32_t>::max());
}

}  // namespace
}  // namespace muster::hub
