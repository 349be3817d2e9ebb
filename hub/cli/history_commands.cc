#include <fmt/format.h>

#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/time_argument.h"
#include "hub/cli/views.h"

namespace muster::cli {
namespace {

struct HistoryArgs {
  std::string subject;
  std::string from;
  std::string to;
  int limit = 0;
};

absl::Status TargetHistory(const CommandContext& context, const HistoryArgs& args) {
  fleet::v1::ListTargetHistoryRequest request;
  request.set_target(args.subject);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &request));
  fleet::v1::ListTargetHistoryResponse all;
  RETURN_IF_ERROR(Annotate(
      context.client().List(
          "ListTargetHistory", request, &all, [](const auto& list) { return list.intervals_size(); }, args.limit),
      fmt::format("history of target {}", args.subject)));
  return context.PrintList(all, [&](Page* page) { ShowTargetHistory(all, context.client().HubNow(), page); });
}

absl::Status DeploymentHistory(const CommandContext& context, const HistoryArgs& args) {
  fleet::v1::ListDeploymentHistoryRequest request;
  request.set_deployment(args.subject);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &request));
  fleet::v1::ListDeploymentHistoryResponse all;
  RETURN_IF_ERROR(Annotate(
      context.client().List(
          "ListDeploymentHistory", request, &all, [](const auto& list) { return list.intervals_size(); }, args.limit),
      fmt::format("history of deployment {}", args.subject)));
  return context.PrintList(all, [&](Page* page) { ShowDeploymentHistory(all, context.client().HubNow(), page); });
}

absl::Status Availability(const CommandContext& context, const fleet::v1::GetAvailabilityRequest& request,
                          const std::string& what) {
  fleet::v1::GetAvailabilityResponse response;
  RETURN_IF_ERROR(
      Annotate(context.client().Call("GetAvailability", request, &response), fmt::format("availability of {}", what)));
  return context.PrintText(response, [&](Page* page) { ShowAvailability(response, page); });
}

absl::Status TargetAvailability(const CommandContext& context, const HistoryArgs& args) {
  fleet::v1::GetAvailabilityRequest request;
  request.set_target(args.subject);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &request));
  return Availability(context, request, fmt::format("target {}", args.subject));
}

absl::Status DeploymentAvailability(const CommandContext& context, const HistoryArgs& args) {
  fleet::v1::GetAvailabilityRequest request;
  request.set_deployment(args.subject);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &request));
  return Availability(context, request, fmt::format("deployment {}", args.subject));
}

using Run = absl::Status (*)(const CommandContext&, const HistoryArgs&);

void AddWindow(CLI::App* verb, HistoryArgs* args) {
  AddValue(verb, "--from", &args->from, "TIME",
           "Only what was after this: 2026-11-21T05:24:21Z, 2026-11-21, \"2h ago\"");
  AddValue(verb, "--to", &args->to, "TIME", "Only what was before this");
}

void AddHistory(CLI::App* noun, Action* action, const std::string& name, const std::string& what,
                const std::string& example, Run run) {
  auto args = std::make_shared<HistoryArgs>();
  CLI::App* verb =
      AddCommand(noun, name, fmt::format("Shows how a {} was, newest first", name),
                 {fmt::format("muster history {} {}", name, example),
                  fmt::format("muster history {} {} --from \"2d ago\" --to 2026-11-21T05:00:00Z", name, example)});
  AddArgument(verb, name == "target" ? "TARGET" : "DEPLOYMENT", &args->subject, what);
  AddWindow(verb, args.get());
  AddLimit(verb, &args->limit, "At most so many entries");
  OnChosen(verb, action, args, run);
}

void AddAvailability(CLI::App* noun, Action* action, const std::string& name, const std::string& what,
                     const std::string& example, Run run) {
  auto args = std::make_shared<HistoryArgs>();
  CLI::App* verb =
      AddCommand(noun, name, fmt::format("Shows how much of the time a {} was available", name),
                 {fmt::format("muster availability {} {}", name, example),
                  fmt::format("muster availability {} {} --from 2026-11-01 --to 2026-12-01", name, example)});
  AddArgument(verb, name == "target" ? "TARGET" : "DEPLOYMENT", &args->subject, what);
  AddWindow(verb, args.get());
  OnChosen(verb, action, args, run);
}

}  // namespace

void AddHistoryCommands(CLI::App* root, Action* action) {
  const std::string target = "Id or name; also of a deleted one";
  const std::string deployment = "Id, TARGET/NAME, or a name that occurs once; of one that is gone id or TARGET/NAME";
  CLI::App* history =
      AddNoun(root, "history", "What was when",
              {"muster history target web-01", "muster history deployment web-01/shop --from \"7d ago\""});
  AddHistory(history, action, "target", target, "web-01", TargetHistory);
  AddHistory(history, action, "deployment", deployment, "web-01/shop", DeploymentHistory);
  CLI::App* availability =
      AddNoun(root, "availability", "How much of the last 30 days, or of a time, something was up",
              {"muster availability target web-01", "muster availability deployment web-01/shop --from \"7d ago\""});
  AddAvailability(availability, action, "target", target, "web-01", TargetAvailability);
  AddAvailability(availability, action, "deployment", deployment, "web-01/shop", DeploymentAvailability);
}

}  // namespace muster::cli
