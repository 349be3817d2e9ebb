#include "agent/kubernetes/pod_rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/kubernetes/testing/make_objects.h"

namespace muster::agent {
namespace {

class JudgePodTest : public testing::Test {
 protected:
  PodJudgement Judge() const { return JudgePod(pod_, past_, warnings_, kTestNow); }
  KubeContainer& web() { return pod_.containers.back(); }
  std::string Said() const {
    const PodJudgement judgement = Judge();
    return fmt::format("{}|{}|{}", judgement.container, judgement.reason, judgement.output);
  }
  KubePod NotReady() {
    SetReady(pod_, false, kTestNow - absl::Minutes(1));
    web().is_ready = false;
    return pod_;
  }
  void Warn(const std::string& reason, const std::string& message, absl::Duration ago = absl::Seconds(1)) {
    warnings_.push_back({.reason = reason, .message = message, .last_seen = kTestNow - ago});
  }

  KubePod pod_ = MakePod("web-1");
  PodPast past_;
  std::vector<KubeWarning> warnings_;
};

TEST_F(JudgePodTest, ReadyWithoutAProbeIsRunningWithOneHealthy) {
  EXPECT_EQ(Judge().pod_class, PodClass::kRunning);
  EXPECT_EQ(Judge().since, kTestNow - absl::Hours(1));
  EXPECT_EQ(Judge().next_change, absl::InfiniteFuture());
  web().spec.has_probe = true;
  EXPECT_EQ(Judge().pod_class, PodClass::kHealthy);
}

TEST_F(JudgePodTest, CrashLoopTellsTheLastEnd) {
  NotReady();
  Wait(web(), "CrashLoopBackOff", "back-off 40s restarting failed container");
  web().restart_count = 3;
  web().last = MakeEnd(1, kTestNow - absl::Seconds(20));
  web().last->message = "no such table";
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(), "web|is in CrashLoopBackOff (3 restarts), last exited with code 1|no such table");
  EXPECT_EQ(Judge().since, kTestNow - absl::Seconds(20));
  web().last = MakeEnd(137, kTestNow - absl::Hours(1), "OOMKilled");
  EXPECT_EQ(
      Said(),
      "web|is in CrashLoopBackOff (3 restarts), last OOM-killed (out of memory), exited with code 137 (stopped by "
      "SIGKILL)|");
  web().last = MakeEnd(137, kTestNow - absl::Hours(1));
  Warn("Unhealthy", "Liveness probe failed: refused");
  EXPECT_EQ(Judge().output, "Liveness probe failed: refused") << "why it was stopped";
}

TEST_F(JudgePodTest, ImageThatCannotBePulledTellsWhatTheRegistrySaid) {
  NotReady();
  Wait(web(), "ImagePullBackOff", "Back-off pulling image");
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(), "web|cannot pull its image shop/web:1.2 (ImagePullBackOff)|Back-off pulling image");
  Warn("Failed", "Failed to pull image: 401 Unauthorized");
  EXPECT_EQ(Judge().output, "Failed to pull image: 401 Unauthorized");
  past_.pull_message = "manifest unknown";
  EXPECT_EQ(Judge().output, "manifest unknown");
  web().waiting_message = "Back-off pulling image \"x\": ErrImagePull: not found";
  EXPECT_EQ(Judge().output, web().waiting_message) << "kubelets since 1.31 tell it themselves";
}

TEST_F(JudgePodTest, FirstFailureToPullIsNoErrorYet) {
  NotReady();
  Wait(web(), "ErrImagePull", "not found");
  past_.pull_failing_since = kTestNow - absl::Seconds(9);
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "web|waits (ErrImagePull)|not found");
  EXPECT_EQ(Judge().next_change, kTestNow + absl::Seconds(1));
  past_.pull_failing_since = kTestNow - absl::Seconds(10);
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Judge().since, kTestNow - absl::Seconds(10));
}

TEST_F(JudgePodTest, WhatNeverStartsIsAnError) {
  for (const char* reason : {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError",
                             "CreateContainerError", "RunContainerError"}) {
    NotReady();
    Wait(web(), reason, "secret \"db\" not found");
    EXPECT_EQ(Judge().pod_class, PodClass::kError) << reason;
    EXPECT_EQ(Said(), fmt::format("web|cannot be started ({})|secret \"db\" not found", reason));
  }
}

