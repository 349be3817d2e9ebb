#include <fmt/format.h>

#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

struct TargetArgs {
  std::string target;
  std::string name;
  std::string type;
  std::string customer;
  std::string state;
  std::string confirm;
  std::optional<bool> metrics;
};

absl::Status Create(const CommandContext& context, const TargetArgs& args) {
  fleet::v1::CreateTargetRequest request;
  request.set_name(args.name);
  ASSIGN_OR_RETURN(const types::v1::TargetType type, ParseType(args.type));
  request.set_type(type);
  request.set_customer(args.customer);
  fleet::v1::CreateTargetResponse response;
  RETURN_IF_ERROR(
      Annotate(context.client().Call("CreateTarget", request, &response), fmt::format("create target {}", args.name)));
  return context.PrintText(response, [&](Page* page) {
    page->Line(fmt::format("Target {} is created.", args.name));
    page->Blank();
    ShowConnect(response.target_id(), response.target_secret(), response.connect_command(),
                response.connect_expire_time(), page);
  });
}

absl::Status List(const CommandContext& context, const TargetArgs& args) {
  fleet::v1::ListTargetsRequest request;
  request.set_customer(args.customer);
  if (!args.state.empty()) {
    ASSIGN_OR_RETURN(const types::v1::TargetState state, ParseState(args.state));
    request.set_state(state);
  }
  fleet::v1::ListTargetsResponse all;
  RETURN_IF_ERROR(Annotate(
      context.client().List("ListTargets", request, &all, [](const auto& list) { return list.targets_size(); }),
      "list targets"));
  return context.PrintList(all, [&](Page* page) { ShowTargets(all, context.client().HubNow(), page); });
}

absl::StatusOr<fleet::v1::GetTargetResponse> Get(const CommandContext& context, const std::string& target) {
  fleet::v1::GetTargetRequest request;
  request.set_target(target);
  fleet::v1::GetTargetResponse response;
  RETURN_IF_ERROR(context.client().Call("GetTarget", request, &response));
  return response;
}

absl::Status Show(const CommandContext& context, const TargetArgs& args) {
  const auto response = Get(context, args.target);
  if (!response.ok()) return Annotate(response.status(), fmt::format("show target {}", args.target));
  // The answer as JSON is the target alone; for people its host is part of it, where a hub knows it.
  fleet::v1::GetHostMetricsRequest request;
  request.set_target(response->target().id());
  fleet::v1::GetHostMetricsResponse host;
  const bool known = !context.json() && context.client().Call("GetHostMetrics", request, &host).ok();
  return context.PrintText(*response, [&](Page* page) {
    ShowTarget(response->target(), known ? &host : nullptr, context.client().HubNow(), page);
  });
}

absl::Status Reconnect(const CommandContext& context, const TargetArgs& args) {
  fleet::v1::ReconnectTargetRequest request;
  request.set_target(args.target);
  fleet::v1::ReconnectTargetResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("ReconnectTarget", request, &response),
                           fmt::format("reconnect target {}", args.target)));
  return context.PrintText(response, [&](Page* page) {
    page->Line(fmt::format("Target {} has a new secret; the old one is refused from now on.", args.target));
    page->Blank();
    ShowConnect(response.target_id(), response.target_secret(), response.connect_command(),
                response.connect_expire_time(), page);
  });
}

absl::Status Delete(const CommandContext& context, const TargetArgs& args) {
  const std::string what = fmt::format("delete target {}", args.target);
  const auto found = Get(context, args.target);
  if (!found.ok()) return Annotate(found.status(), what);
  const fleet::v1::Target& target = found->target();
  int deployments = 0;
  for (const auto& count : target.deployments()) deployments += count.count();
  RETURN_IF_ERROR(context.Confirm(target.name(), args.confirm,
                                  fmt::format("delete target {} ({}) with its {} deployments and all their history",
                                              target.name(), StateSpan(target.state()).text, deployments)));
  fleet::v1::DeleteTargetRequest request;
  // By id: what was confirmed is deleted, also when somebody renames targets meanwhile.
  request.set_target(target.id());
  fleet::v1::DeleteTargetResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("DeleteTarget", request, &response), what));
  return context.PrintText(response,
                           [&](Page* page) { page->Line(fmt::format("Target {} is deleted.", target.name())); });
}

