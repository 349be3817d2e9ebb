#include "agent/kubernetes/workload_rules.h"

#include <gtest/gtest.h>

#include "agent/kubernetes/testing/make_objects.h"
#include "agent/present.h"

namespace muster::agent {
namespace {

using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_PROGRESSING;
using types::v1::DEPLOYMENT_STATUS_RUNNING;
using Class = WorkloadClass;

PodOfWorkload Pod(const std::string& name, PodClass pod_class, const std::string& reason = "") {
  PodOfWorkload pod;
  pod.name = name;
  pod.judgement.pod_class = pod_class;
  pod.judgement.reason = reason;
  pod.judgement.container = reason.empty() ? "" : "web";
  pod.judgement.since = kTestNow - absl::Minutes(2);
  pod.is_over = pod_class == PodClass::kFinished;
  return pod;
}

class JudgeWorkloadTest : public testing::Test {
 protected:
  void Make(KubeKind kind, int replicas = 3) {
    view_ = {};
    view_.workload = MakeWorkload(kind, "web", replicas);
    view_.last_progress = kTestNow - absl::Minutes(2);
    for (int i = 0; i < replicas; ++i) view_.pods.push_back(Pod("web-" + std::to_string(i), PodClass::kHealthy));
  }
  KubeWorkload& workload() { return view_.workload; }
  WorkloadJudgement Judge() const { return JudgeWorkload(view_, kTestNow); }
  KubeVerdict Verdict() const { return JudgeKubeDeployment({Judge()}); }
  std::string Message() const { return Verdict().message; }

  WorkloadView view_;
};

TEST_F(JudgeWorkloadTest, ReadyWithProbesIsHealthyWithoutRunning) {
  for (const KubeKind kind :
       {KubeKind::kDeployment, KubeKind::kStatefulSet, KubeKind::kDaemonSet, KubeKind::kReplicaSet}) {
    Make(kind);
    EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY);
    EXPECT_EQ(Message(), "");
    EXPECT_EQ(Verdict().since, kTestNow - absl::Minutes(2));
    for (PodOfWorkload& pod : view_.pods) pod.judgement.pod_class = PodClass::kRunning;
    EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
    view_.pods.clear();
    workload().containers[0].has_probe = true;
    EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY) << "where pods may not be read, the template tells";
  }
}

TEST_F(JudgeWorkloadTest, RolloutIsProgressAndNeverAnErrorUnlessAPodSaysSo) {
  Make(KubeKind::kDeployment);
  workload().updated_replicas = 1;
  workload().status_replicas = 4;  // surge
  view_.pods.push_back(Pod("web-new", PodClass::kProgressing, "is not ready"));
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web has 1 of 3 pods updated; web-new/web is not ready");
  workload().updated_replicas = 3;
  workload().status_replicas = 4;
  EXPECT_EQ(Message(), "web has 1 old pods still there; web-new/web is not ready");
  workload().status_replicas = 3;
  workload().ready_replicas = 2;  // maxUnavailable
  EXPECT_EQ(Message(), "web has 2 of 3 pods ready; web-new/web is not ready");
  workload().ready_replicas = 3;
  workload().available_replicas = 2;  // minReadySeconds
  EXPECT_EQ(Message(), "web has 2 of 3 pods available; web-new/web is not ready");
  view_.pods.back().judgement.pod_class = PodClass::kError;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Message(), "web-new/web is not ready");
}

TEST_F(JudgeWorkloadTest, BehindTheDeadlineItIsAnError) {
  Make(KubeKind::kDeployment);
  workload().ready_replicas = 2;
  view_.pods[0] = Pod("web-0", PodClass::kProgressing, "is not ready");
  view_.pods[0].judgement.output = "statuscode: 503";
  workload().progress_deadline_seconds = 300;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Verdict().next_change, kTestNow + absl::Minutes(3));
  EXPECT_TRUE(Judge().is_waiting);
  view_.last_progress = kTestNow - absl::Minutes(5);
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Message(), "web has had 2 of 3 pods ready for 5 min; web-0/web is not ready: statuscode: 503");
  EXPECT_EQ(Verdict().since, kTestNow);
  for (const KubeKind kind : {KubeKind::kStatefulSet, KubeKind::kDaemonSet}) {
    workload().kind = kind;
    EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING) << "10 min for the others";
    view_.last_progress = kTestNow - absl::Minutes(10);
    EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
    view_.last_progress = kTestNow - absl::Minutes(5);
  }
}

