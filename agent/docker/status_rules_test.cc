#include "agent/docker/status_rules.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_PROGRESSING;
using types::v1::DEPLOYMENT_STATUS_RUNNING;
using Class = ContainerClass;
using State = ContainerState;
using Health = ContainerHealth;
using Policy = RestartPolicy;

absl::Time At(int seconds) { return absl::FromUnixSeconds(1'800'000'000 + seconds); }

// A container's facts as one line of a table.
struct Facts {
  State state = State::kRunning;
  Health health = Health::kNone;
  int exit_code = 0;
  bool oom_killed = false;
  Policy policy = Policy::kNo;
  bool loop = false;
  bool oom_lately = false;
  std::string error = {};
};

Container ContainerOf(const Facts& facts) {
  Container c;
  c.name = "web";
  c.state = facts.state;
  c.state_word = "odd";
  c.health = facts.health;
  c.exit_code = facts.exit_code;
  c.oom_killed = facts.oom_killed;
  c.policy = facts.policy;
  c.error = facts.error;
  c.created = At(0);
  c.started = At(10);
  c.finished = At(20);
  c.health_since = At(15);
  return c;
}

ContainerJudgement JudgeFacts(const Facts& facts) {
  ContainerPast past{.restart_loop = facts.loop, .loop_since = At(30), .oom = facts.oom_lately, .oom_time = At(40)};
  return JudgeContainer(ContainerOf(facts), past);
}

struct ContainerCase {
  const char* name;
  Facts facts;
  Class container_class;
  const char* reason;
  int since;
};

constexpr int kNever = -1;

TEST(JudgeContainer, FollowsTheTableOfRules) {
  const ContainerCase cases[] = {
      // Rule 1 of the design: errors.
      {"dead", {.state = State::kDead}, Class::kError, "is dead", 20},
      {"OOM-killed and down",
       {.state = State::kExited, .exit_code = 137, .oom_killed = true},
       Class::kError,
       "was OOM-killed (out of memory), exited with code 137 (stopped by SIGKILL)",
       20},
      {"OOM-killed, will be restarted",
       {.state = State::kRestarting, .exit_code = 137, .oom_killed = true, .policy = Policy::kAlways},
       Class::kError,
       "was OOM-killed (out of memory), exited with code 137 (stopped by SIGKILL)",
       20},
      {"OOM flag of a container that runs tells nothing about now", {.oom_killed = true}, Class::kRunning, "", 10},
      {"OOM event lately, runs again",
       {.oom_lately = true},
       Class::kError,
       "had a process OOM-killed (out of memory) in the last 10 min",
       40},
      {"exited 1, policy no", {.state = State::kExited, .exit_code = 1}, Class::kError, "exited with code 1", 20},
      {"exited 1, on-failure used up",
       {.state = State::kExited, .exit_code = 1, .policy = Policy::kOnFailure},
       Class::kError,
       "exited with code 1",
       20},
      {"docker stop of a process that ignores SIGTERM",
       {.state = State::kExited, .exit_code = 137, .policy = Policy::kAlways},
       Class::kError,
       "exited with code 137 (stopped by SIGKILL)",
       20},
      {"docker stop of a process without handler",
       {.state = State::kExited, .exit_code = 143},
       Class::kError,
       "exited with code 143 (stopped by SIGTERM)",
       20},
      {"exited 1 after a loop: the exit is the news",
       {.state = State::kExited, .exit_code = 1, .loop = true},
       Class::kError,
       "exited with code 1",
       20},
      {"start failed",
       {.state = State::kCreated, .exit_code = 127, .error = "no such file"},
       Class::kError,
       "could not be started: no such file",
       0},
      {"loop, runs now", {.loop = true}, Class::kError, "is in a restart loop (3 or more restarts in 10 min)", 30},
      {"loop, restarting",
       {.state = State::kRestarting, .exit_code = 1, .policy = Policy::kAlways, .loop = true},
       Class::kError,
       "is in a restart loop (3 or more restarts in 10 min)",
       30},
      {"unhealthy", {.health = Health::kUnhealthy}, Class::kError, "is unhealthy", 15},
      {"unhealthy and paused",
       {.state = State::kPaused, .health = Health::kUnhealthy},
       Class::kError,
       "is unhealthy",
       15},
      // Rule 2: on the way.
      {"created", {.state = State::kCreated}, Class::kProgressing, "is created, not started", 0},
      {"starting",
       {.health = Health::kStarting},
       Class::kProgressing,
       "is starting (no health check has passed yet)",
       10},
      {"restarting after a crash",
       {.state = State::kRestarting, .exit_code = 3, .policy = Policy::kAlways},
       Class::kProgressing,
       "is restarting, exited with code 3",
       20},
      {"removing", {.state = State::kRemoving}, Class::kProgressing, "is being removed", kNever},
      {"a state of the future",
       {.state = State::kUnknown},
       Class::kProgressing,
       "is in the unknown state \"odd\"",
       kNever},
      {"paused", {.state = State::kPaused}, Class::kPaused, "is paused", kNever},
      {"paused and healthy",
       {.state = State::kPaused, .health = Health::kHealthy},
       Class::kPaused,
       "is paused",
       kNever},
      // Rule 3: exited 0.
      {"one-shot, policy no", {.state = State::kExited}, Class::kFinished, "", 20},
      {"one-shot, on-failure", {.state = State::kExited, .policy = Policy::kOnFailure}, Class::kFinished, "", 20},
      {"one-shot that failed three times first",
       {.state = State::kExited, .policy = Policy::kOnFailure, .loop = true},
       Class::kFinished,
       "",
       20},
      {"always, stopped",
       {.state = State::kExited, .policy = Policy::kAlways},
       Class::kStopped,
       "was stopped (exited with code 0)",
       20},
      {"unless-stopped, stopped",
       {.state = State::kExited, .policy = Policy::kUnlessStopped},
       Class::kStopped,
       "was stopped (exited with code 0)",
       20},
      {"health of a container that ended does not matter",
       {.state = State::kExited, .health = Health::kUnhealthy},
       Class::kFinished,
       "",
       20},
      // Rule 4: up.
      {"healthy", {.health = Health::kHealthy}, Class::kHealthy, "", 15},
      {"no check", {}, Class::kRunning, "", 10},
  };
  for (const ContainerCase& c : cases) {
    const ContainerJudgement judgement = JudgeFacts(c.facts);
    EXPECT_EQ(judgement.container_class, c.container_class) << c.name;
    EXPECT_EQ(judgement.reason, c.reason) << c.name;
    EXPECT_EQ(judgement.since, c.since == kNever ? absl::InfinitePast() : At(c.since)) << c.name;
  }
}

TEST(JudgeContainer, NamesTheLastExitCodeOfALoopWhileItRuns) {
  ContainerPast past{.restart_loop = true, .last_exit_code = 3};
  EXPECT_EQ(JudgeContainer(ContainerOf({}), past).reason,
            "is in a restart loop (3 or more restarts in 10 min), last exited with code 3");
}

struct DeploymentCase {
  const char* name;
  std::vector<Facts> containers;
  types::v1::DeploymentStatus status;
  const char* message;
};

DeploymentVerdict JudgeAll(const std::vector<Facts>& all) {
  std::vector<NamedJudgement> judgements;
  for (const Facts& facts : all) {
    judgements.push_back({.name = fmt::format("c{}", judgements.size()), .judgement = JudgeFacts(facts)});
  }
  return JudgeDeployment(judgements);
}

TEST(JudgeDeployment, FirstMatchWins) {
  const Facts running{};
  const Facts healthy{.health = Health::kHealthy};
  const Facts unhealthy{.health = Health::kUnhealthy};
  const Facts created{.state = State::kCreated};
  const Facts paused{.state = State::kPaused};
  const Facts finished{.state = State::kExited};
  const Facts stopped{.state = State::kExited, .policy = Policy::kAlways};
  const Facts failed{.state = State::kExited, .exit_code = 2};
  const DeploymentCase cases[] = {
      {"none", {}, DEPLOYMENT_STATUS_ERROR, "all containers are gone"},
      {"error before everything",
       {running, healthy, created, failed},
       DEPLOYMENT_STATUS_ERROR,
       "c3 exited with code 2"},
      {"every bad one is named",
       {failed, running, unhealthy, paused, stopped},
       DEPLOYMENT_STATUS_ERROR,
       "c0 exited with code 2; c2 is unhealthy; c3 is paused; c4 was stopped (exited with code 0)"},
      {"progressing before paused", {paused, created}, DEPLOYMENT_STATUS_PROGRESSING, "c1 is created, not started"},
      {"progressing before stopped", {stopped, created}, DEPLOYMENT_STATUS_PROGRESSING, "c1 is created, not started"},
      {"paused", {running, paused}, DEPLOYMENT_STATUS_ERROR, "c1 is paused"},
      {"stopped", {running, stopped}, DEPLOYMENT_STATUS_ERROR, "c1 was stopped (exited with code 0)"},
      {"a finished one-shot does not count", {finished, healthy}, DEPLOYMENT_STATUS_HEALTHY, ""},
      {"nor beside one without check", {finished, running}, DEPLOYMENT_STATUS_RUNNING, ""},
      {"only finished ones", {finished, finished}, DEPLOYMENT_STATUS_RUNNING, "completed"},
      {"one check of two containers", {healthy, running}, DEPLOYMENT_STATUS_HEALTHY, ""},
      {"no checks", {running, running}, DEPLOYMENT_STATUS_RUNNING, ""},
  };
  for (const DeploymentCase& c : cases) {
    const DeploymentVerdict verdict = JudgeAll(c.containers);
    EXPECT_EQ(verdict.status, c.status) << c.name;
    EXPECT_EQ(verdict.message, c.message) << c.name;
  }
}

TEST(JudgeDeployment, TellsWhenTheStatusTookEffect) {
  const Facts failed{.state = State::kExited, .exit_code = 2};
  EXPECT_EQ(JudgeAll({failed, {.health = Health::kUnhealthy}}).since, At(15)) << "the first failure";
  EXPECT_EQ(JudgeAll({{}, {.health = Health::kHealthy}}).since, At(15)) << "when the last one was up";
  EXPECT_EQ(JudgeAll({{.state = State::kPaused}}).since, absl::InfinitePast());
}

NamedJudgement Bad(std::string name, std::string output) {
  return {.name = std::move(name),
          .judgement = {.container_class = Class::kError, .reason = "is unhealthy", .output = std::move(output)}};
}

TEST(JudgeDeployment, MessageCarriesHealthOutputsWhileTheyFit) {
  EXPECT_EQ(JudgeDeployment({Bad("web", "connection refused"), Bad("db", "")}).message,
            "web is unhealthy: connection refused; db is unhealthy");
  const DeploymentVerdict verdict =
      JudgeDeployment({Bad("web", std::string(300, 'x')), Bad("db", std::string(300, 'y'))});
  EXPECT_EQ(verdict.message, "web is unhealthy; db is unhealthy");
}

TEST(JudgeDeployment, MessageIsBoundedAndCountsWhoIsNotNamed) {
  std::vector<NamedJudgement> many;
  for (int i = 0; i < 1000; ++i) many.push_back(Bad(fmt::format("container-{}", i), ""));
  const std::string message = JudgeDeployment(many).message;
  EXPECT_LE(message.size(), kMaxMessageBytes);
  EXPECT_THAT(message, HasSubstr("container-0 is unhealthy; container-1 is unhealthy"));
  EXPECT_THAT(message, testing::ContainsRegex("; and 9[0-9][0-9] more$"));
  const std::string cut = JudgeDeployment({Bad(std::string(2000, '\xC3'), ""), Bad("db", "")}).message;
  EXPECT_LE(cut.size(), kMaxMessageBytes);
  EXPECT_TRUE(IsValidUtf8(cut));
  const std::string long_names = JudgeDeployment({Bad("web", ""), Bad(std::string(600, 'n'), "")}).message;
  EXPECT_EQ(long_names, "web is unhealthy; and 1 more");
}

}  // namespace
}  // namespace muster::agent
