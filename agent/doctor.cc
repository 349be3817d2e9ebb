#include "agent/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/docker/docker_observer.h"
#include "agent/host/data_dir.h"
#include "agent/host/secret_file.h"
#include "agent/http/beast_http_client.h"
#include "agent/jobs/push_command.h"
#include "agent/jobs/unix_socket.h"
#include "agent/kubernetes/object_decode.h"
#include "agent/link/grpc_dialer.h"
#include "agent/make_observer.h"
#include "common/files.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

// A connection attempt ends after 10 s; a hub that is there answers at once.
constexpr absl::Duration kHubPatience = absl::Seconds(15);
// Numbers of thousands of interrupts.
constexpr std::size_t kMaxStatBytes = 4 * 1024 * 1024;
constexpr absl::Duration kApiPatience = absl::Seconds(10);
constexpr std::size_t kMaxVersionBytes = 64 * 1024;
constexpr absl::Duration kSocketPatience = absl::Seconds(2);

// The end of a stream on which nothing was said.
class SilentCaller : public LinkEvents {
 public:
  void OnSent() override {}
  void OnReadEnded() override {}
  void OnFrame(v1::SessionResponse /*frame*/) override { Settle(absl::OkStatus()); }
  void OnClosed(absl::Status status) override { Settle(std::move(status)); }

  absl::Status Wait() {
    MutexLock lock(&mutex_);
    while (!outcome_.has_value()) {
      if (!settled_.WaitFor(&mutex_, kHubPatience)) {
        return absl::DeadlineExceededError(
            "the connection stands, but nobody answers; check that this is a Muster hub");
      }
    }
    return *outcome_;
  }

 private:
  void Settle(absl::Status status) {
    MutexLock lock(&mutex_);
    if (!outcome_.has_value()) outcome_ = std::move(status);
    settled_.NotifyAll();
  }

  Mutex mutex_;
  CondVar settled_;
  std::optional<absl::Status> outcome_ ABSL_GUARDED_BY(mutex_);
};

// Name, TCP, TLS, trust and protocol in one: a stream is opened and closed without a Hello.
Finding ExamineHub(const HubAddress& hub) {
  GrpcDialer dialer({.hub = hub.address, .ca_pem = hub.ca_pem, .insecure = hub.insecure});
  const auto caller = std::make_shared<SilentCaller>();
  auto link = dialer.Dial(caller);
  link->Receive();
  link->HalfClose();
  const absl::Status outcome = caller->Wait();
  link.reset();
  dialer.Drain();
  if (!outcome.ok()) return {"hub", false, MessageOf(outcome)};
  return {"hub", true,
          fmt::format("{} answers {}", hub.address, hub.insecure ? "without TLS" : "over TLS and is trusted")};
}

Finding ExamineDocker(const RawRunConfig& raw) {
  const DockerProbe probe = ProbeDocker(raw.docker_socket);
  if (!probe.runtime.empty()) return {"docker", true, fmt::format("{} at {}", probe.runtime, raw.docker_socket)};
  const bool wanted = raw.runtime == "docker" || probe.is_present;
  if (wanted) return {"docker", false, probe.problem};
  return {"docker", true, fmt::format("no engine at {}: a host without deployments", raw.docker_socket)};
}

// Name, TCP, TLS, trust and the token in one.
Finding ExamineCluster(const Cluster& cluster) {
  BeastHttpClient api(cluster.server);
  const std::string where = fmt::format("the API server at {}:{}", cluster.server.host, cluster.server.port);
  const absl::StatusOr<HttpResponse> answer =
      api.Get({.target = "/version", .deadline = kApiPatience, .max_body_bytes = kMaxVersionBytes});
  if (!answer.ok()) return {"kubernetes", false, fmt::format("{}: {}", where, MessageOf(answer.status()))};
  if (answer->code != 200) {
    const std::string message = KubeStatusMessage(answer->body);
    return {"kubernetes", false,
            fmt::format("{} answers {}{}{}", where, answer->code, message.empty() ? "" : ": ", message)};
  }
  const absl::StatusOr<std::string> version = DecodeKubeVersion(answer->body);
  if (!version.ok()) return {"kubernetes", false, fmt::format("{} is none: {}", where, MessageOf(version.status()))};
  return {"kubernetes", true,
          fmt::format("kubernetes {}, {}; {}", *version, where,
                      cluster.name_space.empty() ? "all namespaces" : "namespace " + cluster.name_space)};
}

// What runs the deployments: the cluster of `run` with the same options, else Docker.
Finding ExamineRuntime(const RawRunConfig& raw, Runtime runtime) {
  RunConfig config;
  config.runtime = runtime;
  config.kubeconfig = raw.kubeconfig;
  config.service_account_dir = raw.service_account_dir;
  config.kube_namespace = raw.kube_namespace;
  config.cluster = raw.cluster;
  const absl::StatusOr<std::optional<Cluster>> cluster = FindCluster(config);
  if (!cluster.ok()) return {"kubernetes", false, MessageOf(cluster.status())};
  return cluster->has_value() ? ExamineCluster(**cluster) : ExamineDocker(raw);
}

