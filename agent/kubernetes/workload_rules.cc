#include "agent/kubernetes/workload_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace muster::agent {
namespace {

using Pods = std::vector<const PodOfWorkload*>;

constexpr std::string_view kCompleted = "completed";
constexpr std::string_view kBetweenRuns = "next run by its schedule";

Complaint Complain(const PodOfWorkload& pod) {
  const PodJudgement& judgement = pod.judgement;
  return {.name = judgement.container.empty() ? pod.name : fmt::format("{}/{}", pod.name, judgement.container),
          .reason = judgement.reason,
          .output = judgement.output};
}

std::string MinutesOf(absl::Duration duration) {
  const std::int64_t seconds = absl::ToInt64Seconds(duration);
  return seconds % 60 == 0 ? fmt::format("{} min", seconds / 60) : fmt::format("{} s", seconds);
}

bool Is(const PodOfWorkload& pod, PodClass pod_class) { return pod.judgement.pod_class == pod_class; }

bool IsUnderWay(const PodOfWorkload& pod) { return Is(pod, PodClass::kProgressing) || Is(pod, PodClass::kUnavailable); }

template <typename Matches>
Pods Select(const Pods& pods, Matches matches) {
  Pods found;
  std::copy_if(pods.begin(), pods.end(), std::back_inserter(found),
               [&](const PodOfWorkload* pod) { return matches(*pod); });
  return found;
}

// Evicted and replaced ones stay as objects, and count only while there is nothing else.
Pods CountedPods(const std::vector<PodOfWorkload>& pods) {
  Pods wanted;
  for (const PodOfWorkload& pod : pods) {
    if (!pod.is_deleted && !pod.is_unwanted) wanted.push_back(&pod);
  }
  Pods living = Select(wanted, [](const PodOfWorkload& pod) { return !pod.is_over; });
  return living.empty() ? wanted : living;
}

// A Job tries again; whether it failed is what its condition says.
Pods LivingPods(const std::vector<PodOfWorkload>& pods) {
  Pods living;
  for (const PodOfWorkload& pod : pods) {
    if (!pod.is_deleted && !pod.is_over) living.push_back(&pod);
  }
  return living;
}

void AddComplaints(const Pods& pods, std::vector<Complaint>& complaints) {
  for (const PodOfWorkload* pod : pods) complaints.push_back(Complain(*pod));
}

WorkloadJudgement Simple(WorkloadClass workload_class, std::string_view note, absl::Time since) {
  WorkloadJudgement judgement;
  judgement.workload_class = workload_class;
  judgement.note = note;
  judgement.since = since;
  return judgement;
}

WorkloadJudgement Because(WorkloadClass workload_class, const KubeWorkload& workload, std::string reason,
                          std::string output, absl::Time since) {
  WorkloadJudgement judgement = Simple(workload_class, "", since);
  judgement.complaints.push_back(
      {.name = workload.meta.name, .reason = std::move(reason), .output = std::move(output)});
  return judgement;
}

std::optional<WorkloadJudgement> PodErrors(const Pods& pods) {
  const Pods bad = Select(pods, [](const PodOfWorkload& pod) { return Is(pod, PodClass::kError); });
  if (bad.empty()) return std::nullopt;
  WorkloadJudgement judgement = Simple(WorkloadClass::kError, "", absl::InfiniteFuture());
  AddComplaints(bad, judgement.complaints);
  judgement.by_window = true;
  for (const PodOfWorkload* pod : bad) {
    judgement.since = std::min(judgement.since, pod->judgement.since);
    judgement.by_window = judgement.by_window && pod->judgement.by_window;
  }
  return judgement;
}

// All is as it should be; what the pods say then.
WorkloadJudgement Up(const Pods& pods, const std::vector<KubeContainerSpec>& containers, std::string_view note) {
  WorkloadJudgement judgement = Simple(WorkloadClass::kRunning, note, absl::InfinitePast());
  bool is_checked = false;
  for (const PodOfWorkload* pod : pods) {
    is_checked = is_checked || Is(*pod, PodClass::kHealthy);
    judgement.since = std::max(judgement.since, pod->judgement.since);
  }
  if (pods.empty()) {
    is_checked =
        std::any_of(containers.begin(), containers.end(), [](const KubeContainerSpec& c) { return c.has_probe; });
  }
  if (is_checked) judgement.workload_class = WorkloadClass::kHealthy;
  return judgement;
}

// Not there yet: progressing until the deadline, an error behind it.
WorkloadJudgement Waiting(WorkloadJudgement judgement, std::string_view name, std::string_view what,
                          absl::Duration deadline, absl::Time last_progress, absl::Time now) {
  judgement.is_waiting = true;
  const absl::Time begin = last_progress == absl::InfinitePast() ? now : std::min(last_progress, now);
  judgement.workload_class = WorkloadClass::kProgressing;
  if (now - begin < deadline) {
    judgement.next_change = begin + deadline;
    return judgement;
  }
  judgement.workload_class = WorkloadClass::kError;
  // Told as what it waited for, not to the second: a message that changes all the time says nothing new.
  if (!what.empty()) {
    judgement.complaints.insert(judgement.complaints.begin(),
                                {.name = std::string(name),
                                 .reason = fmt::format("has had {} for {}", what, MinutesOf(deadline)),
                                 .output = ""});
  }
  judgement.since = begin + deadline;
  return judgement;
}

absl::Time NextPodChange(const std::vector<PodOfWorkload>& pods) {
  absl::Time next = absl::InfiniteFuture();
  for (const PodOfWorkload& pod : pods) {
    if (!pod.is_deleted && !pod.is_unwanted) next = std::min(next, pod.judgement.next_change);
  }
  return next;
}

const KubeCondition* TrueCondition(const KubeWorkload& workload, std::string_view type) {
  const KubeCondition* condition = FindCondition(workload.conditions, type);
  return condition != nullptr && condition->status == "True" ? condition : nullptr;
}

// The first warning says most: "exceeded quota"; the pods' own stand with the pods.
std::string OwnWarning(const WorkloadView& view) {
  if (const KubeCondition* failure = TrueCondition(view.workload, "ReplicaFailure")) return failure->message;
  const KubeWarning* newest = NewestWarning(view.warnings, "");
  return newest == nullptr ? "" : newest->message;
}

std::optional<WorkloadJudgement> ControllerError(const WorkloadView& view, const Pods& pods) {
  const KubeWorkload& workload = view.workload;
  const KubeCondition* progress = FindCondition(workload.conditions, "Progressing");
  if (progress != nullptr && progress->status == "False" && progress->reason == "ProgressDeadlineExceeded") {
    const Pods late = Select(pods, IsUnderWay);
    WorkloadJudgement judgement =
        Because(WorkloadClass::kError, workload,
                fmt::format("exceeded its progress deadline of {}",
                            MinutesOf(absl::Seconds(workload.progress_deadline_seconds))),
                late.empty() ? (OwnWarning(view).empty() ? progress->message : OwnWarning(view)) : "", progress->since);
    AddComplaints(late, judgement.complaints);
    return judgement;
  }
  const KubeCondition* failure = TrueCondition(workload, "ReplicaFailure");
  if (failure != nullptr && pods.empty() && workload.replicas > 0) {
    return Because(WorkloadClass::kError, workload, "cannot create its pods", failure->message, failure->since);
  }
  return std::nullopt;
}

WorkloadJudgement JobFailure(const WorkloadView& view) {
  const KubeCondition* failed = TrueCondition(view.workload, "Failed");
  WorkloadJudgement judgement = Because(WorkloadClass::kError, view.workload,
                                        failed->reason.empty() ? "failed" : fmt::format("failed ({})", failed->reason),
                                        failed->message, failed->since);
  const PodOfWorkload* newest = nullptr;
  for (const PodOfWorkload& pod : view.pods) {
    if (Is(pod, PodClass::kError) && (newest == nullptr || pod.created > newest->created)) newest = &pod;
  }
  if (newest != nullptr) judgement.complaints.push_back(Complain(*newest));
  return judgement;
}

WorkloadJudgement JudgeJob(const WorkloadView& view, absl::Time now) {
  const KubeWorkload& job = view.workload;
  if (IsJobFailed(job)) return JobFailure(view);
  if (IsJobComplete(job)) {
    const KubeCondition* complete = TrueCondition(job, "Complete");
    return Simple(WorkloadClass::kRunning, kCompleted,
                  job.completed == absl::InfinitePast() ? complete->since : job.completed);
  }
  const Pods pods = LivingPods(view.pods);
  if (std::optional<WorkloadJudgement> errors = PodErrors(pods)) return *std::move(errors);
  if (job.is_suspended) {
    const KubeCondition* suspended = TrueCondition(job, "Suspended");
    return Simple(WorkloadClass::kRunning, "suspended", suspended == nullptr ? absl::InfinitePast() : suspended->since);
  }
  if (pods.empty()) {
    WorkloadJudgement judgement =
        Because(WorkloadClass::kProgressing, job,
                job.failed == 0 ? "has no pod yet" : fmt::format("tries again ({} failed)", job.failed),
                OwnWarning(view), std::max(job.started, view.last_progress));
    return Waiting(std::move(judgement), job.meta.name, "no pod", kKubeDeadline, view.last_progress, now);
  }
  const Pods late = Select(pods, IsUnderWay);
  if (late.empty()) return Up(pods, job.containers, "");
  WorkloadJudgement judgement = Simple(WorkloadClass::kProgressing, "", late.front()->judgement.since);
  AddComplaints(late, judgement.complaints);
  return Waiting(std::move(judgement), job.meta.name,
                 fmt::format("{} of {} pods ready", pods.size() - late.size(), pods.size()), kKubeDeadline,
                 view.last_progress, now);
}

WorkloadJudgement JudgeCronJob(const WorkloadView& view, absl::Time now) {
  std::vector<WorkloadJudgement> active;
  const WorkloadView* newest_over = nullptr;
  for (const WorkloadView& job : view.jobs) {
    if (job.workload.meta.is_deleted) continue;
    if (!IsJobComplete(job.workload) && !IsJobFailed(job.workload)) {
      active.push_back(JudgeWorkload(job, now));
    } else if (newest_over == nullptr || job.workload.meta.created > newest_over->workload.meta.created) {
      newest_over = &job;
    }
  }
  const auto find = [&active](WorkloadClass wanted) {
    return std::find_if(active.begin(), active.end(),
                        [wanted](const WorkloadJudgement& j) { return j.workload_class == wanted; });
  };
  if (const auto bad = find(WorkloadClass::kError); bad != active.end()) return *bad;
  if (newest_over != nullptr && IsJobFailed(newest_over->workload)) return JobFailure(*newest_over);
  for (const WorkloadClass wanted : {WorkloadClass::kProgressing, WorkloadClass::kHealthy, WorkloadClass::kRunning}) {
    if (const auto found = find(wanted); found != active.end() && !view.workload.is_suspended) return *found;
  }
  const absl::Time since = newest_over == nullptr
                               ? view.workload.meta.created
                               : std::max(newest_over->workload.completed, view.workload.meta.created);
  return Simple(WorkloadClass::kRunning, view.workload.is_suspended ? "suspended" : kBetweenRuns, since);
}

// "2 of 3 pods ready"; empty: nothing lacks.
std::string LackOf(const KubeWorkload& w) {
  const bool is_deployment = w.kind == KubeKind::kDeployment;
  const bool rolls = w.kind == KubeKind::kStatefulSet
                         ? !w.update_revision.empty() && w.update_revision != w.current_revision
                         : w.kind != KubeKind::kReplicaSet;
  if (rolls && !w.keeps_old_pods && !w.is_paused && w.updated_replicas < w.replicas) {
    return fmt::format("{} of {} pods updated", w.updated_replicas, w.replicas);
  }
  if (w.ready_replicas < w.replicas) return fmt::format("{} of {} pods ready", w.ready_replicas, w.replicas);
  const bool tells_available = is_deployment || w.kind == KubeKind::kDaemonSet;
  if (tells_available && w.available_replicas < w.replicas) {
    return fmt::format("{} of {} pods available", w.available_replicas, w.replicas);
  }
  if (is_deployment && !w.is_paused && w.status_replicas > w.updated_replicas) {
    return fmt::format("{} old pods still there", w.status_replicas - w.updated_replicas);
  }
  return "";
}

WorkloadJudgement JudgeReplicas(const WorkloadView& view, absl::Time now) {
  const KubeWorkload& w = view.workload;
  const bool wants_none = w.replicas == 0;
  const Pods pods = wants_none ? Pods() : CountedPods(view.pods);
  if (std::optional<WorkloadJudgement> errors = PodErrors(pods)) return *std::move(errors);
  if (std::optional<WorkloadJudgement> error = ControllerError(view, pods)) return *std::move(error);
  // A DaemonSet that was never looked at wants none either, as far as it tells.
  if (w.meta.generation > w.observed_generation) {
    WorkloadJudgement judgement = Because(WorkloadClass::kProgressing, w,
                                          "has a change that no controller has seen yet", "", absl::InfinitePast());
    return Waiting(std::move(judgement), "", "", kKubeDeadline, view.last_progress, now);
  }
  if (wants_none) {
    return Simple(WorkloadClass::kRunning, w.kind == KubeKind::kDaemonSet ? "no node is to run it" : "scaled to 0",
                  absl::InfinitePast());
  }
  const std::string lack = LackOf(w);
  if (lack.empty()) {
    if (w.is_paused && w.updated_replicas < w.replicas) return Up(pods, w.containers, "its rollout is paused");
    return Up(pods, w.containers, "");
  }
  const Pods late = Select(pods, IsUnderWay);
  WorkloadJudgement judgement = Simple(WorkloadClass::kProgressing, "", absl::InfinitePast());
  for (const PodOfWorkload* pod : late) judgement.since = std::max(judgement.since, pod->judgement.since);
  const absl::Duration deadline =
      w.kind == KubeKind::kDeployment ? absl::Seconds(w.progress_deadline_seconds) : kKubeDeadline;
  AddComplaints(late, judgement.complaints);
  const std::string own = OwnWarning(view);
  judgement = Waiting(std::move(judgement), w.meta.name, lack, deadline, view.last_progress, now);
  if (judgement.workload_class == WorkloadClass::kProgressing) {
    judgement.complaints.insert(judgement.complaints.begin(),
                                {.name = w.meta.name, .reason = "has " + lack, .output = late.empty() ? own : ""});
  } else if (late.empty()) {
    judgement.complaints.front().output = own;
  }
  return judgement;
}

template <typename Judgements>
auto OfClass(const Judgements& all, WorkloadClass wanted) {
  std::vector<const WorkloadJudgement*> found;
  for (const WorkloadJudgement& judgement : all) {
    if (judgement.workload_class == wanted) found.push_back(&judgement);
  }
  return found;
}

std::string NoteOf(const std::vector<WorkloadJudgement>& workloads) {
  const std::string& first = workloads.front().note;
  const bool is_common = std::all_of(workloads.begin(), workloads.end(),
                                     [&](const WorkloadJudgement& judgement) { return judgement.note == first; });
  return is_common ? first : "";
}

}  // namespace

