#include "hub/config.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/byte_size.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/fleet/target_admin.h"
#include "hub/tls/authority.h"

namespace muster::hub {
namespace {

// What addresses consist of. They are printed into a command that customers paste into a root shell, so nothing that
// means something there.
constexpr char kPlainCharacters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:/_~%[]-";

constexpr int kMaxDays = 36'500;
// More pages than SQLite can count is an error; this is far below.
constexpr std::int64_t kMinStoreBytes = std::int64_t{64} << 20;
constexpr std::int64_t kMaxStoreBytes = std::int64_t{8} << 40;

absl::Status BadFlag(std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_CONFIGURATION", message);
}

absl::StatusOr<std::string> ReadPublicUrl(const RawConfig& raw, const HostPort& http, const std::string& hostname) {
  const std::string scheme = raw.insecure ? "http" : "https";
  if (raw.public_url.empty()) return fmt::format("{}://{}:{}", scheme, hostname, http.port);
  std::string url = raw.public_url;
  while (url.ends_with('/')) url.pop_back();
  const bool good = (url.starts_with("https://") || url.starts_with("http://")) && !HostOfUrl(url).empty() &&
                    url.find_first_not_of(kPlainCharacters) == std::string::npos;
  if (!good) {
    return BadFlag(fmt::format("--public-url \"{}\" is not a URL; write it like {}://hub.example.com:8080",
                               raw.public_url, scheme));
  }
  if (!raw.insecure && url.starts_with("http://")) {
    return BadFlag(
        fmt::format("--public-url \"{}\" is in clear, but this hub speaks TLS; write https://, or add "
                    "--insecure for a hub that does not",
                    raw.public_url));
  }
  return url;
}

absl::StatusOr<absl::Duration> ReadDays(std::string_view flag, int days) {
  if (days >= 1 && days <= kMaxDays) return absl::Hours(24) * days;
  return BadFlag(fmt::format("{} {} is not a number of days from 1 to {}", flag, days, kMaxDays));
}

// `example` is the default.
absl::StatusOr<std::int64_t> ReadBytes(std::string_view flag, const std::string& text, std::string_view example) {
  const std::optional<std::int64_t> bytes = ParseByteSize(text);
  if (bytes && *bytes >= kMinStoreBytes && *bytes <= kMaxStoreBytes) return *bytes;
  return BadFlag(
      fmt::format("{} \"{}\" is not a size from 64MiB to 8192GiB; write for example {}", flag, text, example));
}

absl::StatusOr<std::string> ReadDataDir(const RawConfig& raw) {
  if (raw.data_dir.empty()) {
    return BadFlag("--data-dir is needed: the folder for the database, keys and the admin token");
  }
  std::error_code error;
  std::string data_dir = std::filesystem::absolute(raw.data_dir, error).lexically_normal().string();
  if (error) return BadFlag(fmt::format("--data-dir \"{}\": {}; give an absolute path", raw.data_dir, error.message()));
  return data_dir;
}

absl::StatusOr<std::string> ReadAgentImage(const RawConfig& raw) {
  if (raw.agent_image.empty()) return fmt::format("muster-agent:{}", kVersion);
  constexpr std::size_t kMaxBytes = 512;
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@-";
  if (raw.agent_image.size() <= kMaxBytes && std::isalnum(static_cast<unsigned char>(raw.agent_image.front())) != 0 &&
      raw.agent_image.find_first_not_of(kCharacters) == std::string::npos) {
    return raw.agent_image;
  }
  return BadFlag(fmt::format("--agent-image {:?} is not an image; write it like registry.example.com/muster-agent:{}",
                             raw.agent_image, kVersion));
}

absl::StatusOr<JobRegistry::Options> ReadJobOptions(const RawConfig& raw) {
  RETURN_IF_ERROR(CheckJobPrefix(raw.job_prefix));
  if (raw.job_series < 1 || raw.job_series > kMaxJobSeries) {
    return BadFlag(fmt::format("--job-series {} is not from 1 to {}", raw.job_series, kMaxJobSeries));
  }
  return JobRegistry::Options{.prefix = raw.job_prefix, .max_series = raw.job_series};
}

}  // namespace

absl::StatusOr<Config> Finalize(const RawConfig& raw, const GetEnv& getenv, const std::string& hostname) {
  Config config;
  ASSIGN_OR_RETURN(config.data_dir, ReadDataDir(raw));
  auto grpc = ParseHostPort(raw.grpc_addr);
  if (!grpc.ok()) return Annotate(grpc.status(), "--grpc-addr");
  auto http = ParseHostPort(raw.http_addr);
  if (!http.ok()) return Annotate(http.status(), "--http-addr");
  config.grpc_address = *grpc;
  config.http_address = *http;
  const std::string host = hostname.empty() ? "localhost" : hostname;
  ASSIGN_OR_RETURN(config.public_url, ReadPublicUrl(raw, config.http_address, host));
  config.public_grpc_address = raw.public_grpc_addr;
  if (config.public_grpc_address.empty()) {
    config.public_grpc_address =
        HostPort{.host = HostOfUrl(config.public_url), .port = config.grpc_address.port}.ToString();
  } else if (auto given = ParseHostPort(raw.public_grpc_addr);
             !given.ok() || given->host.empty() || given->port == 0 ||
             raw.public_grpc_addr.find_first_not_of(kPlainCharacters) != std::string::npos) {
    return BadFlag(fmt::format("--public-grpc-addr \"{}\" is not an address; write it like hub.example.com:7443",
                               raw.public_grpc_addr));
  }
  if (absl::Status named = CheckName("--organization", raw.organization); !named.ok()) return named;
  config.organization = raw.organization;
  if (raw.tls_cert.empty() != raw.tls_key.empty()) {
    return BadFlag("--tls-cert and --tls-key go together: give both, or neither for the hub's own certificate");
  }
  if (raw.insecure && !raw.tls_cert.empty()) return BadFlag("--insecure and --tls-cert exclude each other");
  config.tls_cert_file = raw.tls_cert;
  config.tls_key_file = raw.tls_key;
  config.agent_binary = raw.agent_binary;
  ASSIGN_OR_RETURN(config.agent_image, ReadAgentImage(raw));
  ASSIGN_OR_RETURN(config.history, ReadDays("--history-days", raw.history_days));
  ASSIGN_OR_RETURN(config.log_age, ReadDays("--log-days", raw.log_days));
  ASSIGN_OR_RETURN(config.log_bytes, ReadBytes("--log-bytes", raw.log_bytes, "10GiB"));
  ASSIGN_OR_RETURN(config.metric_raw_age, ReadDays("--metric-raw-days", raw.metric_raw_days));
  ASSIGN_OR_RETURN(config.metric_age, ReadDays("--metric-days", raw.metric_days));
  ASSIGN_OR_RETURN(config.metric_bytes, ReadBytes("--metric-bytes", raw.metric_bytes, "4GiB"));
  ASSIGN_OR_RETURN(config.jobs, ReadJobOptions(raw));
  config.insecure = raw.insecure;
  ASSIGN_OR_RETURN(config.metrics, ReadMetricsConfig(getenv));
  return config;
}

absl::StatusOr<StoredMetricsConfig> FinalizeStoredMetrics(const RawConfig& raw, const GetEnv& getenv) {
  StoredMetricsConfig config;
  ASSIGN_OR_RETURN(config.data_dir, ReadDataDir(raw));
  ASSIGN_OR_RETURN(config.jobs, ReadJobOptions(raw));
  ASSIGN_OR_RETURN(config.metrics, ReadMetricsConfig(getenv));
  return config;
}

}  // namespace muster::hub
