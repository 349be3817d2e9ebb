#include "agent/docker/engine_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/deployments/json_values.h"
#include "agent/deployments/names.h"
#include "agent/present.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using nlohmann::json;

// Docker's ids have 64 characters.
constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxWordBytes = 32;
constexpr std::size_t kMaxErrorBytes = 200;
constexpr std::size_t kMaxHealthOutputBytes = 120;

bool TooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

absl::StatusOr<json> Parse(std::string_view text, std::string_view what) {
  if (TooDeep(text)) return BadJson(fmt::format("{}: nested deeper than {}", what, kMaxJsonDepth));
  // One hostile label must not blind us: its bytes are replaced, not the whole answer refused.
  std::string cleaned;
  if (!IsValidUtf8(text)) {
    cleaned = CleanUtf8(text, std::numeric_limits<std::size_t>::max());
    text = cleaned;
  }
  json parsed = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return BadJson(fmt::format("{}: not JSON", what));
  return parsed;
}

// Ids become part of a path.
bool IsUsableId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

ContainerState StateOf(std::string_view word) {
  static constexpr std::pair<std::string_view, ContainerState> kStates[] = {
      {"created", ContainerState::kCreated},     {"running", ContainerState::kRunning},
      {"paused", ContainerState::kPaused},       {"restarting", ContainerState::kRestarting},
      {"removing", ContainerState::kRemoving},   {"exited", ContainerState::kExited},
      {"dead", ContainerState::kDead},           {"configured", ContainerState::kCreated},  // Podman's from here
      {"initialized", ContainerState::kCreated}, {"stopped", ContainerState::kExited},
      {"stopping", ContainerState::kRemoving},
  };
  for (const auto& [name, state] : kStates) {
    if (name == word) return state;
  }
  return ContainerState::kUnknown;
}

ContainerHealth HealthOf(std::string_view word) {
  if (word == "starting") return ContainerHealth::kStarting;
  if (word == "healthy") return ContainerHealth::kHealthy;
  if (word == "unhealthy") return ContainerHealth::kUnhealthy;
  return ContainerHealth::kNone;
}

RestartPolicy PolicyOf(std::string_view word) {
  if (word == "always") return RestartPolicy::kAlways;
  if (word == "unless-stopped") return RestartPolicy::kUnlessStopped;
  if (word == "on-failure") return RestartPolicy::kOnFailure;
  return RestartPolicy::kNo;
}

ContainerLabels LabelsOf(const json& labels) {
  ContainerLabels out;
  out.compose_project = BoundedIdentity(JsonText(JsonAt(labels, "com.docker.compose.project")));
  out.compose_service = BoundedIdentity(JsonText(JsonAt(labels, "com.docker.compose.service")));
  const std::string_view oneoff = JsonText(JsonAt(labels, "com.docker.compose.oneoff"));
  out.compose_oneoff = oneoff == "True" || oneoff == "true";
  out.compose_config_hash = JsonText(JsonAt(labels, "com.docker.compose.config-hash"), kMaxNameBytes);
  out.stack_namespace = BoundedIdentity(JsonText(JsonAt(labels, "com.docker.stack.namespace")));
  out.swarm_service = BoundedIdentity(JsonText(JsonAt(labels, "com.docker.swarm.service.name")));
  out.swarm_task = BoundedIdentity(JsonText(JsonAt(labels, "com.docker.swarm.task.name")));
  out.muster_application = JsonText(JsonAt(labels, "muster.application"), kMaxNameBytes);
  out.muster_version = JsonText(JsonAt(labels, "muster.version"), kMaxNameBytes);
  out.oci_title = JsonText(JsonAt(labels, "org.opencontainers.image.title"), kMaxNameBytes);
  out.oci_version = JsonText(JsonAt(labels, "org.opencontainers.image.version"), kMaxNameBytes);
  return out;
}

std::string NameOf(std::string_view raw, std::string_view id) {
  if (raw.starts_with('/')) raw.remove_prefix(1);
  return raw.empty() ? std::string(id.substr(0, 12)) : BoundedIdentity(raw);
}

