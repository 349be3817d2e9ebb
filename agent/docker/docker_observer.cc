#include "agent/docker/docker_observer.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "agent/http/beast_http_client.h"

namespace muster::agent {

DockerObserver::DockerObserver(const Options& options, const Clock* clock, PresentSink* sink, ContainerSink* containers)
    : http_(std::make_unique<BeastHttpClient>(HttpServer::AtSocket(options.socket_path))),
      loop_({.socket_path = options.socket_path,
             .relist_interval = options.relist_interval,
             .backoff = options.backoff,
             .deadlines = options.deadlines},
            SystemUniform(), clock, http_.get(), sink, containers) {}

DockerObserver::~DockerObserver() { Stop(); }

void DockerObserver::Start() { thread_ = std::thread(&DockerObserver::Run, this); }

void DockerObserver::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  http_->Cancel();
  if (thread_.joinable()) thread_.join();
}

void DockerObserver::SetRelistInterval(absl::Duration interval) { loop_.SetRelistInterval(interval); }

void DockerObserver::Run() {
  absl::Duration wait;
  while (true) {
    {
      MutexLock lock(&mutex_);
      if (!stopping_ && wait > absl::ZeroDuration()) wake_.WaitFor(&mutex_, wait);
      if (stopping_) return;
    }
    wait = loop_.Turn();
  }
}

DockerProbe ProbeDocker(const std::string& socket_path, absl::Duration deadline) {
  DockerProbe probe;
  struct stat info {};
  probe.is_present = stat(socket_path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
  BeastHttpClient http(HttpServer::AtSocket(socket_path));
  EngineClient engine(&http, {.small = deadline});
  const absl::StatusOr<EngineVersion> version = engine.Version();
  if (version.ok()) {
    probe.runtime = fmt::format("{} {}", version->name, version->version);
  } else {
    probe.problem = DescribeFault(version.status(), socket_path);
  }
  return probe;
}

}  // namespace muster::agent
