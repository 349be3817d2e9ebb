#include "common/metric_names.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"

namespace muster {
namespace {

constexpr std::string_view kTakenPrefixes[] = {"distr_", "process_", "muster_", "scrape_"};
constexpr std::string_view kTakenLabels[] = {"le",
                                             "quantile",
                                             "jobname",
                                             "job",
                                             "instance",
                                             "organization",
                                             "customerorganization",
                                             "deploymenttarget",
                                             "deploymenttargetid"};

bool IsName(std::string_view name, bool colons) {
  if (name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(), [colons](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || (colons && c == ':');
  });
}

}  // namespace

bool IsMetricName(std::string_view name) { return IsName(name, true); }

bool IsLabelName(std::string_view name) { return IsName(name, false); }

bool IsTakenMetricName(std::string_view name) {
  return name == "up" || std::any_of(std::begin(kTakenPrefixes), std::end(kTakenPrefixes),
                                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

bool IsTakenLabelName(std::string_view name) {
  return name.starts_with("__") ||
         std::find(std::begin(kTakenLabels), std::end(kTakenLabels), name) != std::end(kTakenLabels);
}

}  // namespace muster
