#include "agent/kubernetes/kind_watch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/kubernetes/testing/hand_streams.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kPods[] = "/api/v1/namespaces/shop/pods?";

std::string PodJson(const std::string& name, int version) {
  return fmt::format(R"({{"metadata":{{"name":"{0}","namespace":"shop","uid":"uid-{0}","resourceVersion":"{1}"}},)"
                     R"("spec":{{"containers":[{{"name":"c","image":"web:1"}}]}},"status":{{"phase":"Running"}}}})",
                     name, version);
}
std::string ListJson(const std::vector<std::string>& pods, int version, const std::string& more = "") {
  std::string items;
  for (const std::string& pod : pods) items += (items.empty() ? "" : ",") + pod;
  return fmt::format(R"({{"kind":"PodList","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})",
                     version, more, items);
}
std::string EventJson(const std::string& type, const std::string& object) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
}
std::string Bookmark(int version) {
  return EventJson("BOOKMARK", fmt::format(R"({{"kind":"Pod","metadata":{{"resourceVersion":"{}"}}}})", version));
}
absl::Status HttpError(int code) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "HTTP_CODE", fmt::format("answered {}", code));
}

class KindWatchTest : public testing::Test {
 protected:
  KindWatchTest()
      : watch_(
            {.kind = KubeKind::kPod, .name_space = "shop"}, &streams_, &book_, [] { return 0.5; }, clock_.Monotonic()) {
  }

  // What is due is done, and what was said is heard.
  void Turn() {
    watch_.Tick(clock_.Read());
    streams_.Wait(absl::ZeroDuration(),
                  [this](const StreamGroup::Event& event) { EXPECT_TRUE(watch_.Take(event, clock_.Read())); });
    watch_.Tick(clock_.Read());
  }
  StreamGroup::Id TheStream() {
    EXPECT_EQ(streams_.open().size(), 1u);
    return streams_.open().empty() ? 0 : streams_.open().begin()->first;
  }
  std::string TheTarget() { return streams_.open().empty() ? "none" : streams_.open().begin()->second; }
  // Brought to the point where it watches from this version.
  void Watching(int version) {
    Turn();
    streams_.Answer(TheStream(), ListJson({PodJson("a", 1), PodJson("b", 2)}, version));
    Turn();
    ASSERT_THAT(TheTarget(),
                HasSubstr(fmt::format("watch=true&allowWatchBookmarks=true&resourceVersion={}&", version)));
    streams_.Headers(TheStream());
    Turn();
  }
  void Pass(absl::Duration time) { clock_.Advance(time); }

  FakeClock clock_;
  HandStreams streams_;
  ClusterBook book_;
  KindWatch watch_;
};

TEST_F(KindWatchTest, ListsInPagesAndWatchesFromThere) {
  Turn();
  EXPECT_EQ(TheTarget(), "/api/v1/namespaces/shop/pods?limit=100");
  EXPECT_FALSE(watch_.is_settled());
  streams_.Answer(TheStream(), ListJson({PodJson("a", 1)}, 10, "more/+="));
  Turn();
  EXPECT_EQ(TheTarget(), "/api/v1/namespaces/shop/pods?limit=100&continue=more%2F%2B%3D");
  EXPECT_FALSE(watch_.is_settled()) << "half a list is none";
  streams_.Answer(TheStream(), ListJson({PodJson("b", 2)}, 10));
  Turn();
  EXPECT_THAT(TheTarget(), StartsWith("/api/v1/namespaces/shop/pods?watch=true&allowWatchBookmarks=true&"
                                      "resourceVersion=10&timeoutSeconds=375"));
  EXPECT_TRUE(watch_.is_settled());
  EXPECT_THAT(book_.Uids(KubeKind::kPod), UnorderedElementsAre("uid-a", "uid-b"));
  EXPECT_TRUE(watch_.TakeChanged());
  EXPECT_FALSE(watch_.TakeChanged());
}