// The number in "Exited (137) 3 seconds ago", "Restarting (1) ...".
int CodeInStatus(std::string_view status) {
  const std::size_t open = status.find('(');
  int code = 0;
  for (std::size_t i = open; i != std::string_view::npos && ++i < status.size() && code < 100'000;) {
    if (status[i] < '0' || status[i] > '9') break;
    code = code * 10 + (status[i] - '0');
  }
  return code;
}

bool IsNothing(const json& value) {
  return value.is_null() || (value.is_string() && JsonText(value).empty()) ||
         (value.is_structured() && value.empty()) || (value.is_number() && value == 0) ||
         (value.is_boolean() && !value.get<bool>());
}

// What somebody told `docker run`. An explicit list: engines add fields with every version, and an engine's upgrade
// must not look like a new revision of everything. Defaults are left out for the same reason.
std::string ConfigHash(const json& inspect, std::string_view id) {
  static constexpr std::array kConfig = {"Image",   "Cmd",    "Entrypoint",  "User",       "WorkingDir", "ExposedPorts",
                                         "Volumes", "Labels", "Healthcheck", "StopSignal", "Tty",        "Domainname"};
  static constexpr std::array kHost = {"Mounts",         "PortBindings", "RestartPolicy", "NetworkMode",   "Privileged",
                                       "ReadonlyRootfs", "CapAdd",       "CapDrop",       "Memory",        "MemorySwap",
                                       "NanoCpus",       "CpuShares",    "CpuQuota",      "CpuPeriod",     "CpusetCpus",
                                       "PidsLimit",      "Ulimits",      "Devices",       "ExtraHosts",    "Dns",
                                       "SecurityOpt",    "PidMode",      "IpcMode",       "UsernsMode",    "ShmSize",
                                       "Tmpfs",          "Sysctls",      "LogConfig",     "AutoRemove",    "Init",
                                       "Runtime",        "GroupAdd",     "OomScoreAdj",   "DeviceRequests"};
  const json& config = JsonAt(inspect, "Config");
  const json& host = JsonAt(inspect, "HostConfig");
  json told = json::object();
  const auto take = [&told](const char* key, const json& value) {
    if (!IsNothing(value)) told[key] = value;
  };
  for (const char* key : kConfig) take(key, JsonAt(config, key));
  for (const char* key : kHost) take(key, JsonAt(host, key));
  const auto take_sorted = [&take](const char* key, json list) {
    if (list.is_array()) std::sort(list.begin(), list.end());
    take(key, list);
  };
  take_sorted("Env", JsonAt(config, "Env"));
  take_sorted("Binds", JsonAt(host, "Binds"));
  const std::string_view hostname = JsonText(JsonAt(config, "Hostname"));
  if (!hostname.empty() && !id.starts_with(hostname)) told["Hostname"] = hostname;
  return DerivedId("", "config", told.dump(-1, ' ', false, json::error_handler_t::replace));
}

void DecodeHealth(const json& health, Container& container) {
  container.health = HealthOf(JsonText(JsonAt(health, "Status")));
  const json& log = JsonAt(health, "Log");
  if (container.health == ContainerHealth::kNone || !log.is_array() || log.empty()) return;
  const bool passed = JsonInt(JsonAt(log.back(), "ExitCode")) == 0;
  if (!passed) container.health_output = FirstLine(JsonText(JsonAt(log.back(), "Output")), kMaxHealthOutputBytes);
  for (auto check = log.rbegin(); check != log.rend() && (JsonInt(JsonAt(*check, "ExitCode")) == 0) == passed;
       ++check) {
    const absl::Time end = JsonTime(JsonAt(*check, "End"));
    // The log goes on over restarts of the container.
    if (end < container.started) break;
    container.health_since = end;
  }
}