TEST_F(JudgePodTest, OomKillCountsForTenMinutes) {
  web().last = MakeEnd(137, kTestNow - absl::Minutes(9), "OOMKilled");
  web().restart_count = 1;
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_TRUE(Judge().by_window);
  EXPECT_EQ(Judge().reason, "was OOM-killed (out of memory) in the last 10 min");
  EXPECT_EQ(Judge().next_change, kTestNow + absl::Minutes(1));
  web().last = MakeEnd(137, kTestNow - absl::Minutes(10), "OOMKilled");
  EXPECT_EQ(Judge().pod_class, PodClass::kRunning);
  NotReady();
  End(web(), 137, kTestNow - absl::Seconds(1), "OOMKilled");
  EXPECT_EQ(Judge().reason, "was OOM-killed (out of memory), exited with code 137 (stopped by SIGKILL)");
}

TEST_F(JudgePodTest, FailedPodTellsWhy) {
  NotReady();
  pod_.phase = "Failed";
  pod_.reason = "Evicted";
  pod_.message = "The node was low on resource: memory.";
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(), "|was evicted|The node was low on resource: memory.");
  pod_.reason = "NodeShutdown";
  EXPECT_EQ(Judge().reason, "failed (NodeShutdown)");
  pod_.reason = "";
  EXPECT_EQ(Judge().reason, "failed");
  End(web(), 3, kTestNow - absl::Seconds(5));
  EXPECT_EQ(Said(), "web|exited with code 3|");
  EXPECT_EQ(Judge().since, kTestNow - absl::Seconds(5));
}

TEST_F(JudgePodTest, EndThatIsNotFollowedByARestartIsAnErrorOneThatIsProgress) {
  NotReady();
  End(web(), 2, kTestNow);
  const struct {
    const char* policy;
    PodClass expected;
  } rows[] = {{"Always", PodClass::kProgressing}, {"OnFailure", PodClass::kProgressing}, {"Never", PodClass::kError}};
  for (const auto& row : rows) {
    pod_.restart_policy = row.policy;
    EXPECT_EQ(Judge().pod_class, row.expected) << row.policy;
  }
  pod_.restart_policy = "Always";
  EXPECT_EQ(Said(), "web|is restarting, exited with code 2|");
}

TEST_F(JudgePodTest, RestartLoopIsAnErrorBetweenItsCrashes) {
  web().spec.has_probe = true;
  web().last = MakeEnd(137, kTestNow - absl::Minutes(1));
  past_.looping_container = "web";
  past_.loop_since = kTestNow - absl::Minutes(1);
  past_.loop_end = kTestNow + absl::Minutes(4);
  Warn("Unhealthy", "Liveness probe failed: timeout");
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(),
            "web|is in a restart loop (3 or more restarts in 10 min), last exited with code 137 (stopped by SIGKILL)|"
            "Liveness probe failed: timeout");
  EXPECT_TRUE(Judge().by_window);
  EXPECT_EQ(Judge().next_change, past_.loop_end);
}

TEST_F(JudgePodTest, UnscheduledIsProgressUntilTheDeadline) {
  pod_.phase = "Pending";
  pod_.node.clear();
  web() = KubeContainer();
  web().spec.name = "web";
  pod_.conditions.clear();
  SetCondition(pod_.conditions, "PodScheduled", "False", kTestNow - absl::Minutes(9), "Unschedulable",
               "0/3 nodes are available: 3 Insufficient memory.");
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "|is not scheduled yet|0/3 nodes are available: 3 Insufficient memory.");
  EXPECT_EQ(Judge().next_change, kTestNow + absl::Minutes(1));
  SetCondition(pod_.conditions, "PodScheduled", "False", kTestNow - absl::Minutes(10));
  Warn("FailedScheduling", "no nodes");
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(), "|has not been scheduled for 10 min|no nodes");
}

TEST_F(JudgePodTest, LostNodeIsKnownByTheNodeThePhaseOrTheConditions) {
  pod_.phase = "Unknown";
  EXPECT_EQ(Judge().pod_class, PodClass::kUnavailable);
  pod_ = MakePod("web-1");
  pod_.reason = "NodeLost";
  EXPECT_EQ(Judge().pod_class, PodClass::kUnavailable);
  pod_ = MakePod("web-1");
  past_.is_node_lost = true;
  EXPECT_EQ(Judge().pod_class, PodClass::kRunning) << "ready is ready";
  NotReady();
  EXPECT_EQ(Judge().pod_class, PodClass::kUnavailable);
  past_.is_node_lost = false;
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  // Without a right to read nodes: the kubelet's own word about the containers is left standing.
  pod_ = MakePod("web-1");
  SetCondition(pod_.conditions, "Ready", "False", kTestNow - absl::Minutes(1));
  EXPECT_EQ(Judge().pod_class, PodClass::kUnavailable);
  EXPECT_EQ(Judge().reason, "is on node n1, which does not answer");
  EXPECT_EQ(Judge().since, kTestNow - absl::Minutes(1));
  SetCondition(pod_.conditions, "Ready", "False", kTestNow, "ReadinessGatesNotReady", "no load balancer yet");
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "|is not ready|no load balancer yet");
}

