// What the Docker Engine says about containers, as plain values. Produced by engine_decode.h from JSON, used by
// the rules and the book. Texts are valid UTF-8 and bounded, see the limits there.
#ifndef MUSTER_AGENT_DOCKER_ENGINE_TYPES_H_
#define MUSTER_AGENT_DOCKER_ENGINE_TYPES_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace muster::agent {

enum class ContainerState { kCreated, kRunning, kPaused, kRestarting, kRemoving, kExited, kDead, kUnknown };
enum class ContainerHealth { kNone, kStarting, kHealthy, kUnhealthy };
enum class RestartPolicy { kNo, kOnFailure, kAlways, kUnlessStopped };

// The labels that mean something to us; all others stay on the host.
struct ContainerLabels {
  std::string compose_project;
  std::string compose_service;
  bool compose_oneoff = false;
  std::string compose_config_hash;
  std::string stack_namespace;
  std::string swarm_service;
  std::string swarm_task;
  std::string muster_application;
  std::string muster_version;
  std::string oci_title;
  std::string oci_version;
};

// Times the engine does not know are absl::InfinitePast().
struct Container {
  std::string id;
  std::string name;
  std::string image;     // as configured: "nginx:1.25"
  std::string image_id;  // "sha256:..."
  ContainerLabels labels;
  absl::Time created = absl::InfinitePast();

  ContainerState state = ContainerState::kUnknown;
  std::string state_word;  // the engine's own
  int exit_code = 0;
  bool oom_killed = false;
  std::string error;  // why the start failed
  absl::Time started = absl::InfinitePast();
  absl::Time finished = absl::InfinitePast();

  ContainerHealth health = ContainerHealth::kNone;
  std::string health_output;  // first line of the last check's output
  // End of the first check of the present row of equal results, as far as the engine remembers.
  absl::Time health_since = absl::InfinitePast();

  RestartPolicy policy = RestartPolicy::kNo;
  std::int64_t restart_count = 0;
  bool auto_remove = false;  // --rm
  bool has_tty = false;
  std::string log_driver;  // "json-file", "local", "journald", ...
  // Hash of what `docker run` was told; empty when only the list was seen.
  std::string config_hash;
  // Only what the list shows: no policy, no restarts, no health output, no times, no log driver.
  bool partial = false;
};

enum class EventAction { kOther, kCreate, kStart, kDie, kOom, kKill, kDestroy, kChange };

// One line of the event stream. `kOther` changes nothing (exec, attach, stop: `die` told it), `kChange` may change
// anything (health, rename, update, unpause).
struct EngineEvent {
  EventAction action = EventAction::kOther;
  std::string container_id;
  int exit_code = 0;  // of kDie
  absl::Time time = absl::InfinitePast();
};

// What a running container uses.
struct ContainerStats {
  double cpu_seconds = 0;  // since its start
  // Without the page cache that the kernel gives up first.
  std::int64_t memory_bytes = 0;
  // The host's memory where the container has none of its own; 0: not told.
  std::int64_t memory_limit_bytes = 0;
};

struct EngineVersion {
  std::string name;     // "docker", "podman"
  std::string version;  // "20.10.24+dfsg1"
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_ENGINE_TYPES_H_
