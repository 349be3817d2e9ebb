#include "agent/metrics/host_sample.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/metrics/mount_choice.h"
#include "agent/metrics/testing/fake_host.h"
#include "agent/present.h"
#include "agent/records.h"
#include "agent/reports.h"
#include "common/testing/fake_clock.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HostSampleTest : public testing::Test {
 protected:
  HostReading Read(const std::string& root = "") {
    FilesystemProbe probe([this, root](const std::string& path) -> absl::StatusOr<FilesystemSize> {
      if (!path.starts_with(root)) return absl::InternalError("outside of the root");
      const auto it = statuses_.find(path.substr(root.size()));
      if (it != statuses_.end()) return it->second;
      return FilesystemSize{
          .total_bytes = 900, .used_bytes = 600, .available_bytes = 200, .files = 50, .files_free = 30};
    });
    return ReadHost(host_, &probe, root, clock_.Read());
  }
  // Of two readings, 10 s apart, `change` in between.
  template <typename Change>
  v1::HostSample After(Change change) {
    const HostReading before = Read();
    clock_.Advance(absl::Seconds(10));
    change();
    return MakeHostReport(&before, Read()).sample();
  }
  void Replace(const std::string& path, std::string_view from, std::string_view to) {
    std::string& text = host_.files.at(path);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }

  FakeClock clock_;
  FakeHostFiles host_ = WholeHost();
  std::map<std::string, absl::Status> statuses_;
};

TEST_F(HostSampleTest, FirstTellsWhatIsNow) {
  const v1::HostReport report = MakeHostReport(nullptr, Read());
  const v1::HostSample& sample = report.sample();
  EXPECT_EQ(sample.cpu_cores(), 2);
  EXPECT_FALSE(sample.has_cpu_usage_ratio());
  EXPECT_FALSE(sample.has_network_receive_bytes_per_second());
  EXPECT_FALSE(sample.has_disk_read_bytes_per_second());
  EXPECT_EQ(sample.memory_total_bytes(), 1000 * 1024);
  EXPECT_EQ(sample.memory_used_bytes(), 600 * 1024);
  EXPECT_EQ(sample.swap_total_bytes(), 50 * 1024);
  EXPECT_EQ(sample.swap_used_bytes(), 10 * 1024);
  EXPECT_EQ(sample.load1(), 0.5);
  EXPECT_EQ(sample.load15(), 2.5);
  EXPECT_EQ(FromProto(sample.uptime()), absl::Milliseconds(3600500));
  ASSERT_EQ(sample.disks_size(), 2);
  EXPECT_EQ(sample.disks(0).device(), "/dev/sda1");
  EXPECT_EQ(sample.disks(0).mount_path(), "/");
  EXPECT_EQ(sample.disks(1).filesystem_type(), "xfs");
  EXPECT_EQ(sample.disks(1).total_bytes(), 900);
  EXPECT_EQ(sample.disks(1).used_bytes(), 600);
  EXPECT_EQ(sample.disks(1).available_bytes(), 200);
  EXPECT_EQ(sample.disks(1).files(), 50);
  EXPECT_EQ(sample.disks(1).files_free(), 30);
  EXPECT_THAT(sample.missing(), IsEmpty());
}

TEST_F(HostSampleTest, TotalsAreTheKernels) {
  const v1::HostReport report = MakeHostReport(nullptr, Read());
  const v1::HostTotals& totals = report.totals();
  ASSERT_EQ(totals.cpus_size(), 2);
  EXPECT_EQ(totals.cpus(1).cpu(), 1);
  EXPECT_THAT(totals.cpus(1).ticks(), ElementsAre(50, 0, 50, 350, 50, 0, 0, 0));
  EXPECT_EQ(totals.memory(0).name(), "MemTotal");
  EXPECT_EQ(totals.memory(0).bytes(), 1000 * 1024);
  ASSERT_EQ(totals.network_devices_size(), 3);
  EXPECT_EQ(totals.network_devices(0).transmit_dropped(), 6);
  ASSERT_EQ(totals.block_devices_size(), 2) << "no partitions, no loops";
  EXPECT_EQ(totals.block_devices(0).device(), "sda");
  EXPECT_EQ(totals.block_devices(0).read_bytes(), 5120);
  EXPECT_EQ(totals.block_devices(0).io_weighted_seconds(), 5);
  EXPECT_EQ(totals.context_switches(), 8);
  EXPECT_EQ(totals.processes_running(), 2);
  EXPECT_EQ(FromProto(totals.boot_time()), absl::FromUnixSeconds(1795907848));
}

