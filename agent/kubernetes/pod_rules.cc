#include "agent/kubernetes/pod_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "agent/deployments/messages.h"

namespace muster::agent {
namespace {

using Maybe = std::optional<PodJudgement>;

constexpr std::string_view kCrashLoop = "CrashLoopBackOff";
constexpr std::string_view kErrImagePull = "ErrImagePull";
constexpr std::string_view kImagePullBackOff = "ImagePullBackOff";
constexpr std::string_view kOomKilled = "OOMKilled";
constexpr std::string_view kUnhealthy = "Unhealthy";
// What keeps a container from running until somebody changes something.
constexpr std::array<std::string_view, 7> kWaitingErrors = {kCrashLoop,
                                                            kImagePullBackOff,
                                                            "InvalidImageName",
                                                            "ErrImageNeverPull",
                                                            "CreateContainerConfigError",
                                                            "CreateContainerError",
                                                            "RunContainerError"};

absl::Time SinceOf(const KubePod& pod, std::string_view condition) {
  const KubeCondition* found = FindCondition(pod.conditions, condition);
  return found == nullptr || found->since == absl::InfinitePast() ? pod.meta.created : found->since;
}

PodJudgement Judge(PodClass pod_class, std::string container, std::string reason, std::string output,
                   absl::Time since) {
  PodJudgement judgement;
  judgement.pod_class = pod_class;
  judgement.container = std::move(container);
  judgement.reason = std::move(reason);
  judgement.output = std::move(output);
  judgement.since = since;
  return judgement;
}

std::string MessageOf(const KubeWarning* warning) { return warning == nullptr ? "" : warning->message; }

std::string EndOf(const KubeTermination& end) {
  return end.reason == kOomKilled ? fmt::format("OOM-killed (out of memory), {}", ExitReason(end.exit_code))
                                  : ExitReason(end.exit_code);
}

// Newer kubelets repeat the registry's answer in the back-off's message, older ones only told it before.
std::string PullMessage(const KubeContainer& container, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  if (container.waiting_reason == kErrImagePull && !container.waiting_message.empty()) return container.waiting_message;
  if (container.waiting_message.find(kErrImagePull) != std::string::npos) return container.waiting_message;
  if (!past.pull_message.empty()) return past.pull_message;
  const KubeWarning* failed = NewestWarning(warnings, "Failed");
  return failed == nullptr ? container.waiting_message : failed->message;
}

Maybe Crashing(const KubePod& pod, const KubeContainer& container, const std::vector<KubeWarning>& warnings) {
  std::string reason = fmt::format("is in {} ({} restart{})", kCrashLoop, container.restart_count,
                                   container.restart_count == 1 ? "" : "s");
  std::string output;
  absl::Time since = SinceOf(pod, "Ready");
  if (container.last.has_value()) {
    reason += fmt::format(", last {}", EndOf(*container.last));
    output = container.last->message;
    since = container.last->finished;
  }
  if (const KubeWarning* unhealthy = NewestWarning(warnings, kUnhealthy); output.empty() && unhealthy != nullptr) {
    // Stopped by its kubelet, which nothing in the exit code tells.
    if (unhealthy->message.starts_with("Liveness") || unhealthy->message.starts_with("Startup")) {
      output = unhealthy->message;
    }
  }
  return Judge(PodClass::kError, container.spec.name, std::move(reason), std::move(output), since);
}

Maybe CannotStart(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings, absl::Time now) {
  for (const KubeContainer& c : pod.containers) {
    if (c.state != KubeContainerState::kWaiting) continue;
    if (c.waiting_reason == kCrashLoop) return Crashing(pod, c, warnings);
    const bool pull_lasts = c.waiting_reason == kErrImagePull && now - past.pull_failing_since >= kPullGrace;
    if (c.waiting_reason == kImagePullBackOff || pull_lasts) {
      return Judge(PodClass::kError, c.spec.name,
                   fmt::format("cannot pull its image {} ({})", c.spec.image, c.waiting_reason),
                   PullMessage(c, past, warnings),
                   past.pull_failing_since == absl::InfiniteFuture() ? SinceOf(pod, "Ready") : past.pull_failing_since);
    }
    if (std::find(kWaitingErrors.begin(), kWaitingErrors.end(), c.waiting_reason) != kWaitingErrors.end()) {
      return Judge(PodClass::kError, c.spec.name, fmt::format("cannot be started ({})", c.waiting_reason),
                   c.waiting_message, SinceOf(pod, "Ready"));
    }
  }
  return std::nullopt;
}

Maybe OutOfMemory(const KubePod& pod, absl::Time now) {
  for (const KubeContainer& c : pod.containers) {
    const bool is_down = c.state == KubeContainerState::kTerminated;
    const KubeTermination* end = is_down ? &c.terminated : c.last.has_value() ? &*c.last : nullptr;
    if (end == nullptr || end->reason != kOomKilled || now - end->finished >= kOomWindow) continue;
    PodJudgement judgement =
        Judge(PodClass::kError, c.spec.name,
              is_down ? fmt::format("was {}", EndOf(*end)) : "was OOM-killed (out of memory) in the last 10 min",
              end->message, end->finished);
    judgement.by_window = true;
    judgement.next_change = end->finished + kOomWindow;
    return judgement;
  }
  return std::nullopt;
}

const KubeContainer* FirstFailed(const KubePod& pod, bool only_for_good) {
  const auto it = std::find_if(pod.containers.begin(), pod.containers.end(), [&](const KubeContainer& c) {
    return c.state == KubeContainerState::kTerminated && c.terminated.exit_code != 0 &&
           (!only_for_good || HasEndedForGood(pod, c));
  });
  return it == pod.containers.end() ? nullptr : &*it;
}

Maybe Failed(const KubePod& pod) {
  const bool is_failed = pod.phase == "Failed";
  if (is_failed && !pod.reason.empty()) {
    const std::string reason =
        pod.reason == "Evicted" ? std::string("was evicted") : fmt::format("failed ({})", pod.reason);
    return Judge(PodClass::kError, "", reason, pod.message, SinceOf(pod, "Ready"));
  }
  if (const KubeContainer* c = FirstFailed(pod, /*only_for_good=*/!is_failed); c != nullptr) {
    return Judge(PodClass::kError, c->spec.name, EndOf(c->terminated), c->terminated.message, c->terminated.finished);
  }
  if (is_failed) return Judge(PodClass::kError, "", "failed", pod.message, SinceOf(pod, "Ready"));
  return std::nullopt;
}

Maybe Looping(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  if (past.looping_container.empty()) return std::nullopt;
  std::string reason = "is in a restart loop (3 or more restarts in 10 min)";
  for (const KubeContainer& c : pod.containers) {
    if (c.spec.name == past.looping_container && c.last.has_value()) reason += fmt::format(", last {}", EndOf(*c.last));
  }
  PodJudgement judgement = Judge(PodClass::kError, past.looping_container, std::move(reason),
                                 MessageOf(NewestWarning(warnings, kUnhealthy)), past.loop_since);
  judgement.by_window = true;
  judgement.next_change = past.loop_end;
  return judgement;
}

Maybe Unscheduled(const KubePod& pod, const std::vector<KubeWarning>& warnings, absl::Time now) {
  const KubeCondition* scheduled = FindCondition(pod.conditions, "PodScheduled");
  if (scheduled == nullptr || scheduled->status != "False") return std::nullopt;
  const absl::Time since = SinceOf(pod, "PodScheduled");
  std::string output =
      scheduled->message.empty() ? MessageOf(NewestWarning(warnings, "FailedScheduling")) : scheduled->message;
  if (now - since >= kKubeDeadline) {
    return Judge(PodClass::kError, "", "has not been scheduled for 10 min", std::move(output), since);
  }
  PodJudgement judgement = Judge(PodClass::kProgressing, "", "is not scheduled yet", std::move(output), since);
  judgement.next_change = since + kKubeDeadline;
  return judgement;
}

// Nobody but the controller of nodes takes a pod's readiness away while its containers have theirs.
bool LooksLost(const KubePod& pod) {
  const KubeCondition* ready = FindCondition(pod.conditions, "Ready");
  const KubeCondition* containers_ready = FindCondition(pod.conditions, "ContainersReady");
  return ready != nullptr && ready->status != "True" && ready->reason != "ReadinessGatesNotReady" &&
         containers_ready != nullptr && containers_ready->status == "True";
}

Maybe Lost(const KubePod& pod, const PodPast& past) {
  const KubeCondition* ready = FindCondition(pod.conditions, "Ready");
  const bool is_ready = ready != nullptr && ready->status == "True";
  const bool is_lost = pod.phase == "Unknown" || pod.reason == "NodeLost" ||
                       (pod.phase != "Succeeded" && !is_ready && (past.is_node_lost || LooksLost(pod)));
  if (!is_lost) return std::nullopt;
  return Judge(PodClass::kUnavailable, "", fmt::format("is on node {}, which does not answer", pod.node), pod.message,
               SinceOf(pod, "Ready"));
}

PodJudgement Progressing(const KubePod& pod, const KubeContainer* container, std::string reason, std::string output) {
  return Judge(PodClass::kProgressing, container == nullptr ? "" : container->spec.name, std::move(reason),
               std::move(output), SinceOf(pod, "Ready"));
}

std::string WhyWaiting(const KubeContainer& c, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  if (IsPullFailing(c)) return PullMessage(c, past, warnings);
  return c.waiting_message.empty() ? MessageOf(NewestWarning(warnings, "")) : c.waiting_message;
}

Maybe InitUnderWay(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  for (const KubeContainer& c : pod.containers) {
    if (!c.is_init) break;
    const bool is_done = c.spec.is_sidecar ? c.state == KubeContainerState::kRunning && c.has_started
                                           : c.state == KubeContainerState::kTerminated && c.terminated.exit_code == 0;
    if (is_done) continue;
    if (c.state == KubeContainerState::kTerminated) {
      return Progressing(pod, &c, fmt::format("(init) is restarting, {}", EndOf(c.terminated)), c.terminated.message);
    }
    if (c.state == KubeContainerState::kRunning) return Progressing(pod, &c, "(init) is running", "");
    return Progressing(pod, &c,
                       fmt::format("(init) waits ({})", c.waiting_reason.empty() ? "not started" : c.waiting_reason),
                       WhyWaiting(c, past, warnings));
  }
  return std::nullopt;
}

Maybe ContainerUnderWay(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  for (const KubeContainer& c : pod.containers) {
    if (c.is_init || HasEndedForGood(pod, c)) continue;
    switch (c.state) {
      case KubeContainerState::kTerminated:
        return Progressing(pod, &c, fmt::format("is restarting, {}", EndOf(c.terminated)), c.terminated.message);
      case KubeContainerState::kWaiting:
      case KubeContainerState::kUnknown:
        return Progressing(pod, &c,
                           fmt::format("waits ({})", c.waiting_reason.empty() ? "not started" : c.waiting_reason),
                           WhyWaiting(c, past, warnings));
      case KubeContainerState::kRunning:
        break;
    }
    if (c.is_ready) continue;
    // A server that does not tell `started` tells of no startup probe either.
    return Progressing(pod, &c, c.spec.has_probe && !c.has_started ? "is starting" : "is not ready",
                       MessageOf(NewestWarning(warnings, kUnhealthy)));
  }
  return std::nullopt;
}

Maybe UnderWay(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings) {
  // While the first containers run, those for the beginning are over, whatever is still told of them.
  if (pod.phase != "Running") {
    if (Maybe init = InitUnderWay(pod, past, warnings)) return init;
  }
  if (Maybe container = ContainerUnderWay(pod, past, warnings)) return container;
  if (pod.phase == "Pending" || pod.phase.empty()) {
    return Progressing(pod, nullptr, "is pending", MessageOf(NewestWarning(warnings, "")));
  }
  const bool some_ended = std::any_of(pod.containers.begin(), pod.containers.end(),
                                      [&](const KubeContainer& c) { return !c.is_init && HasEndedForGood(pod, c); });
  const KubeCondition* ready = FindCondition(pod.conditions, "Ready");
  // With one container that has done its work the pod as a whole is never ready again.
  if (some_ended || (ready != nullptr && ready->status == "True")) return std::nullopt;
  return Progressing(pod, nullptr, "is not ready", ready == nullptr ? "" : ready->message);
}

}  // namespace

const KubeCondition* FindCondition(const std::vector<KubeCondition>& conditions, std::string_view type) {
  const auto it = std::find_if(conditions.begin(), conditions.end(),
                               [type](const KubeCondition& condition) { return condition.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

const KubeWarning* NewestWarning(const std::vector<KubeWarning>& warnings, std::string_view reason) {
  const KubeWarning* newest = nullptr;
  for (const KubeWarning& warning : warnings) {
    if (!reason.empty() && warning.reason != reason) continue;
    if (newest == nullptr || warning.last_seen > newest->last_seen) newest = &warning;
  }
  return newest;
}

bool IsPullFailing(const KubeContainer& container) {
  return container.state == KubeContainerState::kWaiting &&
         (container.waiting_reason == kErrImagePull || container.waiting_reason == kImagePullBackOff);
}

bool HasEndedForGood(const KubePod& pod, const KubeContainer& container) {
  if (container.state != KubeContainerState::kTerminated) return false;
  if (pod.phase == "Failed" || pod.phase == "Succeeded") return true;
  if (container.spec.is_sidecar || pod.restart_policy == "Always" || pod.restart_policy.empty()) {
    return container.is_init && !container.spec.is_sidecar && container.terminated.exit_code == 0;
  }
  return pod.restart_policy == "Never" || container.terminated.exit_code == 0;
}

PodJudgement JudgePod(const KubePod& pod, const PodPast& past, const std::vector<KubeWarning>& warnings,
                      absl::Time now) {
  if (Maybe judged = CannotStart(pod, past, warnings, now)) return *std::move(judged);
  if (Maybe judged = OutOfMemory(pod, now)) return *std::move(judged);
  if (Maybe judged = Failed(pod)) return *std::move(judged);
  if (pod.phase == "Succeeded") {
    absl::Time finished = absl::InfinitePast();
    for (const KubeContainer& c : pod.containers) finished = std::max(finished, c.terminated.finished);
    return Judge(PodClass::kFinished, "", "", "", finished);
  }
  if (Maybe judged = Looping(pod, past, warnings)) return *std::move(judged);
  if (Maybe judged = Unscheduled(pod, warnings, now)) return *std::move(judged);
  if (Maybe judged = Lost(pod, past)) return *std::move(judged);
  if (Maybe judged = UnderWay(pod, past, warnings)) {
    if (past.pull_failing_since != absl::InfiniteFuture()) judged->next_change = past.pull_failing_since + kPullGrace;
    return *std::move(judged);
  }
  const bool is_checked = std::any_of(pod.containers.begin(), pod.containers.end(), [&](const KubeContainer& c) {
    return c.spec.has_probe && !HasEndedForGood(pod, c);
  });
  return Judge(is_checked ? PodClass::kHealthy : PodClass::kRunning, "", "", "", SinceOf(pod, "Ready"));
}

}  // namespace muster::agent
