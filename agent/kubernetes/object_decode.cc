#include "agent/kubernetes/object_decode.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/deployments/json_values.h"
#include "agent/deployments/names.h"
#include "agent/kubernetes/json_filter.h"
#include "agent/kubernetes/object_fields.h"
#include "common/status.h"

namespace muster::agent {
namespace {

using nlohmann::json;

JsonFilter FilterWith(std::vector<std::string> paths, std::vector<std::string> more) {
  for (std::string& path : more) paths.push_back(std::move(path));
  return JsonFilter(paths);
}

const JsonFilter& ListFilter(KubeKind kind) {
  static const std::vector<JsonFilter>* const kFilters = [] {
    auto* filters = new std::vector<JsonFilter>;
    for (const KubeKind each : kKubeKinds) {
      filters->push_back(FilterWith(KubeFieldPaths(each, "items "), {"metadata resourceVersion", "metadata continue"}));
    }
    return filters;
  }();
  return kFilters->at(static_cast<std::size_t>(kind));
}

const JsonFilter& WatchFilter(KubeKind kind) {
  static const std::vector<JsonFilter>* const kFilters = [] {
    auto* filters = new std::vector<JsonFilter>;
    for (const KubeKind each : kKubeKinds) {
      filters->push_back(
          FilterWith(KubeFieldPaths(each, "object "), {"type", "object code", "object message", "object reason"}));
    }
    return filters;
  }();
  return kFilters->at(static_cast<std::size_t>(kind));
}

// The book knows objects by their uid, and people by their name.
bool IsUsable(const KubeObject& object) { return !MetaOf(object).uid.empty() && !MetaOf(object).name.empty(); }

KubeWatchEvent::Type TypeOf(std::string_view word) {
  if (word == "ADDED" || word == "MODIFIED") return KubeWatchEvent::Type::kPut;
  if (word == "DELETED") return KubeWatchEvent::Type::kDeleted;
  if (word == "BOOKMARK") return KubeWatchEvent::Type::kBookmark;
  return word == "ERROR" ? KubeWatchEvent::Type::kError : KubeWatchEvent::Type::kOther;
}

struct Usage {
  double cpu_cores = 0;
  std::int64_t memory_bytes = 0;
};

std::optional<Usage> UsageOf(const json& usage) {
  const std::optional<std::int64_t> bytes = ParseKubeBytes(JsonText(JsonAt(usage, "memory")));
  const std::optional<std::int64_t> milli = ParseKubeMilli(JsonText(JsonAt(usage, "cpu")));
  if (!milli.has_value() || !bytes.has_value()) return std::nullopt;
  return Usage{.cpu_cores = static_cast<double>(*milli) / 1000, .memory_bytes = *bytes};
}

absl::Status RequireList(const json& root, std::string_view what) {
  if (JsonAt(root, "items").is_array() || JsonAt(root, "metadata").is_object()) return absl::OkStatus();
  return BadJson(std::string(what) + ": not a list");
}

}  // namespace

absl::StatusOr<KubeListPage> DecodeKubeList(KubeKind kind, std::string_view body) {
  KubeListPage page;
  const auto take = [&page, kind](const json& item) {
    KubeObject object = KubeObjectOf(kind, item);
    if (IsUsable(object)) page.objects.push_back(std::move(object));
    return page.objects.size() <= kMaxKubePageObjects;
  };
  ASSIGN_OR_RETURN(const json root, ParseFilteredList(body, ListFilter(kind), "list of objects", take));
  RETURN_IF_ERROR(RequireList(root, "list of objects"));
  const json& metadata = JsonAt(root, "metadata");
  page.resource_version = JsonText(JsonAt(metadata, "resourceVersion"));
  page.continue_token = JsonText(JsonAt(metadata, "continue"));
  return page;
}

absl::StatusOr<KubeWatchEvent> DecodeKubeWatchLine(KubeKind kind, std::string_view line) {
  ASSIGN_OR_RETURN(const json root, ParseFiltered(line, WatchFilter(kind), "watch event"));
  if (!root.is_object()) return BadJson("watch event: not an object");
  const json& object = JsonAt(root, "object");
  KubeWatchEvent event;
  event.type = TypeOf(JsonText(JsonAt(root, "type")));
  if (event.type == KubeWatchEvent::Type::kError) {
    event.error_code = JsonInt(JsonAt(object, "code"));
    event.error_message = FirstLine(JsonText(JsonAt(object, "message")), kMaxKubeMessageBytes);
    return event;
  }
  event.resource_version = JsonText(JsonAt(JsonAt(object, "metadata"), "resourceVersion"));
  if (event.type != KubeWatchEvent::Type::kPut && event.type != KubeWatchEvent::Type::kDeleted) return event;
  event.object = KubeObjectOf(kind, object);
  if (!IsUsable(event.object)) event.type = KubeWatchEvent::Type::kOther;
  return event;
}

std::string KubeStatusMessage(std::string_view body) {
  static const JsonFilter* const kFilter = new JsonFilter({"kind", "message"});
  const absl::StatusOr<json> root = ParseFiltered(body, *kFilter, "status");
  if (!root.ok() || JsonText(JsonAt(*root, "kind")) != "Status") return "";
  return FirstLine(JsonText(JsonAt(*root, "message")), kMaxKubeMessageBytes);
}

absl::StatusOr<std::string> DecodeKubeVersion(std::string_view body) {
  static const JsonFilter* const kFilter = new JsonFilter({"gitVersion"});
  constexpr std::size_t kMaxVersionBytes = 64;
  ASSIGN_OR_RETURN(const json root, ParseFiltered(body, *kFilter, "version"));
  std::string version = FirstLine(JsonText(JsonAt(root, "gitVersion")), kMaxVersionBytes);
  if (version.empty()) return BadJson("version: no field gitVersion");
  return version;
}

absl::StatusOr<std::vector<KubeNodeUsage>> DecodeKubeNodeUsage(std::string_view body) {
  static const JsonFilter* const kFilter =
      new JsonFilter({"metadata", "items metadata name", "items timestamp", "items usage cpu", "items usage memory"});
  std::vector<KubeNodeUsage> all;
  const auto take = [&all](const json& item) {
    std::string name = JsonText(JsonAt(JsonAt(item, "metadata"), "name"), kMaxKubeTextBytes);
    const std::optional<Usage> usage = UsageOf(JsonAt(item, "usage"));
    if (!name.empty() && usage.has_value()) {
      all.push_back({.node = std::move(name),
                     .cpu_cores = usage->cpu_cores,
                     .memory_bytes = usage->memory_bytes,
                     .taken = JsonTime(JsonAt(item, "timestamp"))});
    }
    return all.size() <= kMaxKubePageObjects;
  };
  ASSIGN_OR_RETURN(const json root, ParseFilteredList(body, *kFilter, "usage of nodes", take));
  RETURN_IF_ERROR(RequireList(root, "usage of nodes"));
  return all;
}

absl::StatusOr<std::vector<KubeContainerUsage>> DecodeKubePodUsage(std::string_view body) {
  static const JsonFilter* const kFilter =
      new JsonFilter({"metadata", "items metadata name", "items metadata namespace", "items containers name",
                      "items containers usage cpu", "items containers usage memory"});
  constexpr std::size_t kMaxContainers = 4 * kMaxKubePageObjects;
  std::vector<KubeContainerUsage> all;
  const auto take = [&all](const json& item) {
    const json& metadata = JsonAt(item, "metadata");
    const json& containers = JsonAt(item, "containers");
    for (std::size_t i = 0; containers.is_array() && i < containers.size(); ++i) {
      const std::optional<Usage> usage = UsageOf(JsonAt(containers[i], "usage"));
      if (!usage.has_value()) continue;
      all.push_back({.name_space = JsonText(JsonAt(metadata, "namespace"), kMaxKubeTextBytes),
                     .pod = JsonText(JsonAt(metadata, "name"), kMaxKubeTextBytes),
                     .container = JsonText(JsonAt(containers[i], "name"), kMaxKubeTextBytes),
                     .cpu_cores = usage->cpu_cores,
                     .memory_bytes = usage->memory_bytes});
    }
    return all.size() <= kMaxContainers;
  };
  ASSIGN_OR_RETURN(const json root, ParseFilteredList(body, *kFilter, "usage of pods", take));
  RETURN_IF_ERROR(RequireList(root, "usage of pods"));
  return all;
}

}  // namespace muster::agent