absl::Status Set(const CommandContext& context, const TargetArgs& args) {
  fleet::v1::UpdateTargetRequest request;
  request.set_target(args.target);
  if (args.metrics.has_value()) request.set_metrics_enabled(*args.metrics);
  if (!args.name.empty()) request.set_name(args.name);
  if (!request.has_metrics_enabled() && !request.has_name()) {
    return UsageError("target set: nothing to set; give --metrics on|off or --name N");
  }
  fleet::v1::UpdateTargetResponse response;
  RETURN_IF_ERROR(
      Annotate(context.client().Call("UpdateTarget", request, &response), fmt::format("set target {}", args.target)));
  return context.PrintText(
      response, [&](Page* page) { ShowTarget(response.target(), nullptr, context.client().HubNow(), page); });
}

void AddCreate(CLI::App* noun, Action* action) {
  auto args = std::make_shared<TargetArgs>();
  CLI::App* verb = AddCommand(noun, "create", "Makes a target and prints the command that connects its host",
                              {"muster target create web-01 --type docker",
                               "muster target create prod --type kubernetes --customer \"Blue Bakery\"",
                               "muster -o json target create web-01 --type docker | jq -r .connect_command"});
  AddArgument(verb, "NAME", &args->name, "The new target's name");
  AddChoice(verb, "--type", &args->type, TypeWords(), "What kind of place it is")->required();
  AddValue(verb, "--customer", &args->customer, "CUSTOMER", "The customer organization; made when new");
  OnChosen(verb, action, args, Create);
}

void AddList(CLI::App* noun, Action* action) {
  auto args = std::make_shared<TargetArgs>();
  CLI::App* verb = AddCommand(noun, "list", "Lists targets with their states",
                              {"muster target list", "muster target list --state stale --customer \"Blue Bakery\""});
  AddValue(verb, "--customer", &args->customer, "CUSTOMER", "Only targets of this customer organization");
  AddChoice(verb, "--state", &args->state, StateWords(), "Only targets in this state");
  OnChosen(verb, action, args, List);
}

void AddWithTarget(CLI::App* noun, Action* action, const std::string& name, const std::string& summary,
                   const std::string& example, absl::Status (*run)(const CommandContext&, const TargetArgs&)) {
  auto args = std::make_shared<TargetArgs>();
  CLI::App* verb = AddCommand(noun, name, summary, {example});
  AddArgument(verb, "TARGET", &args->target, "Id or name");
  OnChosen(verb, action, args, run);
}

void AddDelete(CLI::App* noun, Action* action) {
  auto args = std::make_shared<TargetArgs>();
  CLI::App* verb = AddCommand(noun, "delete", "Deletes a target with its deployments and their history; asks first",
                              {"muster target delete web-01", "muster target delete web-01 --confirm web-01"});
  AddArgument(verb, "TARGET", &args->target, "Id or name");
  AddValue(verb, "--confirm", &args->confirm, "NAME", "The target's name, instead of being asked for it");
  OnChosen(verb, action, args, Delete);
}

void AddSet(CLI::App* noun, Action* action) {
  auto args = std::make_shared<TargetArgs>();
  CLI::App* verb = AddCommand(noun, "set", "Changes a target's settings",
                              {"muster target set web-01 --metrics off", "muster target set web-01 --name web-02"});
  AddArgument(verb, "TARGET", &args->target, "Id or name");
  AddSwitch(verb, "--metrics", &args->metrics, "Whether its agent reports host metrics");
  AddValue(verb, "--name", &args->name, "NAME", "A new name");
  OnChosen(verb, action, args, Set);
}

}  // namespace

void AddTargetCommands(CLI::App* root, Action* action) {
  CLI::App* noun =
      AddNoun(root, "target", "The places that agents report from",
              {"muster target create web-01 --type docker", "muster target list", "muster target show web-01"});
  AddCreate(noun, action);
  AddList(noun, action);
  AddWithTarget(noun, action, "show", "Shows all that is known of a target", "muster target show web-01", Show);
  AddWithTarget(noun, action, "reconnect", "Makes a new secret and connect command; the old secret is refused at once",
                "muster target reconnect web-01", Reconnect);
  AddDelete(noun, action);
  AddSet(noun, action);
}

}  // namespace muster::cli
