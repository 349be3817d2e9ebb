#include "hub/metrics/page_groups.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

#include "common/status.h"
#include "common/text.h"
#include "hub/http/query.h"

namespace muster::hub {
namespace {

constexpr std::array<std::string_view, kPageGroups> kNames = {"deployments", "targets", "journals", "logs",   "host",
                                                              "containers",  "jobs",    "hub",      "process"};

absl::Status BadFilter(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FILTER",
                   fmt::format("{}; the groups are {}", what, fmt::join(kNames, ", ")));
}

std::optional<PageGroup> GroupOf(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<PageGroup>(i);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<PageGroups> ReadPageGroups(std::string_view query) {
  PageGroups wanted;
  PageGroups unwanted;
  for (const auto& [name, value] : ParseQuery(query)) {
    if (name != "collect[]" && name != "exclude[]") continue;
    const std::optional<PageGroup> group = GroupOf(value);
    if (!group) return BadFilter(fmt::format("{} names no group: \"{}\"", name, EscapeControl(CleanUtf8(value, 64))));
    (name == "collect[]" ? wanted : unwanted) = (name == "collect[]" ? wanted : unwanted).With(*group);
  }
  if (wanted.bits() != 0 && unwanted.bits() != 0) return BadFilter("collect[] and exclude[] exclude each other");
  return wanted.bits() != 0 ? wanted : PageGroups::All().Without(unwanted);
}

}  // namespace muster::hub
