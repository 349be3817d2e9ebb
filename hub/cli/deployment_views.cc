#include <fmt/format.h>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::Deployment;

std::string Application(const Deployment& deployment) {
  if (deployment.application_version().empty()) return deployment.application();
  return fmt::format("{} {}", deployment.application(), deployment.application_version());
}

std::string Since(const Deployment& deployment, absl::Time now) {
  return deployment.has_status_time() ? AgeText(deployment.status_time(), now) : "-";
}

void ShowResources(const Deployment& deployment, absl::Time now, Page* page) {
  if (deployment.resources().empty()) return;
  page->Blank();
  Table table({"RESOURCE", "STATE", "HEALTH", "RESTARTS", "EXIT", "UP", "IMAGE"});
  for (const auto& resource : deployment.resources()) {
    const bool up = resource.state() == "running" && resource.has_start_time();
    const bool ended = resource.state() == "exited" || resource.state() == "dead";
    table.Add({{Span(resource.name(), Tone::kStrong)},
               {Span(resource.state())},
               {Span(resource.health(), resource.health() == "unhealthy" ? Tone::kBad : Tone::kPlain)},
               {Span(resource.restart_count() > 0 ? std::to_string(resource.restart_count()) : "")},
               {Span(ended ? std::to_string(resource.exit_code()) : "",
                     resource.exit_code() != 0 ? Tone::kBad : Tone::kPlain)},
               {Span(up ? AgeText(resource.start_time(), now) : "")},
               {Span(resource.image())}});
  }
  page->Add(table);
}

}  // namespace

Spans StatusCell(const Deployment& deployment) {
  Spans cell = {StatusSpan(deployment.status())};
  const bool known = deployment.last_known_status() != types::v1::DEPLOYMENT_STATUS_UNSPECIFIED &&
                     deployment.last_known_status() != types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  if (known && deployment.status() == types::v1::DEPLOYMENT_STATUS_STALE) {
    cell.emplace_back(" (last known: ");
    cell.push_back(StatusSpan(deployment.last_known_status()));
    cell.emplace_back(")");
  }
  return cell;
}

void ShowDeployments(const fleet::v1::ListDeploymentsResponse& response, absl::Time now, Page* page) {
  if (response.deployments().empty()) {
    page->Line("No deployments. An agent reports what it finds on its host; see: muster status");
    return;
  }
  Table table({"TARGET", "NAME", "KIND", "STATUS", "SINCE", "APPLICATION", "MESSAGE"});
  for (const Deployment& deployment : response.deployments()) {
    table.Add({{Span(deployment.target_name())},
               {Span(deployment.name(), Tone::kStrong)},
               {Span(KindWord(deployment.kind()))},
               StatusCell(deployment),
               {Span(Since(deployment, now))},
               {Span(Application(deployment))},
               {Span(deployment.message())}});
  }
  page->Add(table);
}

void ShowDeployment(const Deployment& deployment, absl::Time now, Page* page) {
  Table facts({"", ""});
  const auto add = [&facts](std::string_view name, const std::string& value) {
    if (!value.empty()) facts.Add({{Span(name, Tone::kQuiet)}, {Span(value)}});
  };
  facts.Add({{Span("deployment", Tone::kQuiet)}, {Span(deployment.name(), Tone::kStrong)}});
  add("id", deployment.id());
  add("target", fmt::format("{} ({})", deployment.target_name(), deployment.target_id()));
  add("customer", deployment.customer());
  add("kind", KindWord(deployment.kind()));
  Spans status = StatusCell(deployment);
  if (deployment.has_status_time()) {
    status.emplace_back(fmt::format(" for {}, since {}", Since(deployment, now), TimeText(deployment.status_time())));
  }
  facts.Add({{Span("status", Tone::kQuiet)}, status});
  add("message", deployment.message());
  add("reported",
      deployment.has_reported_time() ? AgeText(deployment.reported_time(), now) + " ago" : "not since the hub started");
  add("application", Application(deployment));
  add("revision", deployment.has_revision_time()
                      ? fmt::format("{} since {}", deployment.revision(), TimeText(deployment.revision_time()))
                      : deployment.revision());
  add("logs", deployment.logs_enabled() ? "on" : "off");
  if (deployment.has_create_time()) add("first seen", TimeText(deployment.create_time()));
  page->Add(facts);
  ShowResources(deployment, now, page);
}

}  // namespace muster::cli
