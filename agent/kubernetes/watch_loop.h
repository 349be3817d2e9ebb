// The Kubernetes observer's work, one turn at a time: keeps every kind up to date, and publishes pictures of what the
// book makes of them, or why the cluster cannot be seen (docs/kubernetes.md, "Reading"). Driven by KubernetesObserver's
// thread, in tests by the test. Not thread-safe but for SetPublishInterval, Wake and RuntimeName.
#ifndef MUSTER_AGENT_KUBERNETES_WATCH_LOOP_H_
#define MUSTER_AGENT_KUBERNETES_WATCH_LOOP_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/http/stream_group.h"
#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/kind_watch.h"
#include "agent/logs/log_sources.h"
#include "agent/present.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

// Changes are gathered so long before the picture is made anew.
inline constexpr absl::Duration kLookInterval = absl::Milliseconds(200);

// Takes the cluster's nodes, for metrics. Thread-safe; returns at once.
class NodeSink {
 public:
  virtual ~NodeSink() = default;
  virtual void PublishNodes(std::vector<KubeNode> nodes) = 0;
};

class WatchLoop {
 public:
  struct Options {
    // For messages: "https://10.96.0.1:443".
    std::string server;
    // Empty: the whole cluster, nodes too.
    std::string name_space;
    // An unchanged picture is published again after this.
    absl::Duration publish_interval = absl::Seconds(60);
    Backoff::Options backoff = {.initial = absl::Seconds(1), .maximum = absl::Seconds(30)};
  };
  // All pointers outlive this; `containers` and `nodes` may be null. `uniform`: see Backoff.
  WatchLoop(Options options, const std::function<double()>& uniform, const Clock* clock,
            std::unique_ptr<StreamGroup> streams, PresentSink* sink, ContainerSink* containers, NodeSink* nodes);

  // Does what is due, waits for the API server until something else is, and takes what it gives.
  void Turn();

  // Thread-safe.
  void SetPublishInterval(absl::Duration interval);
  // Turn returns soon.
  void Wake() { streams_->Wake(); }
  // "kubernetes v1.29.1"; "kubernetes" while no node is known.
  std::string RuntimeName() const;

 private:
  void PublishIfDue(const Moment& now);
  void PublishPicture(const Moment& now, bool is_due);
  void PublishFault(const KindWatch& kind, const Moment& now);
  // Of the kinds that a picture needs: the one that has been in trouble for longest, if that is too long.
  const KindWatch* Ailing(Instant now) const;
  bool IsComplete() const;
  absl::Duration UntilDue(Instant now) const;

  const Options options_;
  const Clock* const clock_;
  const std::unique_ptr<StreamGroup> streams_;
  PresentSink* const sink_;
  ContainerSink* const container_sink_;
  NodeSink* const node_sink_;
  std::atomic<std::int64_t> publish_interval_ms_;

  ClusterBook book_;
  std::deque<KindWatch> kinds_;

  bool is_dirty_ = true;
  Instant next_look_;
  Instant next_publication_;
  std::optional<std::string> last_published_;
  std::optional<std::uint64_t> last_logs_version_;
  std::optional<ContainerCensus> last_census_;
  std::optional<absl::Time> fault_since_;
  std::string fault_message_;

  mutable Mutex mutex_;
  std::string runtime_name_ ABSL_GUARDED_BY(mutex_) = "kubernetes";
};

// Whether a picture without this kind would be wrong: its absence is a fault. Events and nodes only add to it.
bool IsKindNeeded(KubeKind kind);

// What the operator reads: what failed and what to do.
std::string DescribeKubeFault(KubeKind kind, const KindWatch::Trouble& trouble, std::string_view server);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_WATCH_LOOP_H_