bool IsJobComplete(const KubeWorkload& job) { return TrueCondition(job, "Complete") != nullptr; }

bool IsJobFailed(const KubeWorkload& job) { return TrueCondition(job, "Failed") != nullptr; }

WorkloadJudgement JudgeWorkload(const WorkloadView& view, absl::Time now) {
  if (view.workload.meta.is_deleted) {
    return Because(WorkloadClass::kProgressing, view.workload, "is being deleted", "", absl::InfinitePast());
  }
  WorkloadJudgement judgement = view.workload.kind == KubeKind::kCronJob ? JudgeCronJob(view, now)
                                : view.workload.kind == KubeKind::kJob   ? JudgeJob(view, now)
                                                                         : JudgeReplicas(view, now);
  judgement.next_change = std::min(judgement.next_change, NextPodChange(view.pods));
  return judgement;
}

WorkloadJudgement JudgeLoosePods(const std::vector<PodOfWorkload>& all, absl::Time last_progress, absl::Time now) {
  const Pods pods = CountedPods(all);
  WorkloadJudgement judgement;
  if (pods.empty()) {
    judgement = Simple(WorkloadClass::kProgressing, "", absl::InfinitePast());
    for (const PodOfWorkload& pod : all) {
      judgement.complaints.push_back({.name = pod.name, .reason = "is being deleted", .output = ""});
    }
  } else if (std::optional<WorkloadJudgement> errors = PodErrors(pods)) {
    judgement = *std::move(errors);
  } else if (const Pods late = Select(pods, IsUnderWay); !late.empty()) {
    judgement.since = late.front()->judgement.since;
    AddComplaints(late, judgement.complaints);
    judgement = Waiting(std::move(judgement), late.front()->name,
                        fmt::format("{} of {} pods ready", pods.size() - late.size(), pods.size()), kKubeDeadline,
                        last_progress, now);
  } else {
    const bool is_finished =
        std::all_of(pods.begin(), pods.end(), [](const PodOfWorkload* pod) { return Is(*pod, PodClass::kFinished); });
    judgement = Up(pods, {}, is_finished ? kCompleted : "");
  }
  judgement.next_change = std::min(judgement.next_change, NextPodChange(all));
  return judgement;
}

