// Watches a Docker engine and publishes what runs there, or why that cannot be seen. Owns one thread, which waits in
// the event stream. Only reads: docs/status-rules.md tells what it makes of it. Start and Stop are called by one
// thread, the rest by any.
#ifndef MUSTER_AGENT_DOCKER_DOCKER_OBSERVER_H_
#define MUSTER_AGENT_DOCKER_DOCKER_OBSERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "agent/docker/observer_loop.h"
#include "agent/present.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

inline constexpr char kDefaultDockerSocket[] = "/var/run/docker.sock";

class DockerObserver {
 public:
  struct Options {
    std::string socket_path = kDefaultDockerSocket;
    absl::Duration relist_interval = absl::Seconds(60);
    Backoff::Options backoff = {.initial = absl::Milliseconds(500), .maximum = absl::Seconds(5)};
    EngineClient::Deadlines deadlines;
  };
  // Clock and sinks must outlive this; `containers` may be null. The sinks are called on the observer's thread.
  DockerObserver(const Options& options, const Clock* clock, PresentSink* sink, ContainerSink* containers);
  // Stops.
  ~DockerObserver();

  void Start();
  // Nothing is published any more when this returns. Returns within milliseconds, whatever the engine does. Final.
  void Stop();
  // Takes effect after the next full look.
  void SetRelistInterval(absl::Duration interval);

 private:
  void Run();

  const std::unique_ptr<HttpClient> http_;
  ObserverLoop loop_;
  std::thread thread_;

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

// A short look at an engine, for `--runtime auto` and for the machine's facts.
struct DockerProbe {
  // Something is at the path: this is a Docker host, even if the engine does not answer now.
  bool is_present = false;
  // "docker 20.10.24"; empty when it did not answer.
  std::string runtime;
  // What the operator can do when it did not; empty otherwise.
  std::string problem;
};

// Blocks for at most `deadline`.
DockerProbe ProbeDocker(const std::string& socket_path, absl::Duration deadline = absl::Seconds(2));

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_DOCKER_OBSERVER_H_