TEST_F(JudgeWorkloadTest, WhatTheControllerSays) {
  Make(KubeKind::kDeployment);
  workload().updated_replicas = 0;
  SetCondition(workload().conditions, "Progressing", "False", kTestNow - absl::Minutes(1), "ProgressDeadlineExceeded",
               "ReplicaSet \"web-2\" has timed out progressing.");
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Message(), "web exceeded its progress deadline of 10 min: ReplicaSet \"web-2\" has timed out progressing.");
  EXPECT_EQ(Verdict().since, kTestNow - absl::Minutes(1));
  view_.pods.push_back(Pod("web-new", PodClass::kProgressing, "is not ready"));
  EXPECT_EQ(Message(), "web exceeded its progress deadline of 10 min; web-new/web is not ready");
  // No quota for a single pod.
  Make(KubeKind::kDeployment);
  view_.pods.clear();
  workload().ready_replicas = 0;
  SetCondition(workload().conditions, "ReplicaFailure", "True", kTestNow - absl::Minutes(1), "FailedCreate",
               "pods \"web-1\" is forbidden: exceeded quota: small");
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Message(), "web cannot create its pods: pods \"web-1\" is forbidden: exceeded quota: small");
  // Some are there: not all is lost yet.
  view_.pods.push_back(Pod("web-0", PodClass::kHealthy));
  workload().ready_replicas = 1;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web has 1 of 3 pods ready: pods \"web-1\" is forbidden: exceeded quota: small");
}

TEST_F(JudgeWorkloadTest, WhatOnlyAWarningTells) {
  Make(KubeKind::kStatefulSet);
  view_.pods.clear();
  workload().ready_replicas = workload().status_replicas = 0;
  view_.warnings.push_back({.reason = "FailedCreate", .message = "exceeded quota", .last_seen = kTestNow});
  EXPECT_EQ(Message(), "web has 0 of 3 pods ready: exceeded quota");
  view_.last_progress = kTestNow - absl::Hours(1);
  EXPECT_EQ(Message(), "web has had 0 of 3 pods ready for 10 min: exceeded quota");
}

TEST_F(JudgeWorkloadTest, ChangeThatNobodyHasSeenYet) {
  Make(KubeKind::kDeployment);
  workload().meta.generation = 2;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web has a change that no controller has seen yet");
  view_.last_progress = kTestNow - absl::Hours(1);
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
}

TEST_F(JudgeWorkloadTest, OldPodsThatAreKeptOnPurposeAreNoRollout) {
  Make(KubeKind::kStatefulSet);
  workload().current_revision = "web-1";
  workload().update_revision = "web-2";
  workload().updated_replicas = 1;
  EXPECT_EQ(Message(), "web has 1 of 3 pods updated");
  workload().keeps_old_pods = true;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY);
  Make(KubeKind::kDaemonSet);
  workload().updated_replicas = 1;
  EXPECT_EQ(Message(), "web has 1 of 3 pods updated");
  workload().keeps_old_pods = true;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY);
}

TEST_F(JudgeWorkloadTest, PausedRolloutIsNotWaitedFor) {
  Make(KubeKind::kDeployment);
  workload().is_paused = true;
  workload().updated_replicas = 1;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(Message(), "its rollout is paused");
  workload().ready_replicas = 1;
  EXPECT_EQ(Message(), "web has 1 of 3 pods ready");
}

TEST_F(JudgeWorkloadTest, NothingIsWanted) {
  Make(KubeKind::kDeployment, 0);
  view_.pods.push_back(Pod("web-0", PodClass::kError, "is on its way out"));
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Message(), "scaled to 0");
  Make(KubeKind::kDaemonSet, 0);
  EXPECT_EQ(Message(), "no node is to run it");
}

