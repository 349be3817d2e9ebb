#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::FleetStatus;
using fleet::v1::TargetStatus;

template <typename Counts, typename EnumOf>
Spans CountLine(std::string_view label, const Counts& counts, EnumOf enum_of) {
  int total = 0;
  for (const auto& count : counts) total += count.count();
  Spans line = {Span(fmt::format("{:<13}{}", label, total))};
  for (const auto& count : counts) {
    if (count.count() == 0) continue;
    line.emplace_back("   ");
    line.push_back(CountSpan(enum_of(count), count.count()));
  }
  return line;
}

// Indented under its target.
std::string DeploymentLabel(const std::string& name, const std::string& version) {
  return version.empty() ? fmt::format("  {}", name) : fmt::format("  {} {}", name, version);
}

void AddTarget(const TargetStatus& entry, absl::Time now, Table* table) {
  const auto& target = entry.target();
  Spans name = {Span(target.name(), Tone::kStrong)};
  if (!target.customer().empty()) name.emplace_back(fmt::format("  {}", target.customer()), Tone::kQuiet);
  table->Add({name,
              {StateSpan(target.state())},
              {Span(target.has_state_time() ? AgeText(target.state_time(), now) : "")},
              {Span(TargetNote(target, now))}});
  for (const auto& deployment : entry.deployments()) {
    Spans status = {Span("  ")};
    for (const Span& span : StatusCell(deployment)) status.push_back(span);
    table->Add({{Span(DeploymentLabel(deployment.name(), deployment.application_version()))},
                status,
                {Span(deployment.has_status_time() ? AgeText(deployment.status_time(), now) : "")},
                {Span(deployment.message())}});
  }
}

void AddWarnings(const FleetStatus& status, absl::Time now, Page* page) {
  if (status.has_grace_until()) {
    const absl::Duration left = FromProto(status.grace_until()) - now;
    if (left > absl::ZeroDuration()) {
      page->Line({Span(fmt::format("the hub has just started: nobody is called stale for another {}", FormatAge(left)),
                       Tone::kWarning)});
    }
  }
  if (!status.store_fault().empty()) {
    page->Line({Span(fmt::format("✖ the hub cannot store history: {}", status.store_fault()), Tone::kBad)});
  }
  if (!status.log_store_fault().empty()) {
    page->Line({Span(fmt::format("✖ the hub cannot store log lines: {}", status.log_store_fault()), Tone::kBad)});
  }
}

}  // namespace

void ShowFleet(const FleetStatus& status, absl::Time now, Page* page) {
  page->Line({Span(status.organization(), Tone::kStrong),
              Span(fmt::format("  {}", FormatRfc3339(absl::FromUnixSeconds(absl::ToUnixSeconds(now)))), Tone::kQuiet)});
  page->Line(CountLine("targets", status.targets(), [](const auto& count) { return count.state(); }));
  page->Line(CountLine("deployments", status.deployments(), [](const auto& count) { return count.status(); }));
  AddWarnings(status, now, page);
  int total = 0;
  for (const auto& count : status.targets()) total += count.count();
  if (status.target_statuses().empty()) {
    if (total == 0) page->Line("No targets. Make one with: muster target create NAME --type docker");
    return;
  }
  page->Blank();
  Table table({"TARGET", "STATE", "FOR", "DETAIL"});
  for (const TargetStatus& entry : status.target_statuses()) AddTarget(entry, now, &table);
  page->Add(table);
  if (const int left = total - status.target_statuses_size(); left > 0) {
    page->Line(
        {Span(fmt::format("and {} more targets; see them with --limit N or muster target list", left), Tone::kQuiet)});
  }
}

void ShowFleetAt(const fleet::v1::GetFleetAtResponse& response, Page* page) {
  page->Line({Span("The fleet at "), Span(TimeText(response.time()), Tone::kStrong)});
  page->Blank();
  const absl::Time then = FromProto(response.time());
  std::map<std::string, std::vector<const fleet::v1::DeploymentAt*>> by_target;
  for (const auto& deployment : response.deployments()) by_target[deployment.target_id()].push_back(&deployment);
  Table table({"TARGET", "STATE", "FOR", "DETAIL"});
  for (const auto& target : response.targets()) {
    table.Add({{Span(target.target_name(), Tone::kStrong)},
               {StateSpan(target.interval().state())},
               {Span(AgeText(target.interval().from_time(), then))},
               {Span(target.interval().reason())}});
    for (const fleet::v1::DeploymentAt* deployment : by_target[target.target_id()]) {
      const auto& interval = deployment->interval();
      table.Add({{Span(DeploymentLabel(deployment->name(), interval.application_version()))},
                 {Span("  "), StatusSpan(interval.status())},
                 {Span(AgeText(interval.from_time(), then))},
                 {Span(interval.message())}});
    }
  }
  if (table.empty()) page->Line("There were no targets.");
  page->Add(table);
}

}  // namespace muster::cli