Finding ExamineSecretFile(const std::string& path) {
  const absl::StatusOr<Secret> secret = ReadSecretFile(path);
  if (!secret.ok()) return {"secret-file", false, MessageOf(secret.status())};
  if (const auto warning = SecretFileWarning(path)) return {"secret-file", false, *warning};
  return {"secret-file", true, fmt::format("{} holds a target secret", path)};
}

Finding ExamineDataDir(const std::string& path) {
  const absl::StatusOr<ObservedState> observed = ObserveState(path);
  if (absl::IsNotFound(observed.status())) return {"data-dir", true, fmt::format("no agent has run with {} yet", path)};
  if (!observed.ok()) return {"data-dir", false, MessageOf(observed.status())};
  if (!observed->agent_running) return {"data-dir", true, fmt::format("no agent runs with {} now", path)};
  const SessionStatus& session = observed->state.session;
  if (session.connected) return {"data-dir", true, fmt::format("an agent is connected as {}", session.target_name)};
  return {"data-dir", false, fmt::format("an agent runs and is not connected: {}", session.last_error)};
}

Finding ExamineHost(const std::string& root) {
  const absl::StatusOr<std::string> stat = ReadFile(root + "/proc/stat", kMaxStatBytes);
  if (stat.ok() && stat->starts_with("cpu")) return {"host", true, fmt::format("{}/proc can be read", root)};
  return {"host", false,
          fmt::format("{}/proc cannot be read{}{}; give --host-root the folder at which the host's / is mounted "
                      "(docker run -v /:/host:ro,rslave, then --host-root /host)",
                      root, stat.ok() ? "" : ": ", stat.ok() ? "" : MessageOf(stat.status()))};
}

Finding ExaminePushSocket(const RawRunConfig& raw) {
  const absl::StatusOr<ObservedState> observed = ObserveState(raw.data_dir);
  const bool runs = !raw.data_dir.empty() && observed.ok() && observed->agent_running;
  // The agent that runs knows best: its service may have named another.
  std::string path = raw.push_socket;
  if (path.empty()) path = runs ? observed->state.jobs.socket : raw.data_dir + "/push.sock";
  if (path == "off" || path.empty()) return {"push-socket", true, "off: jobs cannot push on this host"};
  if (const absl::Status fits = CheckSocketPath(path); !fits.ok()) return {"push-socket", false, MessageOf(fits)};
  if (const absl::Status connected = ConnectUnix(path).status(); !connected.ok()) {
    if (runs || absl::IsPermissionDenied(connected)) return {"push-socket", false, MessageOf(connected)};
    return {"push-socket", true, fmt::format("no agent listens at {} now", path)};
  }
  const absl::StatusOr<std::string> answer = SendPush({path}, "ping\n", kSocketPatience);
  if (!answer.ok()) return {"push-socket", false, MessageOf(answer.status())};
  if (!answer->starts_with("ok ")) return {"push-socket", false, fmt::format("{} answers \"{}\"", path, *answer)};
  return {"push-socket", true, fmt::format("jobs may push to {}", path)};
}

Finding ExamineMaskFile(const std::string& path) {
  const absl::StatusOr<std::vector<std::string>> expressions = ReadMaskFile(path);
  if (!expressions.ok()) return {"mask-file", false, MessageOf(expressions.status())};
  return {"mask-file", true, fmt::format("{} holds {} expressions", path, expressions->size())};
}

}  // namespace

absl::StatusOr<std::vector<Finding>> Examine(const RawRunConfig& raw) {
  ASSIGN_OR_RETURN(const HubAddress hub, FinalizeHub(raw));
  ASSIGN_OR_RETURN(const std::string host_root, ParseHostRoot(raw.host_root));
  ASSIGN_OR_RETURN(const Runtime runtime, ParseRuntime(raw.runtime));
  std::vector<Finding> findings = {ExamineHub(hub), ExamineHost(host_root)};
  if (runtime != Runtime::kNone) findings.push_back(ExamineRuntime(raw, runtime));
  if (!raw.target_secret_file.empty()) findings.push_back(ExamineSecretFile(raw.target_secret_file));
  if (!raw.data_dir.empty()) findings.push_back(ExamineDataDir(raw.data_dir));
  if (!raw.data_dir.empty() || !raw.push_socket.empty()) findings.push_back(ExaminePushSocket(raw));
  if (!raw.mask_file.empty()) findings.push_back(ExamineMaskFile(raw.mask_file));
  return findings;
}

bool AllGood(const std::vector<Finding>& findings) {
  return std::all_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.good; });
}

std::string DescribeFindings(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{} {:<12} {}\n", finding.good ? "● ok   " : "▲ wrong", finding.subject,
                        EscapeControl(finding.text));
  }
  return text;
}

std::string DescribeFindingsAsJson(const std::vector<Finding>& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"subject", finding.subject}, {"good", finding.good}, {"text", finding.text}});
  }
  const nlohmann::json document = {{"good", AllGood(findings)}, {"findings", list}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace muster::agent
