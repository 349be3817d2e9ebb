#include "hub/metrics/target_page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "common/files.h"
#include "common/testing/temp_dir.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Fleet::NamedHost SampleHost() {
  Fleet::NamedHost host;
  host.host.taken = absl::FromUnixSeconds(1'800'000'000);
  host.machine.set_hostname("edge-1");
  host.machine.set_kernel("6.1.0");
  host.machine.set_architecture("x86_64");
  agent::v1::HostSample& sample = *host.host.report.mutable_sample();
  sample.set_load1(0.5);
  sample.set_load5(0.25);
  sample.set_load15(0.125);
  auto* root = sample.add_disks();
  root->set_device("/dev/sda1");
  root->set_mount_path("/");
  root->set_filesystem_type("ext4");
  root->set_total_bytes(1000);
  root->set_used_bytes(600);
  root->set_available_bytes(350);
  auto* stuck = sample.add_disks();
  stuck->set_device("nas:/x");
  stuck->set_mount_path("/mnt");
  stuck->set_filesystem_type("nfs4");
  stuck->set_is_stuck(true);
  agent::v1::HostTotals& totals = *host.host.report.mutable_totals();
  auto* cpu = totals.add_cpus();
  for (const int ticks : {100, 0, 50, 900, 7, 0, 1, 0}) cpu->add_ticks(ticks);
  auto* active = totals.add_memory();
  active->set_name("Active(anon)");
  active->set_bytes(4096);
  auto* total = totals.add_memory();
  total->set_name("MemTotal");
  total->set_bytes(8'000'000'000);
  auto* eth = totals.add_network_devices();
  eth->set_device("eth0");
  eth->set_receive_bytes(11);
  eth->set_transmit_dropped(3);
  auto* disk = totals.add_block_devices();
  disk->set_device("sda");
  disk->set_written_bytes(512);
  disk->set_io_weighted_seconds(1.5);
  totals.set_context_switches(5);
  totals.set_interrupts(6);
  totals.set_forks(7);
  totals.mutable_boot_time()->set_seconds(1'700'000'000);
  return host;
}

std::string PageOf(const Fleet::NamedHost& host, PageFormat format = PageFormat::kText) {
  std::string page;
  PageWriter writer(format, [&](std::string_view block) { page += block; });
  WriteTargetPage(host, writer);
  return page;
}

TEST(WriteTargetPage, HasNodeExportersNames) {
  const std::string page = PageOf(SampleHost());
  for (const char* line : {
           "# TYPE node_cpu_seconds_total counter\n",
           "\nnode_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n",
           "\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 9\n",
           "\nnode_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 0.07\n",
           "\nnode_memory_MemTotal_bytes 8000000000\n",
           "\nnode_memory_Active_anon_bytes 4096\n",
           "\nnode_load1 0.5\n",
           "\nnode_filesystem_size_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 1000\n",
           "\nnode_filesystem_free_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 400\n",
           "\nnode_filesystem_avail_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 350\n",
           "\nnode_filesystem_device_error{device=\"nas:/x\",fstype=\"nfs4\",mountpoint=\"/mnt\"} 1\n",
           "\nnode_network_receive_bytes_total{device=\"eth0\"} 11\n",
           "\nnode_network_transmit_drop_total{device=\"eth0\"} 3\n",
           "\nnode_disk_written_bytes_total{device=\"sda\"} 512\n",
           "\nnode_disk_io_time_weighted_seconds_total{device=\"sda\"} 1.5\n",
           "\nnode_boot_time_seconds 1700000000\n",
           "\nnode_time_seconds 1800000000\n",
           "\nnode_context_switches_total 5\n",
           "\nnode_intr_total 6\n",
           "\nnode_forks_total 7\n",
           "\nnode_procs_running 0\n",
           "\nnode_uname_info{machine=\"x86_64\",nodename=\"edge-1\",release=\"6.1.0\",sysname=\"Linux\"} 1\n",
       }) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  EXPECT_THAT(page, Not(HasSubstr("node_filesystem_size_bytes{device=\"nas")));
}

TEST(WriteTargetPage, WhatTheHostDoesNotTellIsAbsent) {
  Fleet::NamedHost host = SampleHost();
  host.host.report.mutable_sample()->clear_load1();
  host.host.report.clear_totals();
  host.machine.Clear();
  const std::string page = PageOf(host);
  for (const char* family : {"node_load1 ", "node_boot_time", "node_intr", "node_uname", "node_memory"}) {
    EXPECT_THAT(page, Not(HasSubstr(family)));
  }
}

TEST(WriteTargetPage, HostileNamesMakeNoSeriesTwice) {
  Fleet::NamedHost host = SampleHost();
  for (int i = 0; i < 3; ++i) {
    host.host.report.mutable_totals()->add_network_devices()->set_device(std::string(200, 'x') + std::to_string(i));
    host.host.report.mutable_sample()->add_disks()->set_device(std::string(200, 'y') + std::to_string(i));
  }
  const std::string page = PageOf(host);
  std::size_t found = 0;
  for (std::size_t at = 0; (at = page.find("node_network_receive_bytes_total{device=\"xx", at)) != std::string::npos;
       ++at) {
    ++found;
  }
  EXPECT_EQ(found, 1u);
}

TEST(WriteTargetPage, PassesPromtoolButForNodeExportersSpelling) {
  if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "skipped: promtool is not installed";
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/page", PageOf(SampleHost()), 0644).ok());
  const int outcome =
      std::system(fmt::format("promtool check metrics <{0}/page >{0}/findings 2>&1", dir.path()).c_str());
  EXPECT_TRUE(WIFEXITED(outcome));
  // As node_exporter's own page.
  EXPECT_EQ(*ReadFile(dir.path() + "/findings"),
            "node_memory_MemTotal_bytes metric names should be written in 'snake_case' not 'camelCase'\n");
}

}  // namespace
}  // namespace muster::hub