TEST_F(HostSampleTest, UsageIsWhatWasNotIdleWaitingOrStolen) {
  struct Case {
    const char* now;
    std::optional<double> usage;
  };
  // Before: 100 0 100 700 100 0 0 0.
  const Case cases[] = {
      {"cpu  130 0 110 740 110 5 5 0 90 0\n", 0.5},
      {"cpu  100 0 100 750 125 0 0 25\n", 0},
      {"cpu  200 0 100 700 100 0 0 0\n", 1},
      // A counter that goes back counts as 0: iowait does so, and an unplugged processor.
      {"cpu  150 0 100 750 20 0 0 0\n", 0.5},
      {"cpu  90 0 90 600 90 0 0 0\n", std::nullopt},
      {"cpu  100 0 100 700 100 0 0 0\n", std::nullopt},
      {"cpu  150 0 100 750\n", 0.5},
      {"no cpu\n", std::nullopt},
  };
  for (const Case& one : cases) {
    host_ = WholeHost();
    const v1::HostSample sample = After([&] { host_.files["/proc/stat"] = one.now; });
    EXPECT_EQ(sample.has_cpu_usage_ratio(), one.usage.has_value()) << one.now;
    EXPECT_NEAR(sample.cpu_usage_ratio(), one.usage.value_or(0), 1e-9) << one.now;
  }
}

TEST_F(HostSampleTest, RatesAreOverRealDevicesOnly) {
  const v1::HostSample sample = After([&] {
    host_.files["/proc/1/net/dev"] =
        "eth0: 3000 1 2 3 0 0 0 0 2500 4 5 6 0 0 0 0\nlo: 99999 7 0 0 0 0 0 0 99999 7 0 0 0 0 0 0\n"
        "veth1: 99999 9 0 0 0 0 0 0 99999 9 0 0 0 0 0 0\nnew0: 99999 9 0 0 0 0 0 0 99999 9 0 0 0 0 0 0\n";
    host_.files["/proc/diskstats"] =
        "8 0 sda 1 0 110 0 2 0 40 0 3 0 0\n8 1 sda1 1 0 99999 0 2 0 99999 0 3 0 0\n253 0 dm-0 1 0 99999 0 2 0 99999 0 "
        "3 0 0\n";
  });
  EXPECT_EQ(sample.network_receive_bytes_per_second(), 200);
  EXPECT_EQ(sample.network_transmit_bytes_per_second(), 50);
  EXPECT_EQ(sample.disk_read_bytes_per_second(), 5120);
  EXPECT_EQ(sample.disk_written_bytes_per_second(), 1024);
}

TEST_F(HostSampleTest, CountersThatGoBackAndDevicesThatVanishCountNothing) {
  v1::HostSample sample = After([&] {
    host_.files["/proc/1/net/dev"] = "eth0: 10 1 2 3 0 0 0 0 2500 4 5 6 0 0 0 0\n";
    host_.files["/proc/diskstats"] = "8 16 sdb 1 0 110 0 2 0 40 0 3 0 0\n";
  });
  EXPECT_EQ(sample.network_receive_bytes_per_second(), 0);
  EXPECT_EQ(sample.network_transmit_bytes_per_second(), 50);
  EXPECT_TRUE(sample.has_disk_read_bytes_per_second());
  EXPECT_EQ(sample.disk_read_bytes_per_second(), 0);
  host_ = WholeHost();
  sample = After([&] { host_.files.erase("/proc/1/net/dev"); });
  EXPECT_FALSE(sample.has_network_receive_bytes_per_second());
}

