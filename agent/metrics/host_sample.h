// From readings to what is told (docs/host-metrics.md, "Collection"). Pure functions.
#ifndef MUSTER_AGENT_METRICS_HOST_SAMPLE_H_
#define MUSTER_AGENT_METRICS_HOST_SAMPLE_H_

#include <cstddef>

#include "agent/logs/log_sources.h"
#include "agent/metrics/host_reading.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of CPUs and devices in a report.
inline constexpr int kMaxCpus = 256;
inline constexpr int kMaxDevices = 64;
// Of one sample, so that its record fits into a batch (kMaxRecordBytes). The arithmetic: 64 filesystems of 640 bytes
// and 32 missing of 270 are 50 KiB, what is left is for deployments.
inline constexpr std::size_t kMaxHostSampleBytes = 58 * 1024;
inline constexpr std::size_t kMaxMissing = 32;
// As many as the hub takes.
inline constexpr int kMaxDeploymentsTold = 500;
inline constexpr int kMaxNodesTold = 500;

// `before`: the reading that rates count from; null: there is none, and no rates. Without containers.
v1::HostReport MakeHostReport(const HostReading* before, const HostReading& now);

void FillCensus(const ContainerCensus& census, v1::HostSample* sample);

// Cuts from the end, least needed first, until sample and report are within their bounds. What gave way is named in
// `missing`.
void KeepWithinLimits(v1::HostReport* report);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_HOST_SAMPLE_H_
