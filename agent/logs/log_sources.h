// What the collector of logs is told by others: the observer's containers, the hub's settings, the agent's own log.
#ifndef MUSTER_AGENT_LOGS_LOG_SOURCES_H_
#define MUSTER_AGENT_LOGS_LOG_SOURCES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/logs/kinds.h"

namespace muster::agent {

// A container that belongs to a deployment.
struct LogContainer {
  std::string id;
  // Without the slash in front; the resource that its lines are told under.
  std::string name;
  std::string deployment_key;
  std::string revision;
  bool has_tty = false;
  // "json-file", "local", "journald", ...
  std::string log_driver;
  absl::Time created;
  bool is_running = false;
  // Kubernetes: path and query of this log, "/api/v1/namespaces/NS/pods/POD/log?container=C", without what asks for a
  // part of it. Empty: the Docker engine's, by id.
  std::string log_path = {};
  bool operator==(const LogContainer&) const = default;
};

// All containers of the host, whatever they belong to.
struct ContainerCensus {
  // By the runtime's state: `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`, else `other`.
  std::map<std::string, int> states;
  // As the runtime counts them.
  std::int64_t restarts = 0;
  bool operator==(const ContainerCensus&) const = default;
};

// Thread-safe; returns at once.
class ContainerSink {
 public:
  virtual ~ContainerSink() = default;
  // All containers of all deployments, after every change and every full look.
  virtual void Publish(std::vector<LogContainer> containers) = 0;
  // Likewise; nullopt: they cannot be seen now. Nothing to do for whoever does not count.
  virtual void PublishCensus(const std::optional<ContainerCensus>& /*census*/) {}
};

// Thread-safe; returns at once.
class LogSettingsSink {
 public:
  virtual ~LogSettingsSink() = default;
  // Deployments whose container logs are not collected: all of them, whenever the hub says so.
  virtual void SetLogsOff(std::vector<std::string> deployment_keys) = 0;
};

// What the agent itself logged since the last call.
struct OwnLogLine {
  absl::Time time;
  LogLevel level = LogLevel::kNone;
  std::string text;
};
struct OwnLog {
  std::vector<OwnLogLine> lines;
  // Lines for which there was no room, between the first and the last of these times.
  std::int64_t dropped = 0;
  absl::Time dropped_from;
  absl::Time dropped_to;
};

class OwnLogSource {
 public:
  virtual ~OwnLogSource() = default;
  virtual OwnLog Take() = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LOG_SOURCES_H_