TEST_F(HostSampleTest, SlavesOfABondAreCountedByTheBond) {
  host_.folders["/sys/class/net/eth0/bonding_slave"] = {"state"};
  host_.files["/proc/1/net/dev"] =
      "eth0: 1000 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nbond0: 1000 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
  const v1::HostSample sample = After([&] {
    host_.files["/proc/1/net/dev"] =
        "eth0: 2000 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nbond0: 2000 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
  });
  EXPECT_EQ(sample.network_receive_bytes_per_second(), 100);
}

TEST_F(HostSampleTest, WhatProcLacksIsAbsentAndNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"/proc/stat", "cpu"},
      {"/proc/meminfo", "memory"},
      {"/proc/loadavg", "load"},
      {"/proc/uptime", "uptime"},
      {"/proc/1/net/dev", "network"},
      {"/proc/diskstats", "disk I/O"},
      {"/proc/1/mountinfo", "filesystems"},
  };
  for (const auto& [path, name] : cases) {
    host_ = WholeHost();
    host_.files.erase(path);
    const v1::HostSample sample = MakeHostReport(nullptr, Read()).sample();
    EXPECT_THAT(sample.missing(), Contains(name)) << path;
    EXPECT_LE(sample.missing_size(), 2) << "the rest is told";
  }
  host_ = FakeHostFiles();
  const v1::HostReport nothing = MakeHostReport(nullptr, Read());
  EXPECT_EQ(nothing.sample().missing_size(), 8) << "swap is missing with memory";
  EXPECT_FALSE(nothing.sample().has_load1());
  EXPECT_FALSE(nothing.sample().has_uptime());
  EXPECT_FALSE(nothing.totals().has_boot_time());
}

TEST_F(HostSampleTest, WithoutMemAvailableItIsMadeUpFromTheRest) {
  Replace("/proc/meminfo", "MemAvailable: 400 kB\n", "");
  EXPECT_EQ(MakeHostReport(nullptr, Read()).sample().memory_used_bytes(), (1000 - (100 + 10 + 200 + 30 - 20)) * 1024);
  Replace("/proc/meminfo", "Shmem: 20 kB\n", "Shmem: 900 kB\n");
  EXPECT_EQ(MakeHostReport(nullptr, Read()).sample().memory_used_bytes(), 1000 * 1024);
  Replace("/proc/meminfo", "MemFree: 100 kB\n", "");
  EXPECT_THAT(MakeHostReport(nullptr, Read()).sample().missing(), Contains("memory"));
}

TEST_F(HostSampleTest, StuckVanishedAndUnreadableFilesystems) {
  statuses_["/srv"] = absl::DeadlineExceededError("stuck");
  v1::HostSample sample = MakeHostReport(nullptr, Read()).sample();
  ASSERT_EQ(sample.disks_size(), 2);
  EXPECT_TRUE(sample.disks(1).is_stuck());
  EXPECT_EQ(sample.disks(1).total_bytes(), 0);
  EXPECT_THAT(sample.missing(), ElementsAre("filesystem /srv"));
  statuses_["/srv"] = absl::NotFoundError("unmounted");
  sample = MakeHostReport(nullptr, Read()).sample();
  EXPECT_EQ(sample.disks_size(), 1);
  EXPECT_THAT(sample.missing(), IsEmpty());
  statuses_["/srv"] = absl::PermissionDeniedError("no");
  sample = MakeHostReport(nullptr, Read()).sample();
  EXPECT_EQ(sample.disks_size(), 1);
  EXPECT_THAT(sample.missing(), ElementsAre("filesystem /srv"));
}

TEST_F(HostSampleTest, BelowAHostRootPathsAreTheHosts) {
  v1::HostSample sample = MakeHostReport(nullptr, Read("/host")).sample();
  ASSERT_EQ(sample.disks_size(), 2);
  EXPECT_EQ(sample.disks(1).mount_path(), "/srv");
  host_.files.erase("/proc/1/mountinfo");
  host_.files["/proc/self/mountinfo"] =
      "1 1 0:9 / / rw - overlay overlay rw\n2 1 8:1 / /host rw - ext4 /dev/sda1 rw\n3 2 8:2 / /host/srv rw - xfs "
      "/dev/sda2 rw\n"
      "4 1 8:1 /x /etc/hosts rw - ext4 /dev/sda1 rw\n";
  sample = MakeHostReport(nullptr, Read("/host")).sample();
  ASSERT_EQ(sample.disks_size(), 2);
  EXPECT_EQ(sample.disks(0).mount_path(), "/");
  EXPECT_EQ(sample.disks(1).mount_path(), "/srv");
}

