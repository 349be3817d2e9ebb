// The status rules for Docker (docs/status-rules.md): from what the engine says about containers to the status of their
// deployment. Pure functions over plain values; no clock, no engine.
#ifndef MUSTER_AGENT_DOCKER_STATUS_RULES_H_
#define MUSTER_AGENT_DOCKER_STATUS_RULES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/docker/engine_types.h"
#include "muster/types/v1/types.pb.h"

namespace muster::agent {

// What happened to a container lately; see restart_history.h.
struct ContainerPast {
  // 3 restarts in 10 min.
  bool restart_loop = false;
  absl::Time loop_since = absl::InfinitePast();
  // An `oom` event in the last 10 min.
  bool oom = false;
  absl::Time oom_time = absl::InfinitePast();
  // The last one that was not 0; a container that runs again does not tell it any more.
  int last_exit_code = 0;
};

enum class ContainerClass { kError, kProgressing, kPaused, kStopped, kFinished, kHealthy, kRunning };

struct ContainerJudgement {
  ContainerClass container_class = ContainerClass::kRunning;
  // "exited with code 1", without the name; empty for kFinished, kHealthy and kRunning.
  std::string reason;
  // What the last health check printed, shown while there is room.
  std::string output;
  // When this became so; InfinitePast: the engine does not tell.
  absl::Time since = absl::InfinitePast();
};

ContainerJudgement JudgeContainer(const Container& container, const ContainerPast& past);

struct NamedJudgement {
  std::string name;
  ContainerJudgement judgement;
};

struct DeploymentVerdict {
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  // At most kMaxMessageBytes of valid UTF-8.
  std::string message;
  // When the status took effect, as far as the containers tell; else InfinitePast.
  absl::Time since = absl::InfinitePast();
};

// `containers` in the order in which the message shall name them; empty: all are gone.
DeploymentVerdict JudgeDeployment(const std::vector<NamedJudgement>& containers);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_STATUS_RULES_H_
