#include "agent/metrics/proc_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(ParseStat, ReadsProcessorsAndCounters) {
  const ProcStat stat = ParseStat(
      "cpu  10 20 30 40 50 60 70 80 90 100\n"
      "cpu0 1 2 3 4 5 6 7 8 9 10\n"
      "cpu3 5 5 5 5 5 5 5 5 0 0\n"
      "intr 600136 0 0 0\n"
      "ctxt 658964\nbtime 1795907848\nprocesses 13784\nprocs_running 5\nprocs_blocked 1\nsoftirq 1 2 3\n");
  ASSERT_TRUE(stat.all.has_value());
  EXPECT_THAT(stat.all->columns, ElementsAre(10, 20, 30, 40, 50, 60, 70, 80)) << "guests are in user and nice";
  EXPECT_EQ(stat.all->count, 8U);
  ASSERT_EQ(stat.cpus.size(), 2U) << "cpu1 and cpu2 are unplugged";
  EXPECT_EQ(stat.cpus.at(3).columns[kSteal], 5);
  EXPECT_EQ(stat.interrupts, 600136);
  EXPECT_EQ(stat.context_switches, 658964);
  EXPECT_EQ(stat.forks, 13784);
  EXPECT_EQ(stat.processes_running, 5);
  EXPECT_EQ(stat.processes_blocked, 1);
  EXPECT_EQ(stat.boot_time, absl::FromUnixSeconds(1795907848));
}

TEST(ParseStat, TakesWhatIsThere) {
  struct Case {
    const char* text;
    bool has_all;
    std::size_t cpus;
    std::size_t columns;
  };
  const Case cases[] = {
      {"", false, 0, 0},
      {"cpu", false, 0, 0},
      {"cpu 1 2 3\n", false, 0, 0},
      {"cpu 1 2 3 4", true, 0, 4},
      {"cpu 1 2 3 4 x 6\n", true, 0, 4},
      {"cpu -1 2 3 4 5\n", false, 0, 0},
      {"cpu0 1 2 3 4\ncpux 1 2 3 4\ncpu-1 1 2 3 4\ncpu99999999999999999999 1 2 3 4\ncpu70000 1 2 3 4\n", false, 1, 0},
      {"btime 0\n\n\xff\xfe\n", false, 0, 0},
  };
  for (const Case& one : cases) {
    const ProcStat stat = ParseStat(one.text);
    EXPECT_EQ(stat.all.has_value(), one.has_all) << one.text;
    EXPECT_EQ(stat.cpus.size(), one.cpus) << one.text;
    EXPECT_EQ(stat.all.value_or(CpuTicks()).count, one.columns) << one.text;
    EXPECT_FALSE(stat.boot_time.has_value()) << one.text;
  }
}

TEST(ParseStat, HugeNumbersAreBroughtToTheBound) {
  const ProcStat stat = ParseStat("cpu 18446744073709551615 99999999999999999999999 3 4\nctxt 18446744073709551615\n");
  EXPECT_EQ(stat.all->columns[kUser], kMax);
  EXPECT_EQ(stat.all->columns[kNice], kMax);
  EXPECT_EQ(stat.context_switches, kMax);
}

TEST(ParseMeminfo, ReadsRowsInKilobytes) {
  EXPECT_THAT(
      ParseMeminfo("MemTotal:       16000 kB\nActive(anon):  1 kB\nHugePages_Total:       7\n"
                   "Bad: x kB\nNoUnit: 5\nCommitted_AS:   99999999999999999999 kB\n: 4 kB\nDirty 4 kB\nMemFree:"),
      ElementsAre(Pair("Active(anon)", 1024), Pair("Committed_AS", kMax / 1024 * 1024),
                  Pair("MemTotal", 16000 * 1024)));
  EXPECT_THAT(ParseMeminfo(""), IsEmpty());
}

TEST(ParseLoadavg, ReadsThree) {
  const auto load = ParseLoadavg("0.52 1.25 12.00 3/512 13784\n");
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->load1, 0.52);
  EXPECT_EQ(load->load5, 1.25);
  EXPECT_EQ(load->load15, 12);
  for (const char* text : {"", "\n", "1 2", "1 2 x", "nan 1 1", "inf 1 1", "-1 1 1", "1e999 1 1"}) {
    EXPECT_FALSE(ParseLoadavg(text).has_value()) << text;
  }
}

TEST(ParseUptime, ReadsTheFirst) {
  EXPECT_EQ(ParseUptime("3600.25 7000.11\n"), absl::Milliseconds(3600250));
  for (const char* text : {"", "x", "-5 1", "1e300", "nan"}) EXPECT_FALSE(ParseUptime(text).has_value()) << text;
}