KubeVerdict JudgeKubeDeployment(const std::vector<WorkloadJudgement>& workloads) {
  KubeVerdict verdict;
  if (workloads.empty()) {
    verdict.status = types::v1::DEPLOYMENT_STATUS_ERROR;
    verdict.message = "all workloads are gone";
    return verdict;
  }
  for (const WorkloadJudgement& workload : workloads) {
    verdict.next_change = std::min(verdict.next_change, workload.next_change);
  }
  const auto complain = [&verdict](types::v1::DeploymentStatus status,
                                   const std::vector<const WorkloadJudgement*>& deciding) {
    verdict.status = status;
    verdict.since = absl::InfiniteFuture();
    verdict.by_window = true;
    std::vector<Complaint> complaints;
    for (const WorkloadJudgement* workload : deciding) {
      verdict.since = std::min(verdict.since, workload->since);
      verdict.by_window = verdict.by_window && workload->by_window;
      complaints.insert(complaints.end(), workload->complaints.begin(), workload->complaints.end());
    }
    verdict.message = MessageAbout(complaints);
    return verdict;
  };
  if (const auto bad = OfClass(workloads, WorkloadClass::kError); !bad.empty()) {
    return complain(types::v1::DEPLOYMENT_STATUS_ERROR, bad);
  }
  if (const auto late = OfClass(workloads, WorkloadClass::kProgressing); !late.empty()) {
    return complain(types::v1::DEPLOYMENT_STATUS_PROGRESSING, late);
  }
  verdict.status = OfClass(workloads, WorkloadClass::kHealthy).empty() ? types::v1::DEPLOYMENT_STATUS_RUNNING
                                                                       : types::v1::DEPLOYMENT_STATUS_HEALTHY;
  for (const WorkloadJudgement& workload : workloads) verdict.since = std::max(verdict.since, workload.since);
  verdict.message = NoteOf(workloads);
  return verdict;
}

}  // namespace muster::agent