TEST_F(KindWatchTest, TakesChangesAndGoesOnBehindTheLastOne) {
  Watching(10);
  const std::string lines = EventJson("ADDED", PodJson("c", 11)) + EventJson("DELETED", PodJson("a", 12));
  for (const char c : lines) streams_.Bytes(TheStream(), std::string(1, c));
  Turn();
  EXPECT_THAT(book_.Uids(KubeKind::kPod), UnorderedElementsAre("uid-b", "uid-c"));
  Pass(absl::Minutes(1));
  streams_.End(TheStream());
  Turn();
  EXPECT_THAT(TheTarget(), HasSubstr("resourceVersion=12&"));
  EXPECT_EQ(watch_.lists(), 1);
  streams_.Bytes(TheStream(), Bookmark(99));
  Turn();
  Pass(absl::Minutes(1));
  streams_.End(TheStream(), MakeError(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "cut"));
  Turn();
  EXPECT_TRUE(watch_.trouble().has_value());
  Pass(absl::Seconds(1));
  Turn();
  EXPECT_THAT(TheTarget(), HasSubstr("resourceVersion=99&")) << "bookmarks count";
  streams_.Headers(TheStream());
  Turn();
  EXPECT_FALSE(watch_.trouble().has_value());
}

TEST_F(KindWatchTest, WhatIsTooOldIsListedAnewAndWhatTheListLacksIsGone) {
  for (const bool as_event : {true, false}) {
    KindWatch watch(
        {.kind = KubeKind::kPod, .name_space = "shop"}, &streams_, &book_, [] { return 0.5; }, clock_.Monotonic());
    const auto turn = [&] {
      watch.Tick(clock_.Read());
      streams_.Wait(absl::ZeroDuration(), [&](const StreamGroup::Event& event) { watch.Take(event, clock_.Read()); });
      watch.Tick(clock_.Read());
    };
    turn();
    streams_.Answer(TheStream(), ListJson({PodJson("a", 1), PodJson("b", 2)}, 10));
    turn();
    if (as_event) {
      streams_.Bytes(TheStream(), EventJson("ERROR", R"({"kind":"Status","code":410,"message":"too old"})"));
    } else {
      streams_.End(TheStream(), HttpError(410), 410);
    }
    turn();
    EXPECT_EQ(TheTarget(), "/api/v1/namespaces/shop/pods?limit=100");
    streams_.Answer(TheStream(), ListJson({PodJson("b", 2), PodJson("c", 20)}, 30));
    turn();
    EXPECT_THAT(book_.Uids(KubeKind::kPod), UnorderedElementsAre("uid-b", "uid-c"));
    EXPECT_THAT(TheTarget(), HasSubstr("resourceVersion=30&"));
    streams_.Close(TheStream());
  }
}

TEST_F(KindWatchTest, AServerThatAlwaysSaysGoneIsNotAskedInATightLoop) {
  Turn();
  for (int i = 0; i < 5; ++i) {
    streams_.End(TheStream(), HttpError(410), 410);
    Turn();
    ASSERT_TRUE(streams_.open().empty());
    Pass(watch_.DueAt() - clock_.Monotonic());
    Turn();
    ASSERT_EQ(streams_.open().size(), 1u);
  }
  EXPECT_GE(clock_.Monotonic() - Instant(), absl::Seconds(5));
}

TEST_F(KindWatchTest, AnOldTokenIsTriedAgainAtOnceAndThenLater) {
  Turn();
  streams_.End(TheStream(), HttpError(401), 401);
  Turn();
  EXPECT_EQ(streams_.open().size(), 1u);
  EXPECT_FALSE(watch_.trouble().has_value());
  streams_.End(TheStream(), HttpError(401), 401);
  Turn();
  EXPECT_TRUE(streams_.open().empty());
  EXPECT_TRUE(watch_.trouble().has_value());
}

TEST_F(KindWatchTest, WhatIsForbiddenIsAskedForAgainLater) {
  Turn();
  streams_.End(TheStream(), HttpError(403), 403);
  Turn();
  EXPECT_TRUE(watch_.is_forbidden());
  EXPECT_TRUE(watch_.is_settled());
  EXPECT_EQ(watch_.DueAt() - clock_.Monotonic(), kForbiddenRetry);
  Pass(kForbiddenRetry);
  Turn();
  streams_.Answer(TheStream(), ListJson({}, 5));
  Turn();
  EXPECT_FALSE(watch_.is_forbidden());
  EXPECT_FALSE(watch_.trouble().has_value());
}

TEST_F(KindWatchTest, TheServerSaysWhenToComeBack) {
  Turn();
  streams_.End(TheStream(), HttpError(429), 429, absl::Seconds(17));
  Turn();
  EXPECT_EQ(watch_.DueAt() - clock_.Monotonic(), absl::Seconds(17));
}