// Names that nobody would choose, from whoever may mount on the host: text that can be sent, within every bound.
TEST_F(HostSampleTest, HostileNamesStayTextWithinTheirBounds) {
  std::string mounts;
  std::string devices;
  for (int i = 0; i < 5000; ++i) {
    const std::string name = fmt::format("{}\xff\x1b{}", std::string(i < 100 ? 10'000 : 200, 'x'), i);
    mounts += fmt::format("1 1 7:{} / /{} rw - ext4 {} rw\n", i, name, name);
    devices += fmt::format("{}: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", name);
  }
  host_.files["/proc/1/mountinfo"] = mounts;
  host_.files["/proc/1/net/dev"] = devices;
  v1::HostReport report = MakeHostReport(nullptr, Read());
  for (int i = 0; i < 5000; ++i) {
    v1::HostSample::DeploymentUse* use = report.mutable_sample()->add_deployments();
    use->set_deployment_key(fmt::format("{:0>255}", i));
    report.add_containers()->set_container(fmt::format("{:0>255}", i));
  }
  KeepWithinLimits(&report);
  EXPECT_EQ(report.sample().disks_size(), static_cast<int>(kMaxFilesystems));
  EXPECT_GT(report.sample().deployments_size(), 10);
  EXPECT_GT(report.containers_size(), 10);
  EXPECT_LE(report.ByteSizeLong(), kMaxHostReportBytes);
  v1::Record record;
  *record.mutable_host_sample() = report.sample();
  EXPECT_LE(record.ByteSizeLong(), kMaxRecordBytes);
  EXPECT_THAT(report.sample().missing(), Contains("some deployments"));
  EXPECT_THAT(report.sample().missing(), Contains("some containers"));
  for (const v1::HostSample::Disk& disk : report.sample().disks()) {
    EXPECT_TRUE(IsValidUtf8(disk.device()) && IsValidUtf8(disk.mount_path()));
    EXPECT_LE(std::max(disk.device().size(), disk.mount_path().size()), kMaxNameBytes);
  }
  EXPECT_EQ(report.totals().network_devices_size(), kMaxDevices);
  for (const auto& device : report.totals().network_devices()) EXPECT_TRUE(IsValidUtf8(device.device()));
}

TEST_F(HostSampleTest, CensusIsToldByState) {
  v1::HostSample sample;
  FillCensus({.states = {{"exited", 2}, {"running", 3}}, .restarts = 7}, &sample);
  ASSERT_EQ(sample.containers_size(), 2);
  EXPECT_EQ(sample.containers(1).state(), "running");
  EXPECT_EQ(sample.containers(1).count(), 3);
  EXPECT_EQ(sample.container_restarts(), 7);
}

TEST_F(HostSampleTest, TooManyCpusAndDevicesAreCut) {
  std::string stat = "cpu 1 2 3 4\n";
  std::string disks;
  for (int i = 0; i < 1000; ++i) {
    stat += fmt::format("cpu{} 1 2 3 4\n", i);
    disks += fmt::format("8 0 sd{} 1 0 10 1000 2 0 20 2000 3 4000 5000\n", i);
    host_.folders["/sys/block"].push_back(fmt::format("sd{}", i));
  }
  host_.files["/proc/stat"] = stat;
  host_.files["/proc/diskstats"] = disks;
  const v1::HostReport report = MakeHostReport(nullptr, Read());
  EXPECT_EQ(report.sample().cpu_cores(), 1000);
  EXPECT_EQ(report.totals().cpus_size(), kMaxCpus);
  EXPECT_EQ(report.totals().block_devices_size(), kMaxDevices);
}

}  // namespace
}  // namespace muster::agent
