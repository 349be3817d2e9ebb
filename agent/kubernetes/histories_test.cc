// The histories of the API server's double (tests/fixtures/kubernetes) through decoder and book: every change, in the
// order in which a watch gives it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/object_decode.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::map<std::string, KubeKind>& Kinds() {
  static const std::map<std::string, KubeKind> kinds = {{"deployments", KubeKind::kDeployment},
                                                        {"statefulsets", KubeKind::kStatefulSet},
                                                        {"daemonsets", KubeKind::kDaemonSet},
                                                        {"replicasets", KubeKind::kReplicaSet},
                                                        {"jobs", KubeKind::kJob},
                                                        {"cronjobs", KubeKind::kCronJob},
                                                        {"pods", KubeKind::kPod},
                                                        {"events", KubeKind::kEvent},
                                                        {"nodes", KubeKind::kNode}};
  return kinds;
}

struct Shown {
  std::string what;
  // By key of the deployment.
  std::map<std::string, v1::DeploymentState> deployments;
};

class Replay {
 public:
  explicit Replay(const std::string& name) {
    std::ifstream file(std::string(MUSTER_KUBERNETES_HISTORIES) + "/" + name + ".json");
    for (const nlohmann::json& step : nlohmann::json::parse(file)) {
      const absl::Time time = *ParseRfc3339(step["time"].get<std::string>());
      if (shown_.empty()) begin_ = time;
      now_ = {.monotonic = Instant::FromDuration(absl::Hours(1) + (time - begin_)), .wall = time};
      if (shown_.empty()) {
        TakeLists(step["list"], by_watch_);
      } else {
        for (const nlohmann::json& event : step["watch"]) TakeEvent(event);
      }
      Show(step["what"].get<std::string>());
      CompareWithLists(step["list"]);
    }
  }

  const std::vector<Shown>& shown() const { return shown_; }
  std::set<std::string> StatusesOf(const std::string& key) const {
    std::set<std::string> statuses;
    for (const Shown& picture : shown_) {
      const auto it = picture.deployments.find(key);
      if (it != picture.deployments.end()) {
        statuses.insert(types::v1::DeploymentStatus_Name(it->second.status()).substr(18));
      }
    }
    return statuses;
  }
  std::string Message(std::string_view what, const std::string& key) const {
    for (const Shown& picture : shown_) {
      if (picture.what.find(what) != std::string::npos && picture.deployments.contains(key)) {
        return picture.deployments.at(key).message();
      }
    }
    return "no such step";
  }

 private:
  void TakeLists(const nlohmann::json& lists, ClusterBook& book) {
    for (const auto& [plural, kind] : Kinds()) {
      if (!lists.contains(plural)) continue;
      absl::StatusOr<KubeListPage> page = DecodeKubeList(kind, lists[plural].dump());
      ASSERT_TRUE(page.ok()) << page.status();
      for (KubeObject& object : page->objects) book.Put(kind, std::move(object), now_);
    }
  }
  void TakeEvent(const nlohmann::json& line) {
    const std::string word = line["object"]["kind"].get<std::string>();
    for (const auto& [plural, kind] : Kinds()) {
      std::string lower = word;
      for (char& c : lower) c = static_cast<char>(std::tolower(c));
      if (plural != lower + "s") continue;
      absl::StatusOr<KubeWatchEvent> event = DecodeKubeWatchLine(kind, line.dump());
      ASSERT_TRUE(event.ok()) << event.status();
      if (event->type == KubeWatchEvent::Type::kDeleted) {
        by_watch_.Remove(kind, MetaOf(event->object).uid, now_);
      } else if (event->type == KubeWatchEvent::Type::kPut) {
        by_watch_.Put(kind, std::move(event->object), now_);
      }
      return;
    }
    FAIL() << word << " is of no kind that is read";
  }
  void Show(std::string what) {
    Shown picture{.what = std::move(what), .deployments = {}};
    for (v1::DeploymentState& state : by_watch_.Look(now_).deployments) {
      std::string key = state.key();
      picture.deployments.emplace(std::move(key), std::move(state));
    }
    shown_.push_back(std::move(picture));
  }
  // An agent that starts now sees the same deployments, resources and revisions.
  void CompareWithLists(const nlohmann::json& lists) {
    ClusterBook fresh;
    TakeLists(lists, fresh);
    for (const v1::DeploymentState& state : fresh.Look(now_).deployments) {
      const auto it = shown_.back().deployments.find(state.key());
      ASSERT_NE(it, shown_.back().deployments.end()) << state.key() << " at " << shown_.back().what;
      EXPECT_EQ(it->second.revision(), state.revision()) << state.key() << " at " << shown_.back().what;
      EXPECT_EQ(it->second.resources_size(), state.resources_size()) << state.key() << " at " << shown_.back().what;
    }
  }

  ClusterBook by_watch_;
  Moment now_;
  absl::Time begin_;
  std::vector<Shown> shown_;
};

TEST(Histories, AreAllReadToTheirEnd) {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(MUSTER_KUBERNETES_HISTORIES)) {
    SCOPED_TRACE(file.path().stem().string());
    EXPECT_GT(Replay(file.path().stem().string()).shown().size(), 1u);
    ++count;
  }
  EXPECT_GE(count, 40);
}

TEST(Histories, RolloutsOfHealthyWorkloadsAreNeverAnError) {
  const struct {
    const char *history, *key;
  } cases[] = {{"rollout", "deployment/shop/web"},
               {"statefulset_rollout", "statefulset/shop/db"},
               {"daemonset_rollout", "daemonset/shop/node-logger"},
               {"helm", "helm/shop/portal"}};
  for (const auto& c : cases) {
    const std::set<std::string> statuses = Replay(c.history).StatusesOf(c.key);
    EXPECT_THAT(statuses, AllOf(Contains("PROGRESSING"), Contains("HEALTHY"), Not(Contains("ERROR")))) << c.history;
  }
}

TEST(Histories, ErrorsNameWhatIsWrong) {
  const struct {
    const char *history, *what, *key, *words;
  } cases[] = {{"crash_loop", "backing off", "deployment/shop/web", "CrashLoopBackOff"},
               {"bad_image", "backing off", "deployment/shop/web", "registry.example.com/shop/web:9.9.9"},
               {"config_error", "configuration missing", "deployment/shop/web", "CreateContainerConfigError"},
               {"oom_killed", "started again", "deployment/shop/web", "OOM-killed"},
               {"quota", "", "deployment/shop/web", "quota"},
               {"job_failure", "failed", "job/shop/import", "BackoffLimitExceeded"},
               {"progress_deadline", "deadline exceeded", "deployment/shop/web", "progress deadline"}};
  for (const auto& c : cases) {
    const Replay replay(c.history);
    EXPECT_THAT(replay.StatusesOf(c.key), Contains("ERROR")) << c.history;
    bool is_named = false;
    for (const Shown& picture : replay.shown()) {
      const auto it = picture.deployments.find(c.key);
      is_named = is_named || (picture.what.find(c.what) != std::string::npos && it != picture.deployments.end() &&
                              it->second.message().find(c.words) != std::string::npos);
    }
    EXPECT_TRUE(is_named) << c.history << ": " << replay.Message(c.what, c.key);
  }
}

TEST(Histories, WhatEndsInOrderLeavesNothing) {
  EXPECT_THAT(Replay("job_success").shown().back().deployments, IsEmpty());
}

}  // namespace
}  // namespace muster::agent
