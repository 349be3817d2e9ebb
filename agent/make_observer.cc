#include "agent/make_observer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "agent/docker/docker_observer.h"
#include "agent/http/beast_stream_group.h"
#include "agent/kubernetes/cluster_config.h"
#include "agent/kubernetes/kubernetes_observer.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// How soon an engine that was installed or upgraded later is noticed.
constexpr absl::Duration kProbeInterval = absl::Seconds(30);
// At start everybody waits for it; an engine that answers at all answers within some 10 ms.
constexpr absl::Duration kFirstProbeDeadline = absl::Milliseconds(500);
// Every pod has it.
constexpr char kServiceHostVariable[] = "KUBERNETES_SERVICE_HOST";

class NothingObserver : public Observer {
 public:
  explicit NothingObserver(PresentSink* sink) { sink->Publish(Present()); }
  void SetRelistInterval(absl::Duration /*interval*/) override {}
  std::string RuntimeName() const override { return ""; }
};

// A DockerObserver from the moment there is an engine, and the engine's name.
class DockerHost : public Observer {
 public:
  DockerHost(std::string socket_path, bool required, PresentSink* sink, ContainerSink* containers)
      : socket_path_(std::move(socket_path)), sink_(sink), containers_(containers), required_(required) {
    Probe(kFirstProbeDeadline);
    if (!docker_.has_value()) {
      log::Info("no Docker engine at {}: this host is reported without deployments until there is one", socket_path_);
      sink_->Publish(Present());
    }
    thread_ = std::thread([this] { Loop(); });
  }

  ~DockerHost() override {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
      wake_.NotifyOne();
    }
    thread_.join();
  }

  void SetRelistInterval(absl::Duration interval) override {
    MutexLock lock(&mutex_);
    relist_interval_ = interval;
    if (docker_.has_value()) docker_->SetRelistInterval(interval);
  }

  std::string RuntimeName() const override {
    MutexLock lock(&mutex_);
    return name_;
  }

 private:
  void Loop() {
    while (true) {
      {
        MutexLock lock(&mutex_);
        if (!stopping_) wake_.WaitFor(&mutex_, kProbeInterval);
        if (stopping_) return;
      }
      Probe(absl::Seconds(2));
    }
  }

  void Probe(absl::Duration deadline) {
    DockerProbe probe = ProbeDocker(socket_path_, deadline);
    MutexLock lock(&mutex_);
    // The engine's last name stays: it is still what runs here, only not now.
    if (!probe.runtime.empty()) name_ = std::move(probe.runtime);
    if (docker_.has_value() || (!required_ && !probe.is_present)) return;
    log::Info("observing the Docker engine at {} ({})", socket_path_, name_.empty() ? probe.problem : name_);
    DockerObserver::Options options;
    options.socket_path = socket_path_;
    options.relist_interval = relist_interval_;
    docker_.emplace(std::move(options), Clock::System(), sink_, containers_);
    docker_->Start();
  }

  const std::string socket_path_;
  PresentSink* const sink_;
  ContainerSink* const containers_;
  const bool required_;

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::string name_ ABSL_GUARDED_BY(mutex_);
  absl::Duration relist_interval_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(60);
  std::optional<DockerObserver> docker_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::optional<Cluster>> FindCluster(const RunConfig& config) {
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  const bool is_wanted = config.runtime == Runtime::kKubernetes;
  const bool is_pod = environment(kServiceHostVariable).has_value() &&
                      access((config.service_account_dir + "/token").c_str(), F_OK) == 0;
  if (!is_wanted && (config.runtime != Runtime::kAuto || !is_pod)) return std::optional<Cluster>();
  absl::StatusOr<ClusterConfig> found = config.kubeconfig.empty()
                                            ? InClusterConfig(environment, config.service_account_dir)
                                            : ReadKubeconfig(config.kubeconfig);
  RETURN_IF_ERROR(found.status());
  Cluster cluster{.server = std::move(found->server), .name_space = config.kube_namespace};
  if (cluster.name_space.empty() && !config.cluster) cluster.name_space = found->own_namespace;
  if (cluster.name_space.empty() && !config.cluster) cluster.name_space = "default";
  return std::optional<Cluster>(std::move(cluster));
}

std::unique_ptr<Observer> MakeObserver(const RunConfig& config, const std::optional<Cluster>& cluster,
                                       const ObserverSinks& sinks) {
  if (cluster.has_value()) {
    const std::string server = fmt::format("{}:{}", cluster->server.host, cluster->server.port);
    log::Info("observing {} of the Kubernetes cluster at {}",
              cluster->name_space.empty() ? "all namespaces" : "namespace " + cluster->name_space, server);
    return std::make_unique<KubernetesObserver>(WatchLoop::Options{.server = server, .name_space = cluster->name_space},
                                                Clock::System(), std::make_unique<BeastStreamGroup>(cluster->server),
                                                sinks.present, sinks.containers, sinks.nodes);
  }
  if (config.runtime == Runtime::kNone) return std::make_unique<NothingObserver>(sinks.present);
  return std::make_unique<DockerHost>(config.docker_socket, config.runtime == Runtime::kDocker, sinks.present,
                                      sinks.containers);
}

}  // namespace muster::agent
