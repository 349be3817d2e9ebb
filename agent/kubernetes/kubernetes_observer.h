// Watches a Kubernetes cluster and publishes what runs there, or why that cannot be seen. Owns one thread, which waits
// for the API server. Only reads: docs/kubernetes.md tells what it makes of it.
#ifndef MUSTER_AGENT_KUBERNETES_KUBERNETES_OBSERVER_H_
#define MUSTER_AGENT_KUBERNETES_KUBERNETES_OBSERVER_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "agent/kubernetes/watch_loop.h"
#include "agent/observer.h"

namespace muster::agent {

class KubernetesObserver : public Observer {
 public:
  // Starts. All pointers outlive this; `containers` and `nodes` may be null. The sinks are called on the observer's
  // thread.
  KubernetesObserver(WatchLoop::Options options, const Clock* clock, std::unique_ptr<StreamGroup> streams,
                     PresentSink* sink, ContainerSink* containers, NodeSink* nodes);
  ~KubernetesObserver() override;

  void SetRelistInterval(absl::Duration interval) override { loop_.SetPublishInterval(interval); }
  std::string RuntimeName() const override { return loop_.RuntimeName(); }

 private:
  void Run();

  WatchLoop loop_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_KUBERNETES_OBSERVER_H_
