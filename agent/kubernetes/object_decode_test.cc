#include "agent/kubernetes/object_decode.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using Type = KubeWatchEvent::Type;

absl::Time At(std::string_view text) { return ParseRfc3339(text).value(); }

template <typename T>
T Only(KubeKind kind, std::string_view item) {
  const absl::StatusOr<KubeListPage> page =
      DecodeKubeList(kind, fmt::format(R"({{"kind":"List","metadata":{{}},"items":[{}]}})", item));
  EXPECT_TRUE(page.ok()) << page.status();
  if (!page.ok() || page->objects.size() != 1) {
    ADD_FAILURE() << "not exactly one object";
    return {};
  }
  return std::get<T>(page->objects.front());
}

TEST(DecodeKubeList, TellsWhereToGoOn) {
  const std::string token(3000, 't');
  const auto page = DecodeKubeList(
      KubeKind::kPod,
      fmt::format(R"({{"items":[{{"metadata":{{"uid":"u1","name":"a"}}}},{{"metadata":{{"uid":"u2"}}}},5,null,[]],
                      "metadata":{{"resourceVersion":"77","continue":"{}"}}}})",
                  token));
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->resource_version, "77");
  EXPECT_EQ(page->continue_token, token) << "a token that is cut would be refused";
  ASSERT_THAT(page->objects, SizeIs(1)) << "without uid or name it is left out";
  EXPECT_EQ(MetaOf(page->objects.front()).uid, "u1");
  const auto empty = DecodeKubeList(KubeKind::kEvent, R"({"metadata":{"resourceVersion":"1"},"items":null})");
  ASSERT_TRUE(empty.ok());
  EXPECT_THAT(empty->objects, IsEmpty());
}

TEST(DecodeKubeList, RefusesWhatIsNoList) {
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  for (const std::string& body :
       {std::string("[]"), std::string("{}"), std::string("7"), std::string(""), std::string(R"({"items":[)"),
        R"({"metadata":{},"items":)" + deep + "}", std::string(R"({"metadata":{},"items":[]} x)"),
        std::string(R"({"metadata":{"resourceVersion":1e999}})")}) {
    const auto page = DecodeKubeList(KubeKind::kPod, body);
    EXPECT_EQ(ReasonOf(page.status()), "BAD_JSON") << body;
  }
}

TEST(DecodeKubeList, RefusesAPageOfMoreObjectsThanAnyServerGives) {
  std::string items;
  for (std::size_t i = 0; i <= kMaxKubePageObjects; ++i) {
    items += fmt::format(R"({}{{"metadata":{{"uid":"u{}","name":"a"}}}})", i == 0 ? "" : ",", i);
  }
  EXPECT_EQ(ReasonOf(DecodeKubeList(KubeKind::kEvent, R"({"items":[)" + items + "]}").status()), "BAD_JSON");
}

constexpr std::string_view kPod = R"({
  "metadata": {"uid": "u1", "name": "web-7d4-x", "namespace": "shop", "resourceVersion": "12", "generation": 2,
    "creationTimestamp": "2026-11-21T05:00:00Z",
    "labels": {"app.kubernetes.io/instance": "shop", "pod-template-hash": "7d4", "other": "x"},
    "annotations": {"kubernetes.io/config.mirror": "abc", "big": "y"},
    "ownerReferences": [{"kind": "Thing", "name": "no", "uid": "o0"},
      {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4", "uid": "o1", "controller": true}],
    "managedFields": [{"fieldsV1": {"f:metadata": {}}}]},
  "spec": {"nodeName": "n1", "restartPolicy": "Always",
    "initContainers": [{"name": "wait", "image": "busybox", "restartPolicy": "Always"}],
    "containers": [{"name": "web", "image": "shop/web:1.2", "env": [{"name": "SECRET", "value": "s"}],
      "readinessProbe": {"httpGet": {"path": "/"}}}, {"name": "side", "image": "shop/side:1"}]},
  "status": {"phase": "Running", "startTime": "2026-11-21T05:00:01Z", "reason": "R", "message": "\nfirst\nsecond",
    "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "m",
      "lastTransitionTime": "2026-11-21T05:00:02Z"}],
    "initContainerStatuses": [{"name": "wait", "state": {"running": {"startedAt": "2026-11-21T05:00:03Z"}}}],
    "containerStatuses": [
      {"name": "side", "ready": true, "started": true, "restartCount": 0, "image": "x",
       "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "a\nlast line\n",
         "startedAt": "2026-11-21T05:00:04Z", "finishedAt": "2026-11-21T05:00:05Z", "containerID": "containerd://s"}}},
      {"name": "web", "ready": false, "restartCount": 3, "containerID": "containerd://w", "imageID": "sha256:1",
       "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
       "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T05:00:06Z",
         "containerID": "containerd://before"}}}]}})";

