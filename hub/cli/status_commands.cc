#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/backoff.h"
#include "common/status.h"
#include "common/time_format.h"
#include "common/version.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/fleet_watch.h"
#include "hub/cli/time_argument.h"
#include "hub/cli/views.h"

namespace muster::cli {
namespace {

struct StatusArgs {
  bool watch = false;
  bool check = false;
  int limit = 0;
};

struct AtArgs {
  std::vector<std::string> time;
};

struct NoArgs {};

// What `--check` calls negative; empty: all is well.
std::string Attention(const fleet::v1::FleetStatus& status) {
  std::vector<std::string> parts;
  for (const auto& count : status.targets()) {
    if (count.state() == types::v1::TARGET_STATE_STALE && count.count() > 0) {
      parts.push_back(fmt::format("{} targets stale", count.count()));
    }
  }
  for (const auto& count : status.deployments()) {
    if (count.count() == 0) continue;
    if (count.status() == types::v1::DEPLOYMENT_STATUS_ERROR) {
      parts.push_back(fmt::format("{} deployments in error", count.count()));
    } else if (count.status() == types::v1::DEPLOYMENT_STATUS_STALE) {
      parts.push_back(fmt::format("{} deployments stale", count.count()));
    }
  }
  if (!status.store_fault().empty()) parts.emplace_back("the hub cannot store history");
  if (!status.log_store_fault().empty()) parts.emplace_back("the hub cannot store log lines");
  return fmt::format("{}", fmt::join(parts, ", "));
}

absl::Status Status(const CommandContext& context, const StatusArgs& args) {
  if (args.watch) {
    if (args.check) return UsageError("status: --check looks once, --watch for ever; give one of them");
    Backoff backoff(LastingStream::kRetry, SystemUniform());
    return FleetWatch(context, args.limit, std::move(backoff)).Run();
  }
  fleet::v1::GetFleetStatusRequest request;
  request.set_target_limit(args.limit);
  fleet::v1::GetFleetStatusResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("GetFleetStatus", request, &response), "show the fleet"));
  RETURN_IF_ERROR(context.PrintList(
      response, [&](Page* page) { ShowFleet(response.status(), FromProto(response.status().hub_time()), page); }));
  const std::string attention = args.check ? Attention(response.status()) : "";
  if (attention.empty()) return absl::OkStatus();
  return CheckNegative("ATTENTION_NEEDED", fmt::format("check the fleet: {}; see muster status", attention));
}

absl::Status At(const CommandContext& context, const AtArgs& args) {
  ASSIGN_OR_RETURN(const absl::Time time,
                   ParseTimeArgument(fmt::format("{}", fmt::join(args.time, " ")), context.clock().Now()));
  fleet::v1::GetFleetAtRequest request;
  *request.mutable_time() = ToProto(time);
  fleet::v1::GetFleetAtResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("GetFleetAt", request, &response),
                           fmt::format("show the fleet at {}", FormatRfc3339(time))));
  return context.PrintList(response, [&](Page* page) { ShowFleetAt(response, page); });
}

absl::Status Version(const CommandContext& context, const NoArgs& /*args*/) {
  fleet::v1::GetHubResponse hub;
  absl::Status asked = context.client().settings().token.empty()
                           ? absl::UnauthenticatedError("no token was given")
                           : context.client().Call("GetHub", fleet::v1::GetHubRequest(), &hub);
  if (IsInterrupted(asked)) return asked;
  if (context.json()) {
    std::string hub_json = "null";
    if (asked.ok()) {
      ASSIGN_OR_RETURN(hub_json, ToJson(hub));
    }
    return context.console().Write(fmt::format("{{\"version\":\"{}\",\"hub\":{}}}\n", kVersion, hub_json));
  }
  Page page;
  page.Line(fmt::format("muster {}", kVersion));
  if (asked.ok()) {
    page.Line(
        fmt::format("hub    {} at {}, {}", hub.version(), context.client().settings().hub_url, hub.organization()));
  } else {
    page.Line(fmt::format("hub    not asked: {}", MessageOf(asked)));
  }
  return context.console().Write(page.Render(context.TextOptions()));
}

}  // namespace

void AddStatusCommands(CLI::App* root, Action* action) {
  auto args = std::make_shared<StatusArgs>();
  CLI::App* status = AddCommand(root, "status", "The fleet at a glance, what needs attention first",
                                {"muster status", "muster status --watch", "muster status --check || page-somebody"});
  status->add_flag("--watch", args->watch, "Go on showing changes until interrupted");
  status->add_flag("--check", args->check, "Exit code 5 when a target is stale or a deployment stale or in error");
  AddLimit(status, &args->limit, "Show at most so many targets; 100 when not given");
  OnChosen(status, action, args, Status);

  auto at_args = std::make_shared<AtArgs>();
  CLI::App* at = AddCommand(root, "at", "The fleet as it was at a time",
                            {"muster at 2026-11-21T05:24:21Z", "muster at 2h ago", "muster at -2h"});
  at->add_option("TIME", at_args->time, "RFC 3339, a day, or relative: 2h ago")->required()->option_text(" ");
  OnChosen(at, action, at_args, At);
}

void AddVersionCommand(CLI::App* root, Action* action) {
  OnChosen(AddCommand(root, "version", "The versions of this program and of the hub", {"muster version"}), action,
           std::make_shared<NoArgs>(), Version);
}

}  // namespace muster::cli
