#include "hub/metrics/fleet_families.h"
#include "hub/metrics/row_families.h"

namespace muster::hub {
namespace {

void WriteHostNumbers(const std::vector<ExposedPart<HostScalars>>& hosts, PageWriter& page) {
  const auto gauge = [&](std::string_view name, std::string_view unit, std::string_view help,
                         double HostScalars::*number) {
    WriteRows(page, hosts, name, FamilyType::kGauge, unit, help,
              [number](const HostScalars& host) { return host.*number; });
  };
  gauge("distr_host_sample_timestamp_seconds", "seconds", "Unix time of the host's newest sample.",
        &HostScalars::taken);
  gauge("distr_host_boot_timestamp_seconds", "seconds", "Unix time at which the host booted, by its clock.",
        &HostScalars::boot);
  gauge("distr_host_cpu_usage_ratio", "ratio",
        "Share of all cores that was not idle since the sample before. Absent in the first of an agent.",
        &HostScalars::cpu_usage);
  gauge("distr_host_load1", {}, "The host's load average over 1 minute.", &HostScalars::load1);
  gauge("distr_host_load5", {}, "The host's load average over 5 minutes.", &HostScalars::load5);
  gauge("distr_host_load15", {}, "The host's load average over 15 minutes.", &HostScalars::load15);
  gauge("distr_host_memory_total_bytes", "bytes", "Memory of the host.", &HostScalars::memory_total);
  gauge("distr_host_memory_used_bytes", "bytes", "Memory of the host that is not available.",
        &HostScalars::memory_used);
  gauge("distr_host_swap_total_bytes", "bytes", "Swap space of the host.", &HostScalars::swap_total);
  gauge("distr_host_swap_used_bytes", "bytes", "Swap space of the host that is in use.", &HostScalars::swap_used);
}

void WriteFilesystems(const std::vector<ExposedPart<FilesystemNumbers>>& rows, PageWriter& page) {
  const auto gauge = [&](std::string_view name, std::string_view unit, std::string_view help,
                         double FilesystemNumbers::*number) {
    WriteRows(page, rows, name, FamilyType::kGauge, unit, help,
              [number](const FilesystemNumbers& disk) { return disk.is_stuck ? kAbsent : disk.*number; });
  };
  gauge("distr_host_filesystem_size_bytes", "bytes", "Size of the filesystem. Absent while it is stuck.",
        &FilesystemNumbers::size);
  gauge("distr_host_filesystem_used_bytes", "bytes", "What is not free of it, whoever may use that.",
        &FilesystemNumbers::used);
  gauge("distr_host_filesystem_available_bytes", "bytes", "What an ordinary user may still write.",
        &FilesystemNumbers::available);
  gauge("distr_host_filesystem_files", {}, "Inodes of the filesystem; 0: it has no such bound.",
        &FilesystemNumbers::files);
  gauge("distr_host_filesystem_files_free", {}, "Free inodes of the filesystem.", &FilesystemNumbers::files_free);
  WriteRows(page, rows, "distr_host_filesystem_stuck", FamilyType::kGauge, {},
            "Whether the filesystem did not answer in time.",
            [](const FilesystemNumbers& disk) { return disk.is_stuck ? 1.0 : 0.0; });
}

void WriteHostContainers(const std::vector<ExposedPart<HostScalars>>& hosts, PageWriter& page) {
  page.Family("distr_host_containers", FamilyType::kGauge,
              "Containers of the host by state. The running ones always; other states while they occur.");
  ForEach(hosts, [&](const ExposedPart<HostScalars>& host) {
    for (std::size_t state = 0; state < kContainerStates.size(); ++state) {
      const std::int64_t count = host.numbers.containers[state];
      if (count > 0 || state == kRunningContainers) {
        page.Sample(host.labels, kContainerStateLabels[state], static_cast<double>(count));
      }
    }
  });
  WriteRows(page, hosts, "distr_host_container_restarts_total", FamilyType::kCounter, {},
            "Restarts of the host's present containers, as the runtime counts them.",
            [](const HostScalars& host) { return host.container_restarts; });
  WriteRows(page, hosts, "distr_host_sample_missing", FamilyType::kGauge, {},
            "What could not be read in the newest sample: number of things.",
            [](const HostScalars& host) { return host.missing; });
}

}  // namespace

void WriteHosts(const ExposedFleet& fleet, PageWriter& page) {
  {
    const auto hosts = HostRows(fleet);
    WriteHostNumbers(hosts, page);
    WriteHostContainers(hosts, page);
  }
  WriteFilesystems(FilesystemRows(fleet), page);
  const auto in = [](const DeviceNumbers& device) { return device.in; };
  const auto out = [](const DeviceNumbers& device) { return device.out; };
  {
    const auto network = NetworkRows(fleet);
    WriteRows(page, network, "distr_host_network_receive_bytes_total", FamilyType::kCounter, "bytes",
              "Bytes that the device received since the host booted.", in);
    WriteRows(page, network, "distr_host_network_transmit_bytes_total", FamilyType::kCounter, "bytes",
              "Bytes that the device sent since the host booted.", out);
  }
  const auto disks = DiskRows(fleet);
  WriteRows(page, disks, "distr_host_disk_read_bytes_total", FamilyType::kCounter, "bytes",
            "Bytes read from the device since the host booted.", in);
  WriteRows(page, disks, "distr_host_disk_written_bytes_total", FamilyType::kCounter, "bytes",
            "Bytes written to the device since the host booted.", out);
}

void WriteContainers(const ExposedFleet& fleet, PageWriter& page) {
  const auto rows = ContainerRows(fleet);
  WriteRows(page, rows, "distr_deployment_container_cpu_seconds_total", FamilyType::kCounter, "seconds",
            "CPU time of the container since its start.",
            [](const ContainerNumbers& container) { return container.cpu_seconds; });
  WriteRows(page, rows, "distr_deployment_container_memory_bytes", FamilyType::kGauge, "bytes",
            "Memory of the container, without the page cache that the kernel gives up first.",
            [](const ContainerNumbers& container) { return container.memory; });
  WriteRows(page, rows, "distr_deployment_container_memory_limit_bytes", FamilyType::kGauge, "bytes",
            "Memory that the container may take. Absent without a limit.", [](const ContainerNumbers& container) {
              return container.memory_limit > 0 ? container.memory_limit : kAbsent;
            });
}

}  // namespace muster::hub
