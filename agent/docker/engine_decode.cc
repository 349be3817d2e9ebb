#include "agent/docker/engine_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/present.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using nlohmann::json;

// Docker's ids have 64 characters.
constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxWordBytes = 32;
constexpr std::size_t kMaxErrorBytes = 200;
constexpr std::size_t kMaxHealthOutputBytes = 120;
constexpr std::size_t kNameHashDigits = 8;

absl::Status BadJson(std::string_view what) { return MakeError(absl::StatusCode::kDataLoss, "BAD_JSON", what); }

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

// The member, or null when `object` is not an object or has none.
const json& At(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

std::string_view Text(const json& value) {
  const std::string* text = value.get_ptr<const std::string*>();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

std::string Text(const json& value, std::size_t max_bytes) { return CleanUtf8(Text(value), max_bytes); }

std::int64_t Integer(const json& value) {
  if (value.is_number_unsigned()) {
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(value.get<std::uint64_t>(), std::numeric_limits<std::int64_t>::max()));
  }
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::int64_t Count(const json& value) { return std::max<std::int64_t>(0, Integer(value)); }

int Int(const json& value) {
  return static_cast<int>(
      std::clamp<std::int64_t>(Integer(value), std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

bool Flag(const json& value) { return value.is_boolean() && value.get<bool>(); }

// "0001-01-01T00:00:00Z" is Go's way to say never.
absl::Time Time(const json& value) {
  const absl::StatusOr<absl::Time> time = ParseRfc3339(Text(value));
  if (!time.ok() || *time <= absl::UnixEpoch()) return absl::InfinitePast();
  return *time;
}

std::string Identity(std::string_view raw) {
  if (raw.size() <= kMaxIdentityBytes) return std::string(raw);
  return fmt::format("{}~{}", CleanUtf8(raw, kMaxIdentityBytes - kNameHashDigits - 1),
                     DerivedId("", "name", raw).substr(0, kNameHashDigits));
}

std::string FirstLine(std::string_view text, std::size_t max_bytes) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin);
  text = text.substr(0, text.find_first_of("\r\n"));
  return CleanUtf8(text, max_bytes);
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
  out.compose_project = Identity(Text(At(labels, "com.docker.compose.project")));
  out.compose_service = Identity(Text(At(labels, "com.docker.compose.service")));
  const std::string_view oneoff = Text(At(labels, "com.docker.compose.oneoff"));
  out.compose_oneoff = oneoff == "True" || oneoff == "true";
  out.compose_config_hash = Text(At(labels, "com.docker.compose.config-hash"), kMaxNameBytes);
  out.stack_namespace = Identity(Text(At(labels, "com.docker.stack.namespace")));
  out.swarm_service = Identity(Text(At(labels, "com.docker.swarm.service.name")));
  out.swarm_task = Identity(Text(At(labels, "com.docker.swarm.task.name")));
  out.muster_application = Text(At(labels, "muster.application"), kMaxNameBytes);
  out.muster_version = Text(At(labels, "muster.version"), kMaxNameBytes);
  out.oci_title = Text(At(labels, "org.opencontainers.image.title"), kMaxNameBytes);
  out.oci_version = Text(At(labels, "org.opencontainers.image.version"), kMaxNameBytes);
  return out;
}

std::string NameOf(std::string_view raw, std::string_view id) {
  if (raw.starts_with('/')) raw.remove_prefix(1);
  return raw.empty() ? std::string(id.substr(0, 12)) : Identity(raw);
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
  return value.is_null() || (value.is_string() && Text(value).empty()) || (value.is_structured() && value.empty()) ||
         (value.is_number() && value == 0) || (value.is_boolean() && !value.get<bool>());
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
  const json& config = At(inspect, "Config");
  const json& host = At(inspect, "HostConfig");
  json told = json::object();
  const auto take = [&told](const char* key, const json& value) {
    if (!IsNothing(value)) told[key] = value;
  };
  for (const char* key : kConfig) take(key, At(config, key));
  for (const char* key : kHost) take(key, At(host, key));
  const auto take_sorted = [&take](const char* key, json list) {
    if (list.is_array()) std::sort(list.begin(), list.end());
    take(key, list);
  };
  take_sorted("Env", At(config, "Env"));
  take_sorted("Binds", At(host, "Binds"));
  const std::string_view hostname = Text(At(config, "Hostname"));
  if (!hostname.empty() && !id.starts_with(hostname)) told["Hostname"] = hostname;
  return DerivedId("", "config", told.dump(-1, ' ', false, json::error_handler_t::replace));
}

void DecodeHealth(const json& health, Container& container) {
  container.health = HealthOf(Text(At(health, "Status")));
  const json& log = At(health, "Log");
  if (container.health == ContainerHealth::kNone || !log.is_array() || log.empty()) return;
  const bool passed = Int(At(log.back(), "ExitCode")) == 0;
  if (!passed) container.health_output = FirstLine(Text(At(log.back(), "Output")), kMaxHealthOutputBytes);
  for (auto check = log.rbegin(); check != log.rend() && (Int(At(*check, "ExitCode")) == 0) == passed; ++check) {
    const absl::Time end = Time(At(*check, "End"));
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
    const std::string_view id = Text(At(row, "Id"));
    if (!IsUsableId(id)) continue;
    if (list.containers.size() == kMaxContainers) {
      ++list.omitted;
      continue;
    }
    Container container;
    container.partial = true;
    container.id = id;
    // A linked container has several names; its own has no second slash.
    const json& names = At(row, "Names");
    std::string_view name;
    for (std::size_t i = 0; names.is_array() && i < names.size(); ++i) {
      const std::string_view candidate = Text(names[i]);
      if (name.empty() || candidate.find('/', 1) == std::string_view::npos) name = candidate;
    }
    container.name = NameOf(name, id);
    container.image = Text(At(row, "Image"), kMaxNameBytes);
    container.image_id = Text(At(row, "ImageID"), kMaxNameBytes);
    container.labels = LabelsOf(At(row, "Labels"));
    if (const std::int64_t created = Integer(At(row, "Created")); created > 0) {
      container.created = absl::FromUnixSeconds(created);
    }
    container.state_word = Text(At(row, "State"), kMaxWordBytes);
    container.state = StateOf(container.state_word);
    const std::string_view status = Text(At(row, "Status"));
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
  const std::string_view id = Text(At(inspect, "Id"));
  if (!IsUsableId(id)) return BadJson("inspection: no container id");
  const json& config = At(inspect, "Config");
  const json& state = At(inspect, "State");
  Container container;
  container.id = id;
  container.name = NameOf(Text(At(inspect, "Name")), id);
  container.image = Text(At(config, "Image"), kMaxNameBytes);
  container.image_id = Text(At(inspect, "Image"), kMaxNameBytes);
  container.labels = LabelsOf(At(config, "Labels"));
  container.created = Time(At(inspect, "Created"));
  container.state_word = Text(At(state, "Status"), kMaxWordBytes);
  container.state = StateOf(container.state_word);
  container.exit_code = Int(At(state, "ExitCode"));
  container.oom_killed = Flag(At(state, "OOMKilled"));
  container.error = FirstLine(Text(At(state, "Error")), kMaxErrorBytes);
  container.started = Time(At(state, "StartedAt"));
  container.finished = Time(At(state, "FinishedAt"));
  DecodeHealth(At(state, "Health"), container);
  container.policy = PolicyOf(Text(At(At(At(inspect, "HostConfig"), "RestartPolicy"), "Name")));
  container.auto_remove = Flag(At(At(inspect, "HostConfig"), "AutoRemove"));
  container.has_tty = Flag(At(config, "Tty"));
  container.log_driver = Text(At(At(At(inspect, "HostConfig"), "LogConfig"), "Type"), kMaxNameBytes);
  container.restart_count = Count(At(inspect, "RestartCount"));
  container.config_hash = ConfigHash(inspect, id);
  return container;
}

absl::StatusOr<ContainerStats> DecodeStats(std::string_view body) {
  ASSIGN_OR_RETURN(const json parsed, Parse(body, "statistics"));
  const json& cpu = At(At(parsed, "cpu_stats"), "cpu_usage");
  const json& memory = At(parsed, "memory_stats");
  // An engine tells zeros of a container that has just ended, and leaves the members out on some kernels.
  if (!At(cpu, "total_usage").is_number_integer() || !At(memory, "usage").is_number_integer()) {
    return BadJson("statistics: no CPU or memory usage");
  }
  const json& details = At(memory, "stats");
  // Of control groups of version 1; 2 has only the other.
  const json& total_inactive = At(details, "total_inactive_file");
  const std::int64_t cache = Count(total_inactive.is_null() ? At(details, "inactive_file") : total_inactive);
  ContainerStats stats;
  stats.cpu_seconds = static_cast<double>(Count(At(cpu, "total_usage"))) / 1e9;
  stats.memory_bytes = Count(At(memory, "usage"));
  // As `docker stats` does: a cache larger than everything is none.
  if (cache < stats.memory_bytes) stats.memory_bytes -= cache;
  stats.memory_limit_bytes = Count(At(memory, "limit"));
  return stats;
}

absl::StatusOr<EngineEvent> DecodeEvent(std::string_view line) {
  ASSIGN_OR_RETURN(const json parsed, Parse(line, "event"));
  if (!parsed.is_object()) return BadJson("event: not an object");
  EngineEvent event;
  if (Text(At(parsed, "Type")) != "container") return event;
  const json& actor = At(parsed, "Actor");
  // Engines before 1.10 have only the fields without capitals.
  std::string_view action = Text(At(parsed, "Action"));
  if (action.empty()) action = Text(At(parsed, "status"));
  std::string_view id = Text(At(actor, "ID"));
  if (id.empty()) id = Text(At(parsed, "id"));
  event.action = ActionOf(action);
  if (event.action == EventAction::kOther) return event;
  if (!IsUsableId(id)) return BadJson("event: no container id");
  event.container_id = id;
  event.exit_code = CodeInStatus(fmt::format("({})", Text(At(At(actor, "Attributes"), "exitCode"), kMaxWordBytes)));
  if (const std::int64_t nanos = Integer(At(parsed, "timeNano")); nanos > 0) {
    event.time = absl::FromUnixNanos(nanos);
  } else if (const std::int64_t seconds = Integer(At(parsed, "time")); seconds > 0) {
    event.time = absl::FromUnixSeconds(seconds);
  }
  return event;
}

absl::StatusOr<EngineVersion> DecodeVersion(std::string_view body) {
  ASSIGN_OR_RETURN(const json parsed, Parse(body, "version"));
  EngineVersion version{.name = "docker", .version = Text(At(parsed, "Version"), kMaxWordBytes)};
  if (version.version.empty()) return BadJson("version: no field Version");
  const json& components = At(parsed, "Components");
  if (components.is_array() && !components.empty() &&
      Text(At(components.front(), "Name")).find("Podman") != std::string_view::npos) {
    version.name = "podman";
  }
  return version;
}

}  // namespace muster::agent