TEST_F(JudgePodTest, FailingReadinessProbeIsTold) {
  web().spec.has_probe = true;
  NotReady();
  Warn("Unhealthy", "Readiness probe failed: statuscode: 500", absl::Minutes(5));
  Warn("Unhealthy", "Readiness probe failed: statuscode: 503");
  Warn("BackOff", "something older", absl::Minutes(9));
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "web|is not ready|Readiness probe failed: statuscode: 503");
  web().has_started = false;
  EXPECT_EQ(Judge().reason, "is starting");
}

TEST_F(JudgePodTest, PendingTellsWhatItWaitsFor) {
  NotReady();
  pod_.phase = "Pending";
  Wait(web(), "ContainerCreating");
  Warn("FailedMount", "volume \"data\" not found");
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "web|waits (ContainerCreating)|volume \"data\" not found");
  pod_.containers.clear();
  EXPECT_EQ(Judge().reason, "is pending");
}

TEST_F(JudgePodTest, InitContainers) {
  NotReady();
  pod_.phase = "Pending";
  Wait(web(), "PodInitializing");
  KubeContainer init = MakeContainer("migrate");
  init.is_init = true;
  init.is_ready = false;
  pod_.containers.insert(pod_.containers.begin(), init);
  EXPECT_EQ(Said(), "migrate|(init) is running|");
  End(pod_.containers[0], 1, kTestNow);
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
  EXPECT_EQ(Said(), "migrate|(init) is restarting, exited with code 1|");
  Wait(pod_.containers[0], "CrashLoopBackOff");
  pod_.containers[0].last = MakeEnd(1, kTestNow);
  pod_.containers[0].restart_count = 1;
  EXPECT_EQ(Judge().pod_class, PodClass::kError);
  EXPECT_EQ(Said(), "migrate|is in CrashLoopBackOff (1 restart), last exited with code 1|");
  pod_.containers[0].last.reset();
  Wait(pod_.containers[0], "");
  EXPECT_EQ(Said(), "migrate|(init) waits (not started)|");
  End(pod_.containers[0], 0, kTestNow, "Completed");
  EXPECT_EQ(Said(), "web|waits (PodInitializing)|");
  // It runs: what began it is over.
  pod_ = MakePod("web-1");
  pod_.containers.insert(pod_.containers.begin(), init);
  End(pod_.containers[0], 0, kTestNow - absl::Hours(1), "Completed");
  EXPECT_EQ(Judge().pod_class, PodClass::kRunning);
}

TEST_F(JudgePodTest, SidecarsStartBeforeTheOthersAndGoOn) {
  KubeContainer sidecar = MakeContainer("proxy");
  sidecar.is_init = sidecar.spec.is_sidecar = true;
  sidecar.spec.has_probe = true;
  pod_.containers.insert(pod_.containers.begin(), sidecar);
  EXPECT_EQ(Judge().pod_class, PodClass::kHealthy) << "its probe is one of the pod's";
  NotReady();
  pod_.phase = "Pending";
  Wait(web(), "PodInitializing");
  EXPECT_EQ(Said(), "web|waits (PodInitializing)|");
  pod_.containers[0].has_started = false;
  EXPECT_EQ(Said(), "proxy|(init) is running|");
}

TEST_F(JudgePodTest, WorkThatIsDone) {
  pod_.phase = "Succeeded";
  End(web(), 0, kTestNow - absl::Minutes(3), "Completed");
  SetReady(pod_, false, kTestNow - absl::Minutes(3));
  EXPECT_EQ(Judge().pod_class, PodClass::kFinished);
  EXPECT_EQ(Judge().since, kTestNow - absl::Minutes(3));
  // One of two containers has done its work; the pod is never ready again, and that is no fault.
  pod_.phase = "Running";
  pod_.restart_policy = "OnFailure";
  pod_.containers.push_back(MakeContainer("side"));
  EXPECT_EQ(Judge().pod_class, PodClass::kRunning);
  pod_.containers.back().is_ready = false;
  EXPECT_EQ(Judge().pod_class, PodClass::kProgressing);
}

}  // namespace
}  // namespace muster::agent
