#include "agent/metrics/container_uses.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

class ContainerUsesTest : public testing::Test {
 protected:
  void Run(const std::string& id, const std::string& key, bool is_running = true) {
    LogContainer& container = containers_.emplace_back();
    container.id = id;
    container.name = "name-" + id;
    container.deployment_key = key;
    container.is_running = is_running;
  }
  void Update() {
    asked_.clear();
    uses_.Update(containers_, &clock_, [this](const std::string& id) -> absl::StatusOr<ContainerStats> {
      asked_.insert(id);
      clock_.Advance(answer_time_);
      if (!failure_.ok()) return failure_;
      return stats_[id];
    });
  }
  v1::HostReport Report(std::int64_t host_memory = 0) {
    v1::HostReport report;
    uses_.Fill(clock_.Monotonic(), host_memory, &report);
    return report;
  }

  FakeClock clock_;
  std::vector<LogContainer> containers_;
  std::map<std::string, ContainerStats> stats_;
  std::set<std::string> asked_;
  absl::Duration answer_time_;
  absl::Status failure_;
  ContainerUses uses_;
};

TEST_F(ContainerUsesTest, DeploymentsUseWhatTheirContainersUse) {
  Run("b", "compose/shop");
  Run("a", "compose/shop");
  Run("c", "container/db");
  Run("d", "container/db", false);
  stats_ = {{"a", {.cpu_seconds = 10, .memory_bytes = 100, .memory_limit_bytes = 1000}},
            {"b", {.cpu_seconds = 20, .memory_bytes = 200, .memory_limit_bytes = 500}},
            {"c", {.cpu_seconds = 30, .memory_bytes = 300}}};
  Update();
  EXPECT_EQ(asked_, (std::set<std::string>{"a", "b", "c"})) << "who does not run is not asked";
  v1::HostReport report = Report(1000);
  ASSERT_EQ(report.sample().deployments_size(), 2);
  EXPECT_EQ(report.sample().deployments(0).deployment_key(), "compose/shop");
  EXPECT_FALSE(report.sample().deployments(0).has_cpu_cores());
  EXPECT_EQ(report.sample().deployments(0).memory_bytes(), 300);
  ASSERT_EQ(report.containers_size(), 3);
  EXPECT_EQ(report.containers(0).container(), "name-a");
  EXPECT_EQ(report.containers(0).memory_limit_bytes(), 0) << "all of the host's memory is no limit";
  EXPECT_EQ(report.containers(1).memory_limit_bytes(), 500);
  EXPECT_EQ(report.containers(2).cpu_seconds(), 30);

  clock_.Advance(absl::Seconds(10));
  stats_["a"].cpu_seconds = 15;
  stats_["b"].cpu_seconds = 5;  // it was restarted
  Update();
  report = Report();
  EXPECT_DOUBLE_EQ(report.sample().deployments(0).cpu_cores(), 0.5);
  EXPECT_DOUBLE_EQ(report.sample().deployments(1).cpu_cores(), 0);
}

TEST_F(ContainerUsesTest, WhatEndedIsForgotten) {
  Run("a", "compose/shop");
  Update();
  containers_[0].is_running = false;
  Update();
  EXPECT_EQ(Report().containers_size(), 0);
  EXPECT_EQ(Report().sample().deployments_size(), 0);
}

TEST_F(ContainerUsesTest, BeyondAHundredTheyTakeTurns) {
  for (int i = 0; i < 250; ++i) Run(fmt::format("{:03}", i), "compose/shop");
  std::set<std::string> all;
  for (int i = 0; i < 3; ++i) {
    Update();
    EXPECT_LE(asked_.size(), kMaxContainersAsked);
    all.insert(asked_.begin(), asked_.end());
    clock_.Advance(absl::Seconds(30));
  }
  EXPECT_EQ(all.size(), 250U);
  EXPECT_EQ(Report().containers_size(), 250);
}

TEST_F(ContainerUsesTest, ASlowEngineIsNotAskedForLong) {
  for (int i = 0; i < 10; ++i) Run(fmt::format("{}", i), "compose/shop");
  answer_time_ = absl::Seconds(2);
  Update();
  EXPECT_EQ(asked_.size(), 3U);
  const std::set<std::string> first = asked_;
  Update();
  for (const std::string& id : first) EXPECT_FALSE(asked_.contains(id)) << "others come first";
}

TEST_F(ContainerUsesTest, OneThatDoesNotAnswerIsToldAsItWasForFiveMinutes) {
  Run("a", "compose/shop");
  stats_["a"].memory_bytes = 100;
  Update();
  failure_ = absl::DeadlineExceededError("no answer");
  clock_.Advance(kMaxUseAge);
  Update();
  EXPECT_EQ(asked_.size(), 1U);
  EXPECT_EQ(Report().containers_size(), 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Report().containers_size(), 0);
  EXPECT_EQ(Report().sample().deployments_size(), 0);
}

TEST_F(ContainerUsesTest, AnEngineThatIsAwayIsAskedOnce) {
  for (int i = 0; i < 10; ++i) Run(fmt::format("{}", i), "compose/shop");
  failure_ = absl::UnavailableError("connection refused");
  Update();
  EXPECT_EQ(asked_.size(), 1U);
}

}  // namespace
}  // namespace muster::agent