TEST_F(JudgeWorkloadTest, OnlyWantedPodsCount) {
  Make(KubeKind::kDeployment);
  view_.pods.push_back(Pod("evicted", PodClass::kError, "was evicted"));
  view_.pods.back().is_over = true;
  view_.pods.push_back(Pod("old", PodClass::kError, "is in CrashLoopBackOff"));
  view_.pods.back().is_unwanted = true;
  view_.pods.push_back(Pod("leaving", PodClass::kError, "exited with code 137"));
  view_.pods.back().is_deleted = true;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_HEALTHY);
  // Nothing has taken its place.
  view_.pods.erase(view_.pods.begin(), view_.pods.begin() + 3);
  EXPECT_EQ(Message(), "evicted/web was evicted");
}

TEST_F(JudgeWorkloadTest, LostNodeIsProgressUntilTheDeadline) {
  Make(KubeKind::kDeployment);
  view_.pods[0] = Pod("web-0", PodClass::kUnavailable, "is on node n1, which does not answer");
  workload().ready_replicas = workload().available_replicas = 2;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web has 2 of 3 pods ready; web-0/web is on node n1, which does not answer");
}

TEST_F(JudgeWorkloadTest, DeletionIsProgress) {
  Make(KubeKind::kDeployment);
  workload().meta.is_deleted = true;
  view_.pods[0] = Pod("web-0", PodClass::kError, "exited");
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web is being deleted");
}

TEST_F(JudgeWorkloadTest, Jobs) {
  Make(KubeKind::kJob, 1);
  view_.pods = {Pod("web-0", PodClass::kRunning)};
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  view_.pods[0] = Pod("web-0", PodClass::kProgressing, "waits (ContainerCreating)");
  EXPECT_EQ(Message(), "web-0/web waits (ContainerCreating)");
  view_.last_progress = kTestNow - absl::Minutes(10);
  EXPECT_EQ(Message(), "web has had 0 of 1 pods ready for 10 min; web-0/web waits (ContainerCreating)");
  // It failed once, and the controller waits before it tries again.
  view_.last_progress = kTestNow;
  view_.pods[0] = Pod("web-0", PodClass::kError, "exited with code 1");
  view_.pods[0].is_over = true;
  workload().failed = 1;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web tries again (1 failed)");
  SetCondition(workload().conditions, "Failed", "True", kTestNow, "BackoffLimitExceeded",
               "Job has reached the specified backoff limit");
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(
      Message(),
      "web failed (BackoffLimitExceeded): Job has reached the specified backoff limit; web-0/web exited with code 1");
  SetCondition(workload().conditions, "Failed", "True", kTestNow, "DeadlineExceeded", "was active too long");
  EXPECT_TRUE(Message().starts_with("web failed (DeadlineExceeded): was active too long")) << Message();
  // It crashes within its pod.
  Make(KubeKind::kJob, 1);
  view_.pods = {Pod("web-0", PodClass::kError, "is in CrashLoopBackOff")};
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
}

TEST_F(JudgeWorkloadTest, JobsThatAreOverOrSuspended) {
  Make(KubeKind::kJob, 1);
  view_.pods.clear();
  EXPECT_EQ(Message(), "web has no pod yet");
  workload().is_suspended = true;
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Message(), "suspended");
  SetCondition(workload().conditions, "Complete", "True", kTestNow - absl::Minutes(3));
  workload().completed = kTestNow - absl::Minutes(4);
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Message(), "completed");
  EXPECT_EQ(Verdict().since, kTestNow - absl::Minutes(4));
}

WorkloadView JobView(const std::string& name, absl::Time created, const std::string& condition) {
  WorkloadView job;
  job.workload = MakeWorkload(KubeKind::kJob, name);
  job.workload.meta.created = created;
  if (!condition.empty()) SetCondition(job.workload.conditions, condition, "True", created, "R", "why");
  return job;
}

