#include "agent/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/doctor.h"
#include "agent/status_command.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/version.h"

namespace muster::agent {
namespace {

enum ExitCode { kExitOk = 0, kExitFailed = 1, kExitUsage = 2, kExitNegative = 5 };

constexpr char kExamples[] = R"(Reports this host to a Muster hub. It only looks: it never changes anything here.

Examples:
  muster-agent run --hub hub.example:7443 --target-id tgt_5c0f --target-secret-file /etc/muster/secret \
      --data-dir /var/lib/muster-agent --ca-file /etc/muster/ca.pem
  muster-agent status --data-dir /var/lib/muster-agent
  muster-agent doctor --hub hub.example:7443 --ca-file /etc/muster/ca.pem
)";

struct StatusOptions {
  std::string data_dir;
  std::string output = "table";
};

void PrintError(const absl::Status& status) {
  fmt::print(stderr, "muster-agent: {} [{}]\n", MessageOf(status), ReasonOf(status));
}

void AddHubOptions(CLI::App* command, RawRunConfig* raw) {
  command->add_option("--hub", raw->hub, "The hub's gRPC address")->type_name("HOST:PORT")->envname("MUSTER_AGENT_HUB");
  command->add_option("--ca-file", raw->ca_file, "PEM file with the CA that the hub's certificate must come from")
      ->type_name("FILE")
      ->envname("MUSTER_AGENT_CA_FILE");
  command->add_flag("--insecure", raw->insecure, "No TLS: only for a hub that was started with --insecure");
}

void AddHostOptions(CLI::App* command, RawRunConfig* raw) {
  command
      ->add_option("--target-secret-file", raw->target_secret_file,
                   "File with the target secret, watched for a new one")
      ->type_name("FILE")
      ->envname("MUSTER_AGENT_TARGET_SECRET_FILE");
  command->add_option("--data-dir", raw->data_dir, "Folder for what the agent must remember")
      ->type_name("DIR")
      ->envname("MUSTER_AGENT_DATA_DIR");
  command
      ->add_option("--mask-file", raw->mask_file,
                   "File with expressions, one a line: what they match in log lines is masked")
      ->type_name("FILE")
      ->envname("MUSTER_AGENT_MASK_FILE");
  command->add_option("--runtime", raw->runtime, "What runs the deployments: auto, docker, none")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_RUNTIME");
  command->add_option("--docker-socket", raw->docker_socket, "Socket of the Docker engine")
      ->type_name("PATH")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_DOCKER_SOCKET");
  command->add_option("--host-root", raw->host_root, "Where the host's / is, for an agent in a container")
      ->type_name("DIR")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_HOST_ROOT");
}

void AddOutputOption(CLI::App* command, std::string* output) {
  command->add_option("-o,--output", *output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

CLI::App* AddRun(CLI::App* app, RawRunConfig* raw) {
  CLI::App* run = app->add_subcommand("run", "Report this host until stopped");
  AddHubOptions(run, raw);
  run->add_option("--target-id", raw->target_id, "Which target this host is")
      ->type_name("ID")
      ->envname("MUSTER_AGENT_TARGET_ID");
  AddHostOptions(run, raw);
  run->add_option("--journal-bytes", raw->journal_bytes, "How much of the past may wait on the disk for the hub")
      ->type_name("BYTES")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_JOURNAL_BYTES");
  run->add_option("--container-logs", raw->container_logs, "on, or off: the logs of containers stay on this host")
      ->type_name("on|off")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_CONTAINER_LOGS");
  run->add_flag("--verbose", raw->verbose, "Log more");
  return run;
}

CLI::App* AddDoctor(CLI::App* app, RawRunConfig* raw, std::string* output) {
  CLI::App* doctor = app->add_subcommand("doctor", "Try what run needs: exit code 0 when all is well, else 5");
  AddHubOptions(doctor, raw);
  AddHostOptions(doctor, raw);
  AddOutputOption(doctor, output);
  return doctor;
}

CLI::App* AddStatus(CLI::App* app, StatusOptions* options) {
  CLI::App* status = app->add_subcommand("status", "Tell whether the agent is connected: exit code 0, else 5");
  status->add_option("--data-dir", options->data_dir, "The agent's data folder")
      ->type_name("DIR")
      ->envname("MUSTER_AGENT_DATA_DIR")
      ->required();
  AddOutputOption(status, &options->output);
  return status;
}

int Run(const RawRunConfig& raw) {
  if (raw.verbose) log::SetLevel(log::Level::kDebug);
  const absl::StatusOr<RunConfig> config = Finalize(raw);
  if (!config.ok()) {
    PrintError(config.status());
    return kExitUsage;
  }
  BlockTerminationSignals();
  const absl::Status ended = RunAgent(*config);
  if (ended.ok()) return kExitOk;
  PrintError(ended);
  return kExitFailed;
}

int Status(const StatusOptions& options) {
  const absl::StatusOr<ObservedState> observed = ObserveState(options.data_dir);
  if (!observed.ok()) {
    PrintError(observed.status());
    return absl::IsNotFound(observed.status()) ? kExitNegative : kExitFailed;
  }
  const bool json = options.output == "json";
  const std::string text = json ? DescribeStateAsJson(*observed) : DescribeState(*observed, Clock::System()->Now());
  std::fputs(text.c_str(), stdout);
  return IsConnected(*observed) ? kExitOk : kExitNegative;
}

int Doctor(const RawRunConfig& raw, const std::string& output) {
  const auto findings = Examine(raw);
  if (!findings.ok()) {
    PrintError(findings.status());
    return kExitUsage;
  }
  const std::string text = output == "json" ? DescribeFindingsAsJson(*findings) : DescribeFindings(*findings);
  std::fputs(text.c_str(), stdout);
  return AllGood(*findings) ? kExitOk : kExitNegative;
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  CLI::App app(kExamples, "muster-agent");
  app.set_version_flag("--version", std::string("muster-agent ") + kVersion);
  app.require_subcommand(1);
  RawRunConfig raw;
  StatusOptions status_options;
  std::string doctor_output = "table";
  const CLI::App* run = AddRun(&app, &raw);
  const CLI::App* doctor = AddDoctor(&app, &raw, &doctor_output);
  AddStatus(&app, &status_options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11's own codes start at 100; help and version are no errors.
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (run->parsed()) return Run(raw);
  if (doctor->parsed()) return Doctor(raw, doctor_output);
  return Status(status_options);
}

}  // namespace muster::agent