EventAction ActionOf(std::string_view word) {
  static constexpr std::pair<std::string_view, EventAction> kActions[] = {
      {"create", EventAction::kCreate},  {"start", EventAction::kStart},   {"die", EventAction::kDie},
      {"oom", EventAction::kOom},        {"kill", EventAction::kKill},     {"destroy", EventAction::kDestroy},
      {"restart", EventAction::kChange}, {"pause", EventAction::kChange},  {"unpause", EventAction::kChange},
      {"rename", EventAction::kChange},  {"update", EventAction::kChange}, {"remove", EventAction::kDestroy},
      {"died", EventAction::kDie},  // Podman's
  };
  if (word.starts_with("health_status")) return EventAction::kChange;
  for (const auto& [name, action] : kActions) {
    if (name == word) return action;
  }
  return EventAction::kOther;
}

}  // namespace

absl::StatusOr<ContainerList> DecodeList(std::string_view body) {
  ASSIGN_OR_RETURN(const json rows, Parse(body, "list of containers"));
  if (!rows.is_array()) return BadJson("list of containers: not an array");
  ContainerList list;
  for (const json& row : rows) {
    const std::string_view id = JsonText(JsonAt(row, "Id"));
    if (!IsUsableId(id)) continue;
    if (list.containers.size() == kMaxContainers) {
      ++list.omitted;
      continue;
    }
    Container container;
    container.partial = true;
    container.id = id;
    // A linked container has several names; its own has no second slash.
    const json& names = JsonAt(row, "Names");
    std::string_view name;
    for (std::size_t i = 0; names.is_array() && i < names.size(); ++i) {
      const std::string_view candidate = JsonText(names[i]);
      if (name.empty() || candidate.find('/', 1) == std::string_view::npos) name = candidate;
    }
    container.name = NameOf(name, id);
    container.image = JsonText(JsonAt(row, "Image"), kMaxNameBytes);
    container.image_id = JsonText(JsonAt(row, "ImageID"), kMaxNameBytes);
    container.labels = LabelsOf(JsonAt(row, "Labels"));
    if (const std::int64_t created = JsonInteger(JsonAt(row, "Created")); created > 0) {
      container.created = absl::FromUnixSeconds(created);
    }
    container.state_word = JsonText(JsonAt(row, "State"), kMaxWordBytes);
    container.state = StateOf(container.state_word);
    const std::string_view status = JsonText(JsonAt(row, "Status"));
    if (container.state == ContainerState::kExited || container.state == ContainerState::kRestarting) {
      container.exit_code = CodeInStatus(status);
    } else if (status.find("(unhealthy)") != std::string_view::npos) {
      container.health = ContainerHealth::kUnhealthy;
    } else if (status.find("(healthy)") != std::string_view::npos) {
      container.health = ContainerHealth::kHealthy;
    } else if (status.find("(health: starting)") != std::string_view::npos) {
      container.health = ContainerHealth::kStarting;
    }
    list.containers.push_back(std::move(container));
  }
  return list;
}

absl::StatusOr<Container> DecodeInspect(std::string_view body) {
  ASSIGN_OR_RETURN(const json inspect, Parse(body, "inspection"));
  const std::string_view id = JsonText(JsonAt(inspect, "Id"));
  if (!IsUsableId(id)) return BadJson("inspection: no container id");
  const json& config = JsonAt(inspect, "Config");
  const json& state = JsonAt(inspect, "State");
  Container container;
  container.id = id;
  container.name = NameOf(JsonText(JsonAt(inspect, "Name")), id);
  container.image = JsonText(JsonAt(config, "Image"), kMaxNameBytes);
  container.image_id = JsonText(JsonAt(inspect, "Image"), kMaxNameBytes);
  container.labels = LabelsOf(JsonAt(config, "Labels"));
  container.created = JsonTime(JsonAt(inspect, "Created"));
  container.state_word = JsonText(JsonAt(state, "Status"), kMaxWordBytes);
  container.state = StateOf(container.state_word);
  container.exit_code = JsonInt(JsonAt(state, "ExitCode"));
  container.oom_killed = JsonFlag(JsonAt(state, "OOMKilled"));
  container.error = FirstLine(JsonText(JsonAt(state, "Error")), kMaxErrorBytes);
  container.started = JsonTime(JsonAt(state, "StartedAt"));
  container.finished = JsonTime(JsonAt(state, "FinishedAt"));
  DecodeHealth(JsonAt(state, "Health"), container);
  container.policy = PolicyOf(JsonText(JsonAt(JsonAt(JsonAt(inspect, "HostConfig"), "RestartPolicy"), "Name")));
  container.auto_remove = JsonFlag(JsonAt(JsonAt(inspect, "HostConfig"), "AutoRemove"));
  container.has_tty = JsonFlag(JsonAt(config, "Tty"));
  container.log_driver = JsonText(JsonAt(JsonAt(JsonAt(inspect, "HostConfig"), "LogConfig"), "Type"), kMaxNameBytes);
  container.restart_count = JsonCount(JsonAt(inspect, "RestartCount"));
  container.config_hash = ConfigHash(inspect, id);
  return container;
}

