#include "agent/docker/status_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/deployments/messages.h"

namespace muster::agent {
namespace {

using Class = ContainerClass;

bool IsUp(ContainerState state) { return state == ContainerState::kRunning || state == ContainerState::kPaused; }

bool RestartsAfterSuccess(RestartPolicy policy) {
  return policy == RestartPolicy::kAlways || policy == RestartPolicy::kUnlessStopped;
}

ContainerJudgement Judge(Class container_class, std::string reason, absl::Time since) {
  return {.container_class = container_class, .reason = std::move(reason), .output = "", .since = since};
}

bool IsBad(Class c) { return c == Class::kError || c == Class::kPaused || c == Class::kStopped; }

std::string MessageOf(const std::vector<const NamedJudgement*>& containers) {
  std::vector<Complaint> complaints;
  complaints.reserve(containers.size());
  for (const NamedJudgement* c : containers) {
    complaints.push_back({.name = c->name, .reason = c->judgement.reason, .output = c->judgement.output});
  }
  return MessageAbout(complaints);
}

// The earliest or the latest time among the containers of the classes that decided.
absl::Time Earliest(const std::vector<const NamedJudgement*>& containers) {
  absl::Time earliest = absl::InfiniteFuture();
  for (const NamedJudgement* c : containers) earliest = std::min(earliest, c->judgement.since);
  return earliest;
}

absl::Time Latest(const std::vector<const NamedJudgement*>& containers) {
  absl::Time latest = absl::InfinitePast();
  for (const NamedJudgement* c : containers) latest = std::max(latest, c->judgement.since);
  return latest;
}

}  // namespace

ContainerJudgement JudgeContainer(const Container& c, const ContainerPast& past) {
  const bool up = IsUp(c.state);
  if (c.state == ContainerState::kDead) return Judge(Class::kError, "is dead", c.finished);
  if (c.oom_killed && !up) {
    return Judge(Class::kError, fmt::format("was OOM-killed (out of memory), {}", ExitReason(c.exit_code)), c.finished);
  }
  if (past.oom)
    return Judge(Class::kError, "had a process OOM-killed (out of memory) in the last 10 min", past.oom_time);
  if (c.state == ContainerState::kExited && c.exit_code != 0) {
    return Judge(Class::kError, ExitReason(c.exit_code), c.finished);
  }
  if (c.state == ContainerState::kCreated && (c.exit_code != 0 || !c.error.empty())) {
    return Judge(Class::kError,
                 c.error.empty() ? fmt::format("could not be started, code {}", c.exit_code)
                                 : fmt::format("could not be started: {}", c.error),
                 c.created);
  }
  if (past.restart_loop && c.state != ContainerState::kExited) {
    return Judge(Class::kError,
                 past.last_exit_code == 0 ? "is in a restart loop (3 or more restarts in 10 min)"
                                          : fmt::format("is in a restart loop (3 or more restarts in 10 min), last {}",
                                                        ExitReason(past.last_exit_code)),
                 past.loop_since);
  }
  if (up && c.health == ContainerHealth::kUnhealthy) {
    ContainerJudgement judgement = Judge(Class::kError, "is unhealthy", c.health_since);
    judgement.output = c.health_output;
    return judgement;
  }
  switch (c.state) {
    case ContainerState::kCreated:
      return Judge(Class::kProgressing, "is created, not started", c.created);
    case ContainerState::kRestarting:
      return Judge(Class::kProgressing, fmt::format("is restarting, {}", ExitReason(c.exit_code)), c.finished);
    case ContainerState::kRemoving:
      return Judge(Class::kProgressing, "is being removed", absl::InfinitePast());
    case ContainerState::kUnknown:
      return Judge(Class::kProgressing, fmt::format("is in the unknown state \"{}\"", c.state_word),
                   absl::InfinitePast());
    case ContainerState::kPaused:
      return Judge(Class::kPaused, "is paused", absl::InfinitePast());
    case ContainerState::kExited:
      if (RestartsAfterSuccess(c.policy)) return Judge(Class::kStopped, "was stopped (exited with code 0)", c.finished);
      return Judge(Class::kFinished, "", c.finished);
    case ContainerState::kRunning:
    case ContainerState::kDead:
      break;
  }
  if (c.health == ContainerHealth::kStarting) {
    return Judge(Class::kProgressing, "is starting (no health check has passed yet)", c.started);
  }
  if (c.health == ContainerHealth::kHealthy) return Judge(Class::kHealthy, "", std::max(c.started, c.health_since));
  return Judge(Class::kRunning, "", c.started);
}

DeploymentVerdict JudgeDeployment(const std::vector<NamedJudgement>& containers) {
  if (containers.empty()) {
    return {.status = types::v1::DEPLOYMENT_STATUS_ERROR, .message = "all containers are gone"};
  }
  const auto of_class = [&](auto matches) {
    std::vector<const NamedJudgement*> found;
    for (const NamedJudgement& c : containers) {
      if (matches(c.judgement.container_class)) found.push_back(&c);
    }
    return found;
  };
  const auto of = [&](Class wanted) { return of_class([=](Class c) { return c == wanted; }); };
  const auto error_because = [&](const std::vector<const NamedJudgement*>& deciding) {
    return DeploymentVerdict{.status = types::v1::DEPLOYMENT_STATUS_ERROR,
                             .message = MessageOf(of_class(IsBad)),
                             .since = Earliest(deciding)};
  };
  if (const auto errors = of(Class::kError); !errors.empty()) return error_because(errors);
  if (const auto progressing = of(Class::kProgressing); !progressing.empty()) {
    return {.status = types::v1::DEPLOYMENT_STATUS_PROGRESSING,
            .message = MessageOf(progressing),
            .since = Earliest(progressing)};
  }
  if (const auto paused = of(Class::kPaused); !paused.empty()) return error_because(paused);
  if (const auto stopped = of(Class::kStopped); !stopped.empty()) return error_because(stopped);
  const auto left = of_class([](Class c) { return c != Class::kFinished; });
  if (left.empty()) {
    return {
        .status = types::v1::DEPLOYMENT_STATUS_RUNNING, .message = "completed", .since = Latest(of(Class::kFinished))};
  }
  const bool checked = !of(Class::kHealthy).empty();
  return {.status = checked ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_RUNNING,
          .message = "",
          .since = Latest(left)};
}

}  // namespace muster::agent
