#include "agent/kubernetes/kubernetes_observer.h"

#include <utility>

namespace muster::agent {

KubernetesObserver::KubernetesObserver(WatchLoop::Options options, const Clock* clock,
                                       std::unique_ptr<StreamGroup> streams, PresentSink* sink,
                                       ContainerSink* containers, NodeSink* nodes)
    : loop_(std::move(options), SystemUniform(), clock, std::move(streams), sink, containers, nodes),
      thread_([this] { Run(); }) {}

KubernetesObserver::~KubernetesObserver() {
  stopping_ = true;
  loop_.Wake();
  thread_.join();
}

void KubernetesObserver::Run() {
  while (!stopping_) loop_.Turn();
}

}  // namespace muster::agent