absl::StatusOr<ContainerStats> DecodeStats(std::string_view body) {
  ASSIGN_OR_RETURN(const json parsed, Parse(body, "statistics"));
  const json& cpu = JsonAt(JsonAt(parsed, "cpu_stats"), "cpu_usage");
  const json& memory = JsonAt(parsed, "memory_stats");
  // An engine tells zeros of a container that has just ended, and leaves the members out on some kernels.
  if (!JsonAt(cpu, "total_usage").is_number_integer() || !JsonAt(memory, "usage").is_number_integer()) {
    return BadJson("statistics: no CPU or memory usage");
  }
  const json& details = JsonAt(memory, "stats");
  // Of control groups of version 1; 2 has only the other.
  const json& total_inactive = JsonAt(details, "total_inactive_file");
  const std::int64_t cache = JsonCount(total_inactive.is_null() ? JsonAt(details, "inactive_file") : total_inactive);
  ContainerStats stats;
  stats.cpu_seconds = static_cast<double>(JsonCount(JsonAt(cpu, "total_usage"))) / 1e9;
  stats.memory_bytes = JsonCount(JsonAt(memory, "usage"));
  // As `docker stats` does: a cache larger than everything is none.
  if (cache < stats.memory_bytes) stats.memory_bytes -= cache;
  stats.memory_limit_bytes = JsonCount(JsonAt(memory, "limit"));
  return stats;
}

absl::StatusOr<EngineEvent> DecodeEvent(std::string_view line) {
  ASSIGN_OR_RETURN(const json parsed, Parse(line, "event"));
  if (!parsed.is_object()) return BadJson("event: not an object");
  EngineEvent event;
  if (JsonText(JsonAt(parsed, "Type")) != "container") return event;
  const json& actor = JsonAt(parsed, "Actor");
  // Engines before 1.10 have only the fields without capitals.
  std::string_view action = JsonText(JsonAt(parsed, "Action"));
  if (action.empty()) action = JsonText(JsonAt(parsed, "status"));
  std::string_view id = JsonText(JsonAt(actor, "ID"));
  if (id.empty()) id = JsonText(JsonAt(parsed, "id"));
  event.action = ActionOf(action);
  if (event.action == EventAction::kOther) return event;
  if (!IsUsableId(id)) return BadJson("event: no container id");
  event.container_id = id;
  event.exit_code =
      CodeInStatus(fmt::format("({})", JsonText(JsonAt(JsonAt(actor, "Attributes"), "exitCode"), kMaxWordBytes)));
  if (const std::int64_t nanos = JsonInteger(JsonAt(parsed, "timeNano")); nanos > 0) {
    event.time = absl::FromUnixNanos(nanos);
  } else if (const std::int64_t seconds = JsonInteger(JsonAt(parsed, "time")); seconds > 0) {
    event.time = absl::FromUnixSeconds(seconds);
  }
  return event;
}

absl::StatusOr<EngineVersion> DecodeVersion(std::string_view body) {
  ASSIGN_OR_RETURN(const json parsed, Parse(body, "version"));
  EngineVersion version{.name = "docker", .version = JsonText(JsonAt(parsed, "Version"), kMaxWordBytes)};
  if (version.version.empty()) return BadJson("version: no field Version");
  const json& components = JsonAt(parsed, "Components");
  if (components.is_array() && !components.empty() &&
      JsonText(JsonAt(components.front(), "Name")).find("Podman") != std::string_view::npos) {
    version.name = "podman";
  }
  return version;
}

}  // namespace muster::agent
