// What `muster-hub serve` was told: flags over environment over defaults, checked once, absolute afterwards.
#ifndef MUSTER_HUB_CONFIG_H_
#define MUSTER_HUB_CONFIG_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/address.h"
#include "hub/jobs/job_registry.h"
#include "hub/metrics/metrics_endpoint.h"

namespace muster::hub {

// As written by the user.
struct RawConfig {
  std::string data_dir;
  std::string grpc_addr = ":7443";
  std::string http_addr = ":8080";
  std::string public_url;
  std::string public_grpc_addr;
  std::string organization = "default";
  std::string tls_cert;
  std::string tls_key;
  std::string agent_binary;
  std::string agent_image;
  int history_days = 400;
  int log_days = 30;
  std::string log_bytes = "10GiB";
  int metric_raw_days = 7;
  int metric_days = 400;
  std::string metric_bytes = "4GiB";
  std::string job_prefix;
  int job_series = kMaxJobSeries;
  bool insecure = false;
};

struct Config {
  std::string data_dir;
  HostPort grpc_address;
  HostPort http_address;
  // Without a final slash: "https://hub.example.com:8080".
  std::string public_url;
  // Where agents connect: "hub.example.com:7443".
  std::string public_grpc_address;
  std::string organization;
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string agent_binary;
  // In manifests for Kubernetes: "registry.example.com/muster-agent:1.2.3".
  std::string agent_image;
  // Older history is forgotten.
  absl::Duration history;
  // Log lines that arrived earlier are forgotten, and the oldest ones beyond so many stored bytes.
  absl::Duration log_age;
  std::int64_t log_bytes = 0;
  // Samples of hosts as they came, and by 5 minutes; the oldest beyond so many stored bytes.
  absl::Duration metric_raw_age;
  absl::Duration metric_age;
  std::int64_t metric_bytes = 0;
  JobRegistry::Options jobs;
  bool insecure = false;
  MetricsConfig metrics;
};

using GetEnv = std::function<std::optional<std::string>(const std::string& name)>;

// INVALID_ARGUMENT with one sentence that names the flag.
absl::StatusOr<Config> Finalize(const RawConfig& raw, const GetEnv& getenv, const std::string& hostname);

// What `muster-hub metrics` was told; of RawConfig only what it needs.
struct StoredMetricsConfig {
  std::string data_dir;
  MetricsConfig metrics;
  JobRegistry::Options jobs;
};
absl::StatusOr<StoredMetricsConfig> FinalizeStoredMetrics(const RawConfig& raw, const GetEnv& getenv);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONFIG_H_