TEST(DecodeKubeList, Pod) {
  const KubePod pod = Only<KubePod>(KubeKind::kPod, kPod);
  EXPECT_EQ(pod.meta.name_space, "shop");
  EXPECT_EQ(pod.meta.resource_version, "12");
  EXPECT_EQ(pod.meta.generation, 2);
  EXPECT_EQ(pod.meta.created, At("2026-11-21T05:00:00Z"));
  EXPECT_FALSE(pod.meta.is_deleted);
  EXPECT_EQ(pod.meta.labels.instance, "shop");
  EXPECT_EQ(pod.meta.labels.pod_template_hash, "7d4");
  ASSERT_TRUE(pod.meta.controller.has_value());
  EXPECT_EQ(pod.meta.controller->kind, "ReplicaSet");
  EXPECT_EQ(pod.meta.controller->api_group, "apps");
  EXPECT_EQ(pod.meta.controller->uid, "o1");
  EXPECT_EQ(pod.node, "n1");
  EXPECT_TRUE(pod.is_mirror);
  EXPECT_EQ(pod.message, "first");
  ASSERT_THAT(pod.conditions, SizeIs(1));
  EXPECT_EQ(pod.conditions[0].since, At("2026-11-21T05:00:02Z"));
  ASSERT_THAT(pod.containers, SizeIs(3));
  const KubeContainer& wait = pod.containers[0];
  EXPECT_TRUE(wait.is_init && wait.spec.is_sidecar);
  EXPECT_EQ(wait.state, KubeContainerState::kRunning);
  EXPECT_EQ(wait.started, At("2026-11-21T05:00:03Z"));
  const KubeContainer& web = pod.containers[1];
  EXPECT_FALSE(web.is_init || web.spec.is_sidecar);
  EXPECT_TRUE(web.spec.has_probe);
  EXPECT_EQ(web.state, KubeContainerState::kWaiting);
  EXPECT_EQ(web.waiting_reason, "CrashLoopBackOff");
  EXPECT_EQ(web.restart_count, 3);
  ASSERT_TRUE(web.last.has_value());
  EXPECT_EQ(web.last->exit_code, 1);
  EXPECT_EQ(web.last->container_id, "containerd://before");
  const KubeContainer& side = pod.containers[2];
  EXPECT_FALSE(side.spec.has_probe);
  EXPECT_EQ(side.state, KubeContainerState::kTerminated);
  EXPECT_EQ(side.terminated.reason, "OOMKilled");
  EXPECT_EQ(side.terminated.message, "last line");
  EXPECT_EQ(side.started, At("2026-11-21T05:00:04Z"));
}

TEST(DecodeKubeList, DefaultsWhereNothingOrNonsenseIsTold) {
  const KubePod pod =
      Only<KubePod>(KubeKind::kPod,
                    R"({"metadata":{"uid":"u","name":"n","generation":"x","creationTimestamp":"never","labels":[1],
          "ownerReferences":{"controller":true}},"spec":7,"status":{"conditions":{"type":"Ready"},"startTime":5}})");
  EXPECT_EQ(pod.meta.generation, 0);
  EXPECT_EQ(pod.meta.created, absl::InfinitePast());
  EXPECT_FALSE(pod.meta.controller.has_value());
  EXPECT_THAT(pod.containers, IsEmpty());
  EXPECT_THAT(pod.conditions, IsEmpty());
  const KubeWorkload workload = Only<KubeWorkload>(KubeKind::kDeployment, R"({"metadata":{"uid":"u","name":"n"}})");
  EXPECT_EQ(workload.replicas, 1);
  EXPECT_EQ(workload.progress_deadline_seconds, 600);
  EXPECT_EQ(workload.revision, 0);
  EXPECT_FALSE(workload.removes_itself);
}