TEST_F(KindWatchTest, ALineThatCannotBeReadMeansANewList) {
  for (const std::string& line :
       {std::string("{\"type\":\"ADDED\",\"object\":\n"), std::string(kMaxWatchLineBytes + 1, 'x') + "\n"}) {
    SCOPED_TRACE(line.size());
    if (streams_.open().empty()) {
      Watching(10);
    } else {
      streams_.Headers(TheStream());
      Turn();
    }
    streams_.Bytes(TheStream(), line);
    Turn();
    EXPECT_TRUE(streams_.open().empty());
    Pass(absl::Minutes(1));
    Turn();
    EXPECT_THAT(TheTarget(), HasSubstr("limit="));
    streams_.Answer(TheStream(), ListJson({}, 20));
    Turn();
  }
  EXPECT_EQ(watch_.bad_lines(), 2);
}

TEST_F(KindWatchTest, AWatchThatHangsIsOpenedAnew) {
  Watching(10);
  const StreamGroup::Id first = TheStream();
  Pass(kMaxSilence + absl::Seconds(1));
  Turn();
  EXPECT_EQ(TheStream(), first) << "without bookmarks silence says nothing";
  streams_.Bytes(TheStream(), Bookmark(11));
  Turn();
  Pass(kMaxSilence + absl::Seconds(1));
  Turn();
  EXPECT_NE(TheStream(), first);
  EXPECT_THAT(TheTarget(), HasSubstr("resourceVersion=11&"));
  const StreamGroup::Id second = TheStream();
  Pass(kMinWatchTime * 1.5 + kWatchGrace);
  Turn();
  EXPECT_NE(TheStream(), second) << "nobody ended it";
}

TEST_F(KindWatchTest, APageThatIsTooLargeIsAskedForInSmallerOnes) {
  Turn();
  streams_.Headers(TheStream());
  streams_.Bytes(TheStream(), std::string(kMaxListPageBytes, ' '));
  streams_.Bytes(TheStream(), "x");
  Turn();
  Pass(absl::Minutes(1));
  Turn();
  EXPECT_EQ(TheTarget(), "/api/v1/namespaces/shop/pods?limit=50");
}

TEST_F(KindWatchTest, AListThatDoesNotEndIsGivenUp) {
  Turn();
  streams_.Headers(TheStream());
  streams_.Bytes(TheStream(), "{");
  Turn();
  Pass(kListBodyDeadline);
  Turn();
  EXPECT_TRUE(streams_.open().empty());
  EXPECT_TRUE(watch_.trouble().has_value());
}

TEST(KubePaths, NameEachCollection) {
  const struct {
    KubeKind kind;
    const char *in_namespace, *everywhere;
  } cases[] = {
      {KubeKind::kDeployment, "/apis/apps/v1/namespaces/a%2Fb/deployments", "/apis/apps/v1/deployments"},
      {KubeKind::kStatefulSet, "/apis/apps/v1/namespaces/a%2Fb/statefulsets", "/apis/apps/v1/statefulsets"},
      {KubeKind::kDaemonSet, "/apis/apps/v1/namespaces/a%2Fb/daemonsets", "/apis/apps/v1/daemonsets"},
      {KubeKind::kReplicaSet, "/apis/apps/v1/namespaces/a%2Fb/replicasets", "/apis/apps/v1/replicasets"},
      {KubeKind::kJob, "/apis/batch/v1/namespaces/a%2Fb/jobs", "/apis/batch/v1/jobs"},
      {KubeKind::kCronJob, "/apis/batch/v1/namespaces/a%2Fb/cronjobs", "/apis/batch/v1/cronjobs"},
      {KubeKind::kPod, "/api/v1/namespaces/a%2Fb/pods", "/api/v1/pods"},
      {KubeKind::kEvent, "/api/v1/namespaces/a%2Fb/events", "/api/v1/events"},
      {KubeKind::kNode, "/api/v1/nodes", "/api/v1/nodes"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(KubeCollectionPath(c.kind, "a/b"), c.in_namespace);
    EXPECT_EQ(KubeCollectionPath(c.kind, ""), c.everywhere);
  }
}

}  // namespace
}  // namespace muster::agent
