#include "agent/kubernetes/pod_history.h"

#include <algorithm>
#include <cstdint>

namespace muster::agent {
namespace {

constexpr std::int64_t kEnough = kRestartsInALoop;

PodRecord& Ensure(std::unique_ptr<PodRecord>& record) {
  if (record == nullptr) record = std::make_unique<PodRecord>();
  return *record;
}

RestartRing& RingOf(const std::string& container, std::unique_ptr<PodRecord>& record) {
  auto& rings = Ensure(record).restarts;
  const auto it = std::find_if(rings.begin(), rings.end(), [&](const auto& ring) { return ring.first == container; });
  return it == rings.end() ? rings.emplace_back(container, RestartRing()).second : it->second;
}

const KubeContainer* FindContainer(const KubePod& pod, const KubeContainer& like) {
  const auto it = std::find_if(pod.containers.begin(), pod.containers.end(),
                               [&](const KubeContainer& c) { return c.spec.name == like.spec.name; });
  return it == pod.containers.end() ? nullptr : &*it;
}

void LookBack(const KubePod& pod, const KubeContainer& c, const Moment& now, std::unique_ptr<PodRecord>& record) {
  const bool runs = c.state == KubeContainerState::kRunning;
  const absl::Time last = runs ? c.started : c.last.has_value() ? c.last->finished : absl::InfinitePast();
  if (now.wall - last >= kRestartWindow) return;
  RestartRing& ring = RingOf(c.spec.name, record);
  for (std::int64_t i = 1; i < std::min(c.restart_count, kEnough); ++i) ring.AddPast(pod.meta.created, now);
  ring.AddPast(last, now);
}

}  // namespace

void RecordPod(const KubePod* before, const KubePod& pod, const Moment& now, std::unique_ptr<PodRecord>& record) {
  bool is_pull_failing = false;
  for (const KubeContainer& c : pod.containers) {
    const KubeContainer* old = before == nullptr ? nullptr : FindContainer(*before, c);
    if (old == nullptr && c.restart_count > 0) LookBack(pod, c, now, record);
    const std::int64_t fresh = old == nullptr ? 0 : std::min(c.restart_count - old->restart_count, kEnough);
    for (std::int64_t i = 0; i < fresh; ++i) RingOf(c.spec.name, record).Add(now.monotonic, now.wall);
    if (!IsPullFailing(c)) continue;
    is_pull_failing = true;
    PodRecord& kept = Ensure(record);
    const bool is_error = c.waiting_reason == "ErrImagePull";
    // A back-off tells that it has been failing for a while.
    kept.pull_failing_since = std::min(kept.pull_failing_since, is_error ? now.wall : now.wall - kPullGrace);
    if (is_error && !c.waiting_message.empty()) kept.pull_message = c.waiting_message;
  }
  if (record == nullptr || is_pull_failing) return;
  record->pull_failing_since = absl::InfiniteFuture();
  record->pull_message.clear();
  if (record->restarts.empty()) record.reset();
}

PodPast PastOf(const PodRecord* record, const Moment& now) {
  PodPast past;
  if (record == nullptr) return past;
  past.pull_failing_since = record->pull_failing_since;
  past.pull_message = record->pull_message;
  for (const auto& ring : record->restarts) {
    if (!ring.second.IsLoop(now.monotonic)) continue;
    past.looping_container = ring.first;
    past.loop_since = ring.second.Since();
    past.loop_end = now.wall + (ring.second.End() - now.monotonic);
    break;
  }
  return past;
}

}  // namespace muster::agent
