// Samples of hosts on their way into the table host_samples (docs/host-metrics.md, "History"): what makes one
// unstorable, and what of it is kept. Used by ApplyBatch; StoreSample from Writer operations only.
#ifndef MUSTER_HUB_STORE_HOST_SAMPLE_H_
#define MUSTER_HUB_STORE_HOST_SAMPLE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// What the contract allows (agent.proto, HostSample).
inline constexpr int kMaxSampleDisks = 64;
inline constexpr int kMaxSampleDeployments = 500;
inline constexpr int kMaxSampleNodes = 500;
// States of containers and names of what is missing; a runtime has seven states.
inline constexpr int kMaxSampleStates = 32;
inline constexpr int kMaxSampleMissing = 100;
// Up to here a double holds each whole number: 8 PiB, or so many bytes a second.
inline constexpr std::int64_t kMaxSampleBytes = std::int64_t{1} << 53;
// Far above any machine; as millionths they still fit many times into 64 bits.
inline constexpr double kMaxSampleCores = 1e6;
inline constexpr double kMaxSampleLoad = 1e6;

// The name of a sample's record, and its time at the hub.
struct SampleName {
  std::string_view target_id;
  absl::Time at;
  std::string_view epoch;
  std::int64_t sequence = 0;
};

// Empty, or why this can never be stored.
std::string FindSampleDefect(const agent::v1::HostSample& sample);
// Stores a sample without defect, with its texts cut and cleaned.
absl::Status StoreSample(sqlite::Database& database, const SampleName& name, const agent::v1::HostSample& sample);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_HOST_SAMPLE_H_