TEST_F(JudgeWorkloadTest, CronJobs) {
  Make(KubeKind::kCronJob, 1);
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Message(), "next run by its schedule");
  view_.jobs = {JobView("web-2", kTestNow - absl::Hours(1), "Complete"),
                JobView("web-1", kTestNow - absl::Hours(2), "Failed")};
  EXPECT_EQ(Message(), "next run by its schedule") << "the newest counts";
  view_.jobs.push_back(JobView("web-3", kTestNow - absl::Minutes(1), "Failed"));
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Message(), "web-3 failed (R): why");
  // The next run does not hide it before it has done better.
  view_.jobs.push_back(JobView("web-4", kTestNow, ""));
  view_.jobs.back().pods = {Pod("web-4-x", PodClass::kRunning)};
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_ERROR);
  SetCondition(view_.jobs.back().workload.conditions, "Complete", "True", kTestNow);
  EXPECT_EQ(Message(), "next run by its schedule");
  workload().is_suspended = true;
  EXPECT_EQ(Message(), "suspended");
}

TEST_F(JudgeWorkloadTest, CronJobWhileARunIsUnderWay) {
  Make(KubeKind::kCronJob, 1);
  view_.jobs = {JobView("web-1", kTestNow, "")};
  view_.jobs[0].last_progress = kTestNow;
  view_.jobs[0].pods = {Pod("web-1-x", PodClass::kProgressing, "waits")};
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(Message(), "web-1-x/web waits");
  view_.jobs[0].pods[0] = Pod("web-1-x", PodClass::kRunning);
  EXPECT_EQ(Verdict().status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Message(), "");
  view_.jobs[0].pods[0] = Pod("web-1-x", PodClass::kError, "cannot pull its image");
  EXPECT_EQ(Message(), "web-1-x/web cannot pull its image");
}

TEST(JudgeLoosePods, Table) {
  const auto judge = [](const std::vector<PodOfWorkload>& pods, absl::Duration waits = absl::Minutes(1)) {
    return JudgeKubeDeployment({JudgeLoosePods(pods, kTestNow - waits, kTestNow)});
  };
  EXPECT_EQ(judge({Pod("a", PodClass::kHealthy)}).status, DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(judge({Pod("a", PodClass::kRunning)}).status, DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(judge({Pod("a", PodClass::kFinished)}).message, "completed");
  EXPECT_EQ(judge({Pod("a", PodClass::kFinished), Pod("b", PodClass::kRunning)}).message, "");
  EXPECT_EQ(judge({Pod("a", PodClass::kError, "was evicted")}).message, "a/web was evicted");
  const std::vector<PodOfWorkload> late = {Pod("a", PodClass::kUnavailable, "is on node n1")};
  EXPECT_EQ(judge(late).status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(judge(late, absl::Minutes(10)).status, DEPLOYMENT_STATUS_ERROR);
  std::vector<PodOfWorkload> leaving = {Pod("a", PodClass::kRunning)};
  leaving[0].is_deleted = true;
  EXPECT_EQ(judge(leaving).message, "a is being deleted");
}

TEST(JudgeKubeDeployment, TheWorstOfItsWorkloadsDecides) {
  WorkloadJudgement bad;
  bad.workload_class = Class::kError;
  bad.complaints = {{.name = "db", .reason = "failed", .output = ""}};
  bad.since = kTestNow - absl::Minutes(1);
  WorkloadJudgement late;
  late.workload_class = Class::kProgressing;
  late.complaints = {{.name = "web", .reason = "waits", .output = ""}};
  late.next_change = kTestNow + absl::Minutes(1);
  WorkloadJudgement healthy;
  healthy.workload_class = Class::kHealthy;
  WorkloadJudgement done;
  done.note = "completed";
  EXPECT_EQ(JudgeKubeDeployment({healthy, late, bad}).message, "db failed");
  EXPECT_EQ(JudgeKubeDeployment({healthy, late, bad}).next_change, late.next_change);
  EXPECT_EQ(JudgeKubeDeployment({healthy, late, done}).status, DEPLOYMENT_STATUS_PROGRESSING);
  EXPECT_EQ(JudgeKubeDeployment({healthy, done}).status, DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(JudgeKubeDeployment({healthy, done}).message, "");
  EXPECT_EQ(JudgeKubeDeployment({done, done}).message, "completed");
  EXPECT_EQ(JudgeKubeDeployment({}).message, "all workloads are gone");
  bad.complaints.assign(100, {.name = std::string(300, 'x'), .reason = "failed", .output = ""});
  EXPECT_LE(JudgeKubeDeployment({bad}).message.size(), kMaxMessageBytes);
}

}  // namespace
}  // namespace muster::agent
