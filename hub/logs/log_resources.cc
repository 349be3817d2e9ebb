#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "common/status.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {
namespace {

// First line and revision, newest first.
using Revisions = std::vector<std::pair<std::int64_t, std::string_view>>;

Revisions NewestFirst(const std::map<std::string_view, std::int64_t>& first_lines) {
  Revisions revisions;
  for (const auto& [revision, line] : first_lines) revisions.emplace_back(line, revision);
  std::sort(revisions.rbegin(), revisions.rend());
  return revisions;
}

void NoteFirst(std::string_view revision, std::int64_t line, std::map<std::string_view, std::int64_t>* first_lines) {
  const auto [at, is_new] = first_lines->emplace(revision, line);
  if (!is_new) at->second = std::min(at->second, line);
}

void AddLines(const ScanSource& source, LogResourceInfo* info) {
  const auto widen = [info](std::int64_t first_us, std::int64_t last_us) {
    info->first_us = std::min(info->first_us, first_us);
    info->last_us = std::max(info->last_us, last_us);
  };
  if (source.lines > 0 && source.first_us && source.last_us) widen(*source.first_us, *source.last_us);
  info->lines += source.lines;
  info->bytes += source.bytes;
  for (const TailRow& row : source.tail) {
    widen(row.first_us, row.last_us);
    info->lines += row.lines;
    info->bytes += row.bytes;
  }
}

// Of one resource.
struct Resource {
  Resource() { info.first_us = std::numeric_limits<std::int64_t>::max(); }

  LogResourceInfo info;
  std::map<std::string_view, std::int64_t> first_lines;
};

std::vector<LogResourceInfo> Summarise(const std::vector<ScanSource>& sources) {
  std::map<std::string_view, std::int64_t> first_lines;
  std::map<std::string_view, Resource> resources;
  for (const ScanSource& source : sources) {
    NoteFirst(source.revision, source.first_line, &first_lines);
    Resource& resource = resources[source.resource];
    NoteFirst(source.revision, source.first_line, &resource.first_lines);
    AddLines(source, &resource.info);
  }
  std::set<std::string_view> active;
  for (const auto& [line, revision] : NewestFirst(first_lines)) {
    if (active.size() < static_cast<std::size_t>(kActiveRevisions)) active.insert(revision);
  }
  std::vector<LogResourceInfo> infos;
  for (auto& [name, resource] : resources) {
    LogResourceInfo& info = resource.info;
    // Retention took the last of them.
    if (info.lines == 0) continue;
    info.name = std::string(name);
    for (const auto& [line, revision] : NewestFirst(resource.first_lines)) {
      info.is_active = info.is_active || active.contains(revision);
      info.revisions.emplace_back(revision);
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace

absl::StatusOr<std::vector<LogResourceInfo>> LogScanner::ListResources(std::string_view target_id,
                                                                       std::string_view deployment_id) {
  LogSelection selection;
  selection.target_id = std::string(target_id);
  selection.deployment_id = std::string(deployment_id);
  std::vector<LogResourceInfo> infos;
  RETURN_IF_ERROR(Look(selection, [&](const ScanView& view, UnitReader* /*reader*/) {
    infos = Summarise(view.sources());
    return absl::OkStatus();
  }));
  return infos;
}

}  // namespace muster::hub
