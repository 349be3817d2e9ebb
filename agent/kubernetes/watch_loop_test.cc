#include "agent/kubernetes/watch_loop.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/kubernetes/testing/hand_streams.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPodList[] =
    R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"web","namespace":"shop","uid":"u1"},)"
    R"("spec":{"containers":[{"name":"web","image":"web:1"}]},"status":{"phase":"Running",)"
    R"("conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"web","ready":true,)"
    R"("containerID":"containerd://1","state":{"running":{"startedAt":"2026-11-28T10:00:00Z"}}}]}}]})";
constexpr char kEmptyList[] = R"({"metadata":{"resourceVersion":"7"},"items":[]})";

class Sinks : public PresentSink, public ContainerSink, public NodeSink {
 public:
  void Publish(Present present) override { pictures.push_back(std::move(present)); }
  void Publish(std::vector<LogContainer> containers) override { logs = std::move(containers); }
  void PublishCensus(const std::optional<ContainerCensus>& now) override { census = now; }
  void PublishNodes(std::vector<KubeNode> /*nodes*/) override { ++nodes; }

  std::vector<Present> pictures;
  std::vector<LogContainer> logs;
  std::optional<ContainerCensus> census;
  int nodes = 0;
};

class WatchLoopTest : public testing::Test {
 protected:
  WatchLoopTest() {
    auto streams = std::make_unique<HandStreams>();
    streams_ = streams.get();
    loop_ = std::make_unique<WatchLoop>(
        WatchLoop::Options{.server = "10.0.0.1:443", .name_space = "shop"}, [] { return 0.5; }, &clock_,
        std::move(streams), &sinks_, &sinks_, &sinks_);
  }

  void Turn() { loop_->Turn(); }
  static absl::Status HttpError(int code) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "HTTP_CODE", fmt::format("answered {}", code));
  }
  static absl::Status Lost() { return MakeError(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "refused"); }
  // Every list that is open is answered, but those of `without`.
  void AnswerLists(std::string_view without = "nothing") {
    for (const auto& [id, target] : std::map(streams_->open())) {
      if (target.find("watch=true") != std::string::npos || target.find(without) != std::string::npos) continue;
      streams_->Answer(id, target.find("/pods?") != std::string::npos ? kPodList : kEmptyList);
    }
    Turn();
    Turn();
  }
  void OpenWatches() {
    for (const auto& [id, target] : std::map(streams_->open())) streams_->Headers(id);
    Turn();
  }
  void Begin() {
    Turn();
    AnswerLists();
    OpenWatches();
    ASSERT_EQ(sinks_.pictures.size(), 1u);
  }
  void LoseAll(const absl::Status& status, int http_code = 0) {
    for (const auto& [id, target] : std::map(streams_->open())) streams_->End(id, status, http_code);
    Turn();
  }

  FakeClock clock_;
  Sinks sinks_;
  HandStreams* streams_ = nullptr;
  std::unique_ptr<WatchLoop> loop_;
};

TEST_F(WatchLoopTest, PublishesOnceAllKindsWereListed) {
  Turn();
  EXPECT_EQ(streams_->open().size(), 8u) << "one namespace has no nodes";
  AnswerLists("/jobs?");
  EXPECT_THAT(sinks_.pictures, IsEmpty()) << "half a cluster is no picture";
  AnswerLists();
  ASSERT_EQ(sinks_.pictures.size(), 1u);
  ASSERT_EQ(sinks_.pictures[0].deployments.size(), 1u);
  EXPECT_EQ(sinks_.pictures[0].deployments[0].key(), "pod/shop/web");
  EXPECT_EQ(sinks_.pictures[0].deployments[0].status(), types::v1::DEPLOYMENT_STATUS_RUNNING);
  ASSERT_EQ(sinks_.logs.size(), 1u);
  EXPECT_EQ(sinks_.census->states["running"], 1);
}

TEST_F(WatchLoopTest, AChangeIsPublishedAtOnceAndManyAreGathered) {
  Begin();
  clock_.Advance(absl::Seconds(5));
  const auto change = [&](std::string_view phase) {
    const auto pods = streams_->Find("/api/v1/namespaces/shop/pods?watch");
    ASSERT_TRUE(pods.has_value());
    streams_->Bytes(*pods, fmt::format(R"({{"type":"MODIFIED","object":{{"metadata":{{"name":"web",)"
                                       R"("namespace":"shop","uid":"u1"}},"status":{{"phase":"{}"}}}}}})"
                                       "\n",
                                       phase));
    Turn();
    Turn();
  };
  change("Pending");
  EXPECT_EQ(sinks_.pictures.size(), 2u);
  change("Failed");
  EXPECT_EQ(sinks_.pictures.size(), 2u) << "too soon behind the last";
  EXPECT_LE(streams_->last_wait(), kLookInterval);
  clock_.Advance(kLookInterval);
  Turn();
  EXPECT_EQ(sinks_.pictures.size(), 3u);
}