TEST(DecodeKubeList, Workloads) {
  const KubeWorkload deployment = Only<KubeWorkload>(KubeKind::kDeployment, R"({
    "metadata": {"uid": "u", "name": "web", "generation": 4, "deletionTimestamp": "2026-11-21T05:00:00Z",
      "annotations": {"deployment.kubernetes.io/revision": "12"}},
    "spec": {"replicas": 0, "paused": true, "progressDeadlineSeconds": 30,
      "template": {"spec": {"containers": [{"name": "c", "image": "i", "livenessProbe": {}}]}}},
    "status": {"observedGeneration": 3, "replicas": 5, "updatedReplicas": 4, "readyReplicas": 3,
      "availableReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]}})");
  EXPECT_EQ(deployment.kind, KubeKind::kDeployment);
  EXPECT_TRUE(deployment.meta.is_deleted);
  EXPECT_EQ(deployment.revision, 12);
  EXPECT_EQ(deployment.replicas, 0);
  EXPECT_TRUE(deployment.is_paused);
  EXPECT_EQ(deployment.progress_deadline_seconds, 30);
  EXPECT_EQ(deployment.observed_generation, 3);
  EXPECT_EQ(deployment.status_replicas, 5);
  EXPECT_EQ(deployment.updated_replicas, 4);
  EXPECT_EQ(deployment.ready_replicas, 3);
  EXPECT_EQ(deployment.available_replicas, 2);
  ASSERT_THAT(deployment.containers, SizeIs(1));
  EXPECT_TRUE(deployment.containers[0].has_probe);

  const KubeWorkload set = Only<KubeWorkload>(KubeKind::kStatefulSet, R"({"metadata": {"uid": "u", "name": "db"},
    "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
    "status": {"updateRevision": "db-2", "currentRevision": "db-1"}})");
  EXPECT_TRUE(set.keeps_old_pods);
  EXPECT_EQ(set.update_revision, "db-2");
  EXPECT_EQ(set.current_revision, "db-1");

  const KubeWorkload daemon = Only<KubeWorkload>(KubeKind::kDaemonSet, R"({"metadata": {"uid": "u", "name": "logs"},
    "spec": {"updateStrategy": {"type": "OnDelete"}},
    "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "updatedNumberScheduled": 3,
      "numberReady": 2, "numberAvailable": 1}})");
  EXPECT_TRUE(daemon.keeps_old_pods);
  EXPECT_EQ(daemon.replicas, 5);
  EXPECT_EQ(daemon.status_replicas, 4);
  EXPECT_EQ(daemon.updated_replicas, 3);
  EXPECT_EQ(daemon.ready_replicas, 2);
  EXPECT_EQ(daemon.available_replicas, 1);

  const KubeWorkload job = Only<KubeWorkload>(KubeKind::kJob, R"({"metadata": {"uid": "u", "name": "j"},
    "spec": {"suspend": true, "parallelism": 3, "ttlSecondsAfterFinished": 0},
    "status": {"active": 1, "succeeded": 2, "failed": 3, "startTime": "2026-11-21T05:00:00Z",
      "completionTime": "2026-11-21T05:00:09Z"}})");
  EXPECT_TRUE(job.is_suspended && job.removes_itself);
  EXPECT_EQ(job.replicas, 3);
  EXPECT_EQ(job.active + job.succeeded * 10 + job.failed * 100, 321);
  EXPECT_EQ(job.completed, At("2026-11-21T05:00:09Z"));

  const KubeWorkload cron = Only<KubeWorkload>(KubeKind::kCronJob, R"({"metadata": {"uid": "u", "name": "c"},
    "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}}}},
    "status": {"active": [{"name": "j1"}, {"name": "j2"}], "lastScheduleTime": "2026-11-21T05:00:00Z"}})");
  EXPECT_EQ(cron.active, 2);
  EXPECT_EQ(cron.last_scheduled, At("2026-11-21T05:00:00Z"));
  ASSERT_THAT(cron.containers, SizeIs(1));
  EXPECT_EQ(cron.containers[0].image, "i:1");
}

