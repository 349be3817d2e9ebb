#include "agent/jobs/push_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "agent/jobs/push.h"
#include "common/metric_names.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

absl::Status BadName(std::string_view kind, std::string_view name, std::string_view why) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_NAME",
      fmt::format("{} name \"{}\" {}", kind, CleanUtf8(name.substr(0, kMaxMetricNameBytes), kMaxMetricNameBytes), why));
}

absl::Status TooLong(std::string_view kind, std::size_t size) {
  return MakeError(absl::StatusCode::kInvalidArgument, "TOO_LARGE",
                   fmt::format("a {} name of {} bytes; at most {} are taken", kind, size, kMaxMetricNameBytes));
}

}  // namespace

absl::Status CheckMetricName(std::string_view name) {
  if (name.size() > kMaxMetricNameBytes) return TooLong("metric", name.size());
  if (!IsMetricName(name)) {
    return BadName("metric", name, "is not one: letters, digits, _ and : only, no digit first");
  }
  return IsTakenMetricName(name) ? BadName("metric", name, "is taken by the hub or by Prometheus") : absl::OkStatus();
}

absl::Status CheckLabelName(std::string_view name) {
  if (name.size() > kMaxMetricNameBytes) return TooLong("label", name.size());
  if (!IsLabelName(name)) return BadName("label", name, "is not one: letters, digits and _ only, no digit first");
  return IsTakenLabelName(name) ? BadName("label", name, "is taken by the hub or by Prometheus") : absl::OkStatus();
}

absl::Status CheckUnit(std::string_view name, std::string_view unit) {
  if (unit.size() > kMaxMetricNameBytes) return TooLong("unit", unit.size());
  if (!IsLabelName(unit)) return BadName("unit", unit, "is not one: letters, digits and _ only, no digit first");
  std::string_view stem = name;
  if (stem.ends_with("_total")) stem.remove_suffix(6);
  if (stem.size() > unit.size() && stem.ends_with(unit) && stem[stem.size() - unit.size() - 1] == '_') {
    return absl::OkStatus();
  }
  return BadName("metric", name, fmt::format("does not end in its unit \"_{}\" (before _total)", unit));
}

bool IsPushWord(std::string_view word) {
  return !word.empty() && word.size() <= kMaxPushWordBytes && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

}  // namespace muster::agent