TEST_F(WatchLoopTest, AnUnchangedPictureIsConfirmedWhileAllIsWell) {
  Begin();
  clock_.Advance(absl::Seconds(60));
  Turn();
  EXPECT_EQ(sinks_.pictures.size(), 2u);
  LoseAll(Lost());
  clock_.Advance(absl::Seconds(9));
  Turn();
  EXPECT_EQ(sinks_.pictures.size(), 2u) << "nobody saw the cluster, and it is too soon for a fault";
}

TEST_F(WatchLoopTest, AnApiServerThatIsAwayIsAFaultAfterTenSecondsUntilItIsBack) {
  Begin();
  LoseAll(Lost());
  clock_.Advance(kFaultAfter);
  Turn();
  ASSERT_EQ(sinks_.pictures.size(), 2u);
  ASSERT_TRUE(sinks_.pictures[1].fault.has_value());
  EXPECT_THAT(sinks_.pictures[1].fault->message(), HasSubstr("10.0.0.1:443: cannot be reached (refused)"));
  EXPECT_FALSE(sinks_.census.has_value());
  clock_.Advance(absl::Seconds(30));
  Turn();
  AnswerLists();
  ASSERT_EQ(sinks_.pictures.size(), 3u);
  EXPECT_FALSE(sinks_.pictures[2].fault.has_value());
  EXPECT_EQ(sinks_.pictures[2].deployments.size(), 1u);
}

TEST_F(WatchLoopTest, BehindAnOutageNoPictureIsMadeOfWhatWasKnownBefore) {
  Begin();
  LoseAll(Lost());
  clock_.Advance(kFaultAfter);
  Turn();
  clock_.Advance(absl::Seconds(30));
  Turn();
  OpenWatches();
  Turn();
  EXPECT_EQ(sinks_.pictures.size(), 2u) << "that a server answers is not what it says";
  AnswerLists("/pods?");
  EXPECT_EQ(sinks_.pictures.size(), 2u) << "new workloads with the pods of before are a picture of no moment";
  const auto pods = streams_->Find("/api/v1/namespaces/shop/pods?limit");
  ASSERT_TRUE(pods.has_value());
  streams_->Answer(*pods, kEmptyList);
  Turn();
  Turn();
  ASSERT_EQ(sinks_.pictures.size(), 3u);
  ASSERT_EQ(sinks_.pictures[2].deployments.size(), 1u);
  EXPECT_TRUE(sinks_.pictures[2].deployments[0].gone());
}

TEST_F(WatchLoopTest, WhatTheRoleForbidsIsAFaultAtOnceOnlyWhereItIsNeeded) {
  Turn();
  const auto events = streams_->Find("/api/v1/namespaces/shop/events?");
  streams_->End(*events, HttpError(403), 403);
  AnswerLists("/events?");
  ASSERT_EQ(sinks_.pictures.size(), 1u) << "without events there is a picture";
  EXPECT_FALSE(sinks_.pictures[0].fault.has_value());
  const auto jobs = streams_->Find("/apis/batch/v1/namespaces/shop/jobs?");
  streams_->End(*jobs, HttpError(403), 403);
  Turn();
  Turn();
  ASSERT_EQ(sinks_.pictures.size(), 2u);
  ASSERT_TRUE(sinks_.pictures[1].fault.has_value());
  EXPECT_THAT(sinks_.pictures[1].fault->message(), HasSubstr("role does not let it list and watch jobs.batch"));
}

TEST(DescribeKubeFault, SaysWhatToDo) {
  const auto describe = [](absl::StatusCode code, std::string_view reason, int http_code) {
    return DescribeKubeFault(KubeKind::kPod,
                             {.status = MakeError(code, reason, "it 401 said"), .http_code = http_code, .since = {}},
                             "api:443");
  };
  EXPECT_THAT(describe(absl::StatusCode::kFailedPrecondition, "HTTP_CODE", 401), HasSubstr("token is refused"));
  EXPECT_THAT(describe(absl::StatusCode::kFailedPrecondition, "HTTP_CODE", 500), HasSubstr("pods cannot be read"));
  EXPECT_THAT(describe(absl::StatusCode::kDataLoss, "BAD_JSON", 0), HasSubstr("not the Kubernetes API's"));
  EXPECT_THAT(describe(absl::StatusCode::kUnavailable, "CONNECT_FAILED", 0), HasSubstr("cannot be reached"));
}

}  // namespace
}  // namespace muster::agent