TEST(DecodeKubeList, EventsAndNodes) {
  const KubeEvent event = Only<KubeEvent>(KubeKind::kEvent, R"({"metadata": {"uid": "u", "name": "e"},
    "involvedObject": {"kind": "Pod", "name": "web", "uid": "p"}, "reason": "Unhealthy",
    "message": "Readiness probe failed: refused\nagain", "firstTimestamp": "2026-11-21T05:00:00Z", "lastTimestamp": null,
    "series": {"lastObservedTime": "2026-11-21T05:00:07.000001Z"}})");
  EXPECT_EQ(event.about_uid, "p");
  EXPECT_EQ(event.message, "Readiness probe failed: refused");
  EXPECT_EQ(event.last_seen, At("2026-11-21T05:00:07.000001Z"));
  const KubeNode node = Only<KubeNode>(KubeKind::kNode, R"({"metadata": {"uid": "u", "name": "n1"}, "status": {
    "capacity": {"cpu": "4", "memory": "8Ki"}, "nodeInfo": {"kubeletVersion": "v1.29.1"},
    "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]}})");
  EXPECT_EQ(node.cpu_millicores, 4000);
  EXPECT_EQ(node.memory_bytes, 8192);
  EXPECT_TRUE(node.is_ready);
  EXPECT_EQ(node.kubelet_version, "v1.29.1");
}

TEST(DecodeKubeList, HostileTextsAreCleanedAndCut) {
  std::string item = R"({"metadata":{"uid":"u","name":"a)";
  item += "\xff\xfe";
  item += std::string(5000, 'x') + R"("},"status":{"message":")" + std::string(9000, 'y') + R"("}})";
  const KubePod pod = Only<KubePod>(KubeKind::kPod, item);
  EXPECT_TRUE(IsValidUtf8(pod.meta.name));
  EXPECT_LE(pod.meta.name.size(), kMaxKubeTextBytes);
  EXPECT_LE(pod.message.size(), kMaxKubeMessageBytes);
  std::string many;
  for (int i = 0; i < 500; ++i) many += fmt::format(R"({}{{"name":"c{}"}})", i == 0 ? "" : ",", i);
  const KubePod crowd =
      Only<KubePod>(KubeKind::kPod, fmt::format(R"({{"metadata":{{"uid":"u","name":"n"}},"spec":{{"containers":[{0}],
                                      "initContainers":[{0}]}}}})",
                                                many));
  EXPECT_THAT(crowd.containers, SizeIs(kMaxKubeParts));
}

TEST(DecodeKubeWatchLine, EveryType) {
  const struct {
    std::string line;
    Type type;
    std::string version;
  } rows[] = {
      {R"({"type":"ADDED","object":{"metadata":{"uid":"u","name":"n","resourceVersion":"5"}}})", Type::kPut, "5"},
      {R"({"type":"MODIFIED","object":{"metadata":{"uid":"u","name":"n","resourceVersion":"6"}}})", Type::kPut, "6"},
      {R"({"type":"DELETED","object":{"metadata":{"uid":"u","name":"n","resourceVersion":"7"}}})", Type::kDeleted, "7"},
      {R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}})", Type::kBookmark, "8"},
      {R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"9"}}})", Type::kOther, "9"},
      {R"({"type":"NEW","object":{"metadata":{"resourceVersion":"10"}}})", Type::kOther, "10"},
  };
  for (const auto& row : rows) {
    const auto event = DecodeKubeWatchLine(KubeKind::kPod, row.line);
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(event->type, row.type) << row.line;
    EXPECT_EQ(event->resource_version, row.version);
  }
  const auto error = DecodeKubeWatchLine(
      KubeKind::kPod,
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old","reason":"Expired"}})");
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->type, Type::kError);
  EXPECT_EQ(error->error_code, 410);
  EXPECT_EQ(error->error_message, "too old");
  for (const char* line : {"", "[]", "{", "nonsense"}) {
    EXPECT_EQ(ReasonOf(DecodeKubeWatchLine(KubeKind::kPod, line).status()), "BAD_JSON") << line;
  }
}