constexpr char kNetDev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n"
    "    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0   "
    "     "
    "  0\n"
    "  eth0:191318669    3610    1    2    3     4          5         6   159517    1969    7    8    0     0       0  "
    "    "
    "    0\n";

TEST(ParseNetDev, ReadsDevices) {
  const std::vector<NetCounters> devices = ParseNetDev(kNetDev);
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].device, "lo");
  const NetCounters& eth0 = devices[1];
  EXPECT_EQ(eth0.device, "eth0");
  EXPECT_EQ(eth0.receive_bytes, 191318669) << "no blank behind the colon";
  EXPECT_EQ(eth0.receive_packets, 3610);
  EXPECT_EQ(eth0.receive_errors, 1);
  EXPECT_EQ(eth0.receive_dropped, 2);
  EXPECT_EQ(eth0.transmit_bytes, 159517);
  EXPECT_EQ(eth0.transmit_packets, 1969);
  EXPECT_EQ(eth0.transmit_errors, 7);
  EXPECT_EQ(eth0.transmit_dropped, 8);
}

TEST(ParseNetDev, LeavesOutWhatIsNoDevice) {
  for (const char* text :
       {"", ":", "  : 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", "eth0: 1 2 3\n",
        "eth0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 x\n"}) {
    EXPECT_THAT(ParseNetDev(text), IsEmpty()) << text;
  }
  const auto alias = ParseNetDev("eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
  ASSERT_EQ(alias.size(), 1U);
  EXPECT_EQ(alias[0].device, "eth0:1");
}

TEST(ParseDiskstats, ReadsDevices) {
  const auto devices = ParseDiskstats(
      " 254       0 vda 64064 8884 3773930 20711 42612 25567 6684416 14426 3 8184 36024 8364 75 2620040 806 2554 79\n"
      "   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11\n"
      "   8       2 sda2 1 2 3 4\n");
  ASSERT_EQ(devices.size(), 2U) << "a partition of kernels before 2.6.25 has four numbers";
  const DiskCounters& vda = devices[0];
  EXPECT_EQ(vda.device, "vda");
  EXPECT_EQ(vda.reads_completed, 64064);
  EXPECT_EQ(vda.sectors_read, 3773930);
  EXPECT_EQ(vda.read_ms, 20711);
  EXPECT_EQ(vda.writes_completed, 42612);
  EXPECT_EQ(vda.sectors_written, 6684416);
  EXPECT_EQ(vda.write_ms, 14426);
  EXPECT_EQ(vda.in_progress, 3);
  EXPECT_EQ(vda.io_ms, 8184);
  EXPECT_EQ(vda.io_weighted_ms, 36024);
  EXPECT_THAT(ParseDiskstats("\n x\n8 0 sda\n8 0 sda 1 2 3 4 5 6 7 8 9 10 x\n"), IsEmpty());
}

TEST(ParseMountinfo, ReadsMountsAndTheirEscapes) {
  const auto mounts = ParseMountinfo(
      "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
      "36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime master:1 shared:7 - ext3 /dev/my\\011root rw,errors=continue\n"
      "40 27 0:44 / /mnt/\xff\xfe rw - nfs4 server:/a - b rw\n");
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].device_number, "254:0");
  EXPECT_EQ(mounts[0].mount_path, "/");
  EXPECT_EQ(mounts[0].filesystem_type, "ext4");
  EXPECT_EQ(mounts[0].source, "/dev/vda");
  EXPECT_EQ(mounts[1].mount_path, "/mnt 2\\x");
  EXPECT_EQ(mounts[1].source, "/dev/my\troot");
  EXPECT_EQ(mounts[2].mount_path, "/mnt/\xff\xfe") << "bytes as they are: they are a path";
}

TEST(ParseMountinfo, LeavesOutWhatIsNoMount) {
  for (const char* text :
       {"", "\n", "27 1 254:0 / / rw", "27 1 254:0 / / - ext4 /dev/vda", "1 1 1:1 / /a rw - ext4", "- ext4 /dev/vda"}) {
    EXPECT_THAT(ParseMountinfo(text), IsEmpty()) << text;
  }
  const auto odd = ParseMountinfo("1 1 1:1 / /a\\04\\9\\400 rw - ext4 x\\");
  ASSERT_EQ(odd.size(), 1U);
  EXPECT_EQ(odd[0].mount_path.substr(0, 8), "/a\\04\\9\\") << "no escapes";
}

}  // namespace
}  // namespace muster::agent
