// muster-hub: the command line.
#include <absl/synchronization/mutex.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/config.h"
#include "hub/hub.h"
#include "hub/stored_metrics.h"
#include "hub/tls/authority.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

constexpr char kExamples[] =
    "Examples:\n"
    "  muster-hub serve --data-dir /var/lib/muster-hub --public-url https://hub.example.com:8080\n"
    "  METRICS_ENABLED=true muster-hub serve --data-dir ./data --insecure\n"
    "  METRICS_ADDR=:3001 muster-hub metrics --data-dir /var/lib/muster-hub\n";

std::optional<std::string> GetEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

void PrintError(const absl::Status& status) {
  std::fprintf(stderr, "muster-hub: %s [%s]\n", muster::MessageOf(status).c_str(), muster::ReasonOf(status).c_str());
}

int Serve(const muster::hub::RawConfig& raw) {
  const auto config = muster::hub::Finalize(raw, GetEnvironment, muster::hub::LocalHostname());
  if (!config.ok()) {
    PrintError(config.status());
    return kExitUsage;
  }
  auto hub = muster::hub::Hub::Start(*config);
  if (!hub.ok()) {
    PrintError(hub.status());
    return kExitFailed;
  }
  const int signal = muster::WaitForTermination();
  muster::log::Info("signal {}: stopping", signal);
  (*hub)->Stop();
  return 0;
}

int ServeMetrics(const muster::hub::RawConfig& raw) {
  auto config = muster::hub::FinalizeStoredMetrics(raw, GetEnvironment);
  if (!config.ok()) {
    PrintError(config.status());
    return kExitUsage;
  }
  const auto metrics = muster::hub::StoredMetrics::Start(*std::move(config), muster::Clock::System());
  if (!metrics.ok()) {
    PrintError(metrics.status());
    return kExitFailed;
  }
  const int signal = muster::WaitForTermination();
  muster::log::Info("signal {}: stopping", signal);
  return 0;
}

void AddJobOptions(CLI::App& command, muster::hub::RawConfig& raw) {
  command.add_option("--job-prefix", raw.job_prefix, "In front of the names of all metrics that jobs push")
      ->envname("JOB_PREFIX");
  command.add_option("--job-series", raw.job_series, "Series of one target's jobs that are shown at /metrics")
      ->capture_default_str()
      ->envname("JOB_SERIES");
}

void AddServeOptions(CLI::App& serve, muster::hub::RawConfig& raw) {
  serve.add_option("--data-dir", raw.data_dir, "Folder for the database, keys and the admin token")->required();
  serve.add_option("--grpc-addr", raw.grpc_addr, "Where agents and gRPC clients connect")->capture_default_str();
  serve.add_option("--http-addr", raw.http_addr, "HTTP API and install script")->capture_default_str();
  serve.add_option("--public-url", raw.public_url, "How others reach the HTTP side, for connect commands");
  serve.add_option("--public-grpc-addr", raw.public_grpc_addr, "How agents reach the gRPC side (HOST:PORT)");
  serve.add_option("--organization", raw.organization, "Name of the organization, at the first start")
      ->capture_default_str();
  serve.add_option("--tls-cert", raw.tls_cert, "PEM certificate chain instead of the hub's own");
  serve.add_option("--tls-key", raw.tls_key, "Its PEM key");
  serve.add_option("--agent-binary", raw.agent_binary, "muster-agent to hand out; default: beside this binary");
  serve
      .add_option(
          "--agent-image", raw.agent_image,
          std::string("Image of the agent in manifests for Kubernetes; default: muster-agent:") + muster::kVersion)
      ->envname("AGENT_IMAGE");
  serve.add_option("--history-days", raw.history_days, "Days for which history is kept")
      ->capture_default_str()
      ->envname("HISTORY_DAYS");
  serve.add_option("--log-days", raw.log_days, "Days for which log lines are kept")
      ->capture_default_str()
      ->envname("LOG_DAYS");
  serve.add_option("--log-bytes", raw.log_bytes, "Most that log lines take on disk, compressed; from 64MiB")
      ->capture_default_str()
      ->envname("LOG_BYTES");
  serve.add_option("--metric-raw-days", raw.metric_raw_days, "Days for which samples of hosts are kept as they came")
      ->capture_default_str()
      ->envname("METRIC_RAW_DAYS");
  serve.add_option("--metric-days", raw.metric_days, "Days for which they are kept by 5 minutes")
      ->capture_default_str()
      ->envname("METRIC_DAYS");
  serve.add_option("--metric-bytes", raw.metric_bytes, "Most that both take on disk; from 64MiB")
      ->capture_default_str()
      ->envname("METRIC_BYTES");
  AddJobOptions(serve, raw);
  serve.add_flag("--insecure", raw.insecure, "No TLS: one machine or behind a proxy only");
}

}  // namespace

// CLI11 throws on its own misuse only; ending the process is right then.
int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape)
  // Debian builds Abseil with the check on; it costs 13-34 % at 10,000 TLS streams.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  muster::BlockTerminationSignals();
  muster::hub::RawConfig raw;
  CLI::App app(std::string(kExamples) + "\nThe hub of Muster: agents report here, operators ask here.", "muster-hub");
  app.set_version_flag("--version", std::string("muster-hub ") + muster::kVersion);
  CLI::App* serve = app.add_subcommand("serve", "Run the hub");
  AddServeOptions(*serve, raw);
  CLI::App* metrics =
      app.add_subcommand("metrics", "Serve /metrics from a hub's files, read-only, beside it or without");
  metrics->add_option("--data-dir", raw.data_dir, "The hub's folder")->required();
  AddJobOptions(*metrics, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (metrics->parsed()) return ServeMetrics(raw);
  if (!serve->parsed()) {
    std::fprintf(stderr,
                 "muster-hub: say what to do: \"muster-hub serve --data-dir DIR\" runs the hub, --help tells "
                 "more [BAD_CONFIGURATION]\n");
    return kExitUsage;
  }
  return Serve(raw);
}