TEST(KubeStatusMessage, OnlyOfAStatus) {
  EXPECT_EQ(KubeStatusMessage(R"({"kind":"Status","message":"pods is forbidden"})"), "pods is forbidden");
  EXPECT_EQ(KubeStatusMessage(R"({"kind":"Pod","message":"x"})"), "");
  EXPECT_EQ(KubeStatusMessage("<html>"), "");
  EXPECT_EQ(DecodeKubeVersion(R"({"gitVersion":"v1.29.1"})").value(), "v1.29.1");
  EXPECT_EQ(ReasonOf(DecodeKubeVersion("{}").status()), "BAD_JSON");
}

TEST(ParseKubeQuantity, Table) {
  const struct {
    std::string_view text;
    std::optional<std::int64_t> milli;
    std::optional<std::int64_t> bytes;
  } rows[] = {
      {"250m", 250, 1},
      {"1", 1000, 1},
      {"0.5", 500, 1},
      {"12345n", 1, 1},
      {"1500000u", 1500, 2},
      {"0", 0, 0},
      {".5", 500, 1},
      {"128Mi", 134'217'728'000, 134'217'728},
      {"1G", 1'000'000'000'000, 1'000'000'000},
      {"123456Ki", 126'418'944'000, 126'418'944},
      {"1.5Gi", 1'610'612'736'000, 1'610'612'736},
      {"1e3", 1'000'000, 1000},
      {"1E-3", 1, 1},
      {"7E", std::nullopt, 7'000'000'000'000'000'000},
      {"9E", std::nullopt, 9'000'000'000'000'000'000},
      {"10E", std::nullopt, std::nullopt},
      {"8Ei", std::nullopt, std::nullopt},
      {"999999999999999999Ei", std::nullopt, std::nullopt},
      {"12345678901234567890", std::nullopt, std::nullopt},
      {"", std::nullopt, std::nullopt},
      {".", std::nullopt, std::nullopt},
      {"-1", std::nullopt, std::nullopt},
      {"Mi", std::nullopt, std::nullopt},
      {"1 Mi", std::nullopt, std::nullopt},
      {"1e99", std::nullopt, std::nullopt},
      {"1ki", std::nullopt, std::nullopt},
      {"1.2.3", std::nullopt, std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ParseKubeMilli(row.text), row.milli) << row.text;
    EXPECT_EQ(ParseKubeBytes(row.text), row.bytes) << row.text;
  }
}

TEST(DecodeKubeUsage, NodesAndContainers) {
  const auto nodes = DecodeKubeNodeUsage(R"({"kind":"NodeMetricsList","metadata":{},"items":[
    {"metadata":{"name":"n1"},"timestamp":"2026-11-21T05:00:00Z","usage":{"cpu":"1500m","memory":"2Ki"}},
    {"metadata":{"name":"n2"},"usage":{"cpu":"x","memory":"2Ki"}}]})");
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_THAT(*nodes, SizeIs(1));
  EXPECT_EQ(nodes->front().node, "n1");
  EXPECT_DOUBLE_EQ(nodes->front().cpu_cores, 1.5);
  EXPECT_EQ(nodes->front().memory_bytes, 2048);
  EXPECT_EQ(nodes->front().taken, At("2026-11-21T05:00:00Z"));
  const auto pods = DecodeKubePodUsage(R"({"metadata":{},"items":[{"metadata":{"name":"p","namespace":"shop"},
    "containers":[{"name":"a","usage":{"cpu":"1m","memory":"1"}},{"name":"b","usage":{"cpu":"2m","memory":"3"}}]}]})");
  ASSERT_TRUE(pods.ok());
  ASSERT_THAT(*pods, SizeIs(2));
  EXPECT_EQ(pods->at(1).name_space, "shop");
  EXPECT_EQ(pods->at(1).container, "b");
  EXPECT_EQ(pods->at(1).memory_bytes, 3);
  EXPECT_EQ(ReasonOf(DecodeKubePodUsage("[]").status()), "BAD_JSON");
  EXPECT_EQ(ReasonOf(DecodeKubeNodeUsage("x").status()), "BAD_JSON");
}

}  // namespace
}  // namespace muster::agent
