#include "agent/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/doctor.h"
#include "agent/jobs/push_command.h"
#include "agent/status_command.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/version.h"

namespace muster::agent {
namespace {

enum ExitCode { kExitOk = 0, kExitFailed = 1, kExitUsage = 2, kExitNegative = 5 };  // of push: push_command.h

constexpr char kExamples[] = R"(Reports this host to a Muster hub. It only looks: it never changes anything here.

Examples:
  muster-agent run --hub hub.example:7443 --target-id tgt_5c0f --target-secret-file /etc/muster/secret \
      --data-dir /var/lib/muster-agent --ca-file /etc/muster/ca.pem
  muster-agent status --data-dir /var/lib/muster-agent
  muster-agent doctor --hub hub.example:7443 --ca-file /etc/muster/ca.pem
  muster-agent push backup --counter 'backup_bytes_total{disk="a"}=1048576' --success --period 24h
)";

struct StatusOptions {
  std::string data_dir;
  std::string output = "table";
  bool alive = false;
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
  command->add_option("--runtime", raw->runtime, "What runs the deployments: auto, docker, kubernetes, none")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_RUNTIME");
  command->add_option("--docker-socket", raw->docker_socket, "Socket of the Docker engine")
      ->type_name("PATH")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_DOCKER_SOCKET");
  command
      ->add_option("--namespace", raw->kube_namespace, "Kubernetes: look at this namespace; without it at the agent's")
      ->type_name("NS")
      ->envname("MUSTER_AGENT_NAMESPACE");
  command->add_flag("--cluster", raw->cluster, "Kubernetes: look at all namespaces and the nodes")
      ->envname("MUSTER_AGENT_CLUSTER");
  command->add_option("--kubeconfig", raw->kubeconfig, "Kubernetes: where the API is, for an agent outside of a pod")
      ->type_name("FILE")
      ->envname("MUSTER_AGENT_KUBECONFIG");
  command->add_option("--service-account-dir", raw->service_account_dir, "Kubernetes: where the pod's token and CA are")
      ->type_name("DIR")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_SERVICE_ACCOUNT_DIR");
  command->add_option("--host-root", raw->host_root, "Where the host's / is, for an agent in a container")
      ->type_name("DIR")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_HOST_ROOT");
}

void AddPushSocketOption(CLI::App* command, std::string* path) {
  command->add_option("--push-socket", *path, "Socket that jobs push to, or off; without it push.sock in --data-dir")
      ->type_name("PATH")
      ->envname("MUSTER_AGENT_PUSH_SOCKET");
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
  AddPushSocketOption(run, &raw->push_socket);
  run->add_option("--push-socket-mode", raw->push_socket_mode, "Who may push, as a file's mode")
      ->type_name("OCTAL")
      ->capture_default_str()
      ->envname("MUSTER_AGENT_PUSH_SOCKET_MODE");
  run->add_flag("--verbose", raw->verbose, "Log more");
  return run;
}

CLI::App* AddDoctor(CLI::App* app, RawRunConfig* raw, std::string* output) {
  CLI::App* doctor = app->add_subcommand("doctor", "Try what run needs: exit code 0 when all is well, else 5");
  AddHubOptions(doctor, raw);
  AddHostOptions(doctor, raw);
  AddPushSocketOption(doctor, &raw->push_socket);
  AddOutputOption(doctor, output);
  return doctor;
}

CLI::App* AddStatus(CLI::App* app, StatusOptions* options) {
  CLI::App* status = app->add_subcommand("status", "Tell whether the agent is connected: exit code 0, else 5");
  status->add_option("--data-dir", options->data_dir, "The agent's data folder")
      ->type_name("DIR")
      ->envname("MUSTER_AGENT_DATA_DIR")
      ->required();
  status->add_flag("--alive", options->alive, "Tell whether the agent's loop turns, hub or not: exit code 0, else 5");
  AddOutputOption(status, &options->output);
  return status;
}

// For what is said once; commas within it stay.
void AddMany(CLI::App* command, const char* name, std::vector<std::string>* values, const char* form,
             const char* text) {
  command->add_option(name, *values, text)->type_name(form)->expected(1)->take_all();
}

CLI::App* AddPush(CLI::App* app, RawPush* raw) {
  CLI::App* push = app->add_subcommand("push", "Give a job's numbers to the agent: exit code 0 when they are durable");
  push->add_option("group", raw->group, "What the job is called")->type_name("GROUP")->required();
  AddMany(push, "--counter", &raw->counters, "NAME{..}=N", "Add to a counter");
  AddMany(push, "--gauge", &raw->gauges, "NAME{..}=N", "Set a gauge");
  AddMany(push, "--observe", &raw->observations, "NAME{..}=N[,N]", "Add to a histogram");
  AddMany(push, "--buckets", &raw->buckets, "NAME=N,N", "Upper bounds of a histogram");
  AddMany(push, "--help-text", &raw->help_texts, "NAME=TEXT", "What a metric means");
  AddMany(push, "--unit", &raw->units, "NAME=WORD", "A metric's unit, in which its name ends");
  push->add_flag("--success", raw->success, "The job ran and succeeded");
  push->add_flag("--failure", raw->failure, "The job ran and failed");
  push->add_option("--period", raw->period, "How often it is expected to succeed")->type_name("DURATION");
  push->add_option("--ttl", raw->time_to_live, "Its series end without a push for so long")->type_name("DURATION");
  push->add_option("--id", raw->id, "Name of this push: the same one never counts twice")->type_name("ID");
  push->add_option("--wait", raw->wait, "How long to go on while there is no answer")
      ->type_name("DURATION")
      ->capture_default_str();
  push->add_option("--socket", raw->socket, "The agent's socket")
      ->type_name("PATH")
      ->envname("MUSTER_AGENT_PUSH_SOCKET");
  push->add_flag("--stdin", raw->from_stdin, "More statements come from standard input, one a line");
  push->add_flag("--delete", raw->deletes, "Forget the group with its totals");
  AddOutputOption(push, &raw->output);
  return push;
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

int NothingObserved(const absl::Status& why) {
  PrintError(why);
  return absl::IsNotFound(why) ? kExitNegative : kExitFailed;
}

int Alive(const StatusOptions& options) {
  const absl::StatusOr<ObservedLife> life = ObserveLife(options.data_dir);
  if (!life.ok()) return NothingObserved(life.status());
  const Instant now = Clock::System()->Monotonic();
  const std::string text = options.output == "json" ? DescribeLifeAsJson(*life, now) : DescribeLife(*life, now);
  std::fputs(text.c_str(), stdout);
  return IsAlive(*life, now) ? kExitOk : kExitNegative;
}

int Status(const StatusOptions& options) {
  if (options.alive) return Alive(options);
  const absl::StatusOr<ObservedState> observed = ObserveState(options.data_dir);
  if (!observed.ok()) return NothingObserved(observed.status());
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
  RawPush raw_push;
  const CLI::App* run = AddRun(&app, &raw);
  const CLI::App* doctor = AddDoctor(&app, &raw, &doctor_output);
  AddStatus(&app, &status_options);
  const CLI::App* push = AddPush(&app, &raw_push);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11's own codes start at 100; help and version are no errors.
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (run->parsed()) return Run(raw);
  if (doctor->parsed()) return Doctor(raw, doctor_output);
  if (push->parsed()) return RunPush(raw_push);
  return Status(status_options);
}

}  // namespace muster::agent
