// A fleet for benchmarks of what is published: each target has one deployment of three containers, and a host's report.
#ifndef MUSTER_HUB_METRICS_TESTING_MADE_UP_FLEET_H_
#define MUSTER_HUB_METRICS_TESTING_MADE_UP_FLEET_H_

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "hub/fleet/fleet.h"
#include "hub/metrics/exposition.h"
#include "hub/metrics/hub_metrics.h"
#include "hub/testing/fakes.h"

namespace muster::hub {

class NoHistory : public HistorySink {
 public:
  void Append(std::vector<HistoryEvent> /*events*/) override {}
  void Flush() override {}
};

inline agent::v1::HostReport MakeUpHost(int i) {
  agent::v1::HostReport report;
  report.mutable_age()->set_nanos(300'000'000);
  agent::v1::HostSample& sample = *report.mutable_sample();
  sample.set_cpu_cores(4);
  sample.set_cpu_usage_ratio(0.123456 + i % 100 * 0.001);
  sample.set_load1(1.25);
  sample.set_load5(0.5);
  sample.set_load15(0.33);
  sample.set_memory_total_bytes(8'000'000'000);
  sample.set_memory_used_bytes(3'123'456'789);
  sample.set_swap_total_bytes(1'000'000'000);
  for (const char* mount : {"/", "/var/lib/docker"}) {
    auto* disk = sample.add_disks();
    disk->set_device(mount[1] == '\0' ? "/dev/vda1" : "/dev/vdb");
    disk->set_mount_path(mount);
    disk->set_filesystem_type("ext4");
    disk->set_total_bytes(100'000'000'000);
    disk->set_used_bytes(41'234'567'168);
    disk->set_available_bytes(53'765'432'832);
    disk->set_files(6'553'600);
    disk->set_files_free(6'000'123);
  }
  auto* running = sample.add_containers();
  running->set_state("running");
  running->set_count(3);
  for (const char* device : {"eth0", "lo", "docker0"}) {
    auto* network = report.mutable_totals()->add_network_devices();
    network->set_device(device);
    network->set_receive_bytes(123'456'789'012);
    network->set_transmit_bytes(98'765'432'109);
  }
  for (const char* device : {"vda", "vdb"}) {
    auto* disk = report.mutable_totals()->add_block_devices();
    disk->set_device(device);
    disk->set_read_bytes(12'345'678'848);
    disk->set_written_bytes(98'765'432'320);
  }
  for (int cpu = 0; cpu < 4; ++cpu) {
    auto* times = report.mutable_totals()->add_cpus();
    times->set_cpu(cpu);
    for (int mode = 0; mode < 8; ++mode) times->add_ticks(1'000'000 + mode);
  }
  for (const char* name : {"web", "worker", "db"}) {
    auto* use = report.add_containers();
    use->set_deployment_key("compose/shop");
    use->set_container(name);
    use->set_cpu_seconds(12'345.678901);
    use->set_memory_bytes(256'000'000);
  }
  return report;
}

inline agent::v1::DeploymentState MakeUpDeployment(int i) {
  agent::v1::DeploymentState state =
      TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY, fmt::format("1.{}.{}", i % 7, i % 13));
  for (const char* name : {"web", "worker", "db"}) {
    auto* resource = state.add_resources();
    resource->set_name(name);
    resource->set_state("running");
    resource->set_health("healthy");
  }
  return state;
}

struct MadeUpFleet {
  MadeUpFleet(int targets, const Clock* its_clock)
      : clock(its_clock), fleet("Vendor of the software", Stored(targets), &history, its_clock->Read()) {
    for (int i = 0; i < targets; ++i) {
      auto admitted = fleet.Admit(TestHello(Id(i), "mst_one"), clock->Now());
      auto opened = fleet.OpenSession(std::get<Fleet::Admission>(admitted), "ses", "10.0.0.7:1",
                                      std::make_shared<FakeHandle>(), clock->Read());
      keys.push_back(std::get<Fleet::SessionKey>(opened));
      agent::v1::Heartbeat beat = SnapshotBeat(1, 1, {MakeUpDeployment(i)});
      *beat.mutable_host() = MakeUpHost(i);
      beat.mutable_journal()->set_capacity_bytes(256 << 20);
      beat.mutable_journal()->mutable_oldest_age();
      beat.mutable_round_trip()->set_nanos(12'345'678);
      beat.mutable_clock_skew()->set_nanos(1'234'567);
      fleet.Heartbeat(keys.back(), beat, clock->Read());
    }
  }
  static std::string Id(int i) { return fmt::format("tgt_{:026d}", i); }
  static std::vector<StoredTarget> Stored(int targets) {
    std::vector<StoredTarget> stored;
    for (int i = 0; i < targets; ++i) {
      stored.push_back(TestTarget(Id(i), fmt::format("edge-{:05d}.customer-{:03d}", i, i % 250), "mst_one"));
      stored.back().customer = fmt::format("Customer {:03d}", i % 250);
    }
    return stored;
  }
  // One scrape, everything but the process, the network and the compression.
  void Scrape(PageGroups groups, const PageWriter::Sink& sink) {
    ScrapeInput input{.groups = groups, .fleet = fleet.Expose(clock->Now()), .counters = counters.Collect()};
    PageWriter page(PageFormat::kText, sink);
    WriteExposition(input, page);
    page.Finish();
  }

  const Clock* clock;
  NoHistory history;
  HubMetrics counters;
  Fleet fleet;
  std::vector<Fleet::SessionKey> keys;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_TESTING_MADE_UP_FLEET_H_
