#include <fmt/format.h>

#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

struct DeploymentArgs {
  std::string deployment;
  std::string target;
  std::string status;
  std::optional<bool> logs;
  std::optional<std::string> application;
  std::optional<std::string> version;
};

absl::Status List(const CommandContext& context, const DeploymentArgs& args) {
  fleet::v1::ListDeploymentsRequest request;
  request.set_target(args.target);
  if (!args.status.empty()) {
    ASSIGN_OR_RETURN(const types::v1::DeploymentStatus status, ParseStatus(args.status));
    request.set_status(status);
  }
  fleet::v1::ListDeploymentsResponse all;
  RETURN_IF_ERROR(Annotate(
      context.client().List("ListDeployments", request, &all, [](const auto& list) { return list.deployments_size(); }),
      "list deployments"));
  return context.PrintList(all, [&](Page* page) { ShowDeployments(all, context.client().HubNow(), page); });
}

absl::Status Show(const CommandContext& context, const DeploymentArgs& args) {
  fleet::v1::GetDeploymentRequest request;
  request.set_deployment(args.deployment);
  fleet::v1::GetDeploymentResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("GetDeployment", request, &response),
                           fmt::format("show deployment {}", args.deployment)));
  return context.PrintText(response,
                           [&](Page* page) { ShowDeployment(response.deployment(), context.client().HubNow(), page); });
}

absl::Status Set(const CommandContext& context, const DeploymentArgs& args) {
  fleet::v1::UpdateDeploymentRequest request;
  request.set_deployment(args.deployment);
  if (args.logs.has_value()) request.set_logs_enabled(*args.logs);
  if (args.application.has_value()) request.set_application(*args.application);
  if (args.version.has_value()) request.set_application_version(*args.version);
  if (!args.logs.has_value() && !args.application.has_value() && !args.version.has_value()) {
    return UsageError("deployment set: nothing to set; give --logs on|off, --application A or --version V");
  }
  fleet::v1::UpdateDeploymentResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("UpdateDeployment", request, &response),
                           fmt::format("set deployment {}", args.deployment)));
  return context.PrintText(response,
                           [&](Page* page) { ShowDeployment(response.deployment(), context.client().HubNow(), page); });
}

absl::Status Delete(const CommandContext& context, const DeploymentArgs& args) {
  fleet::v1::DeleteDeploymentRequest request;
  request.set_deployment(args.deployment);
  fleet::v1::DeleteDeploymentResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("DeleteDeployment", request, &response),
                           fmt::format("delete deployment {}", args.deployment)));
  return context.PrintText(response, [&](Page* page) {
    page->Line(
        fmt::format("Deployment {} is deleted. If its target still reports it, it comes back.", args.deployment));
  });
}

void AddList(CLI::App* noun, Action* action) {
  auto args = std::make_shared<DeploymentArgs>();
  CLI::App* verb = AddCommand(noun, "list", "Lists deployments with their statuses",
                              {"muster deployment list", "muster deployment list --target web-01 --status error"});
  AddValue(verb, "--target", &args->target, "TARGET", "Only deployments of this target, by id or name");
  AddChoice(verb, "--status", &args->status, StatusWords(), "Only deployments with this status");
  OnChosen(verb, action, args, List);
}

CLI::App* AddWithDeployment(CLI::App* noun, Action* action, const std::string& name, const std::string& summary,
                            const std::vector<std::string>& examples, const std::shared_ptr<DeploymentArgs>& args,
                            absl::Status (*run)(const CommandContext&, const DeploymentArgs&)) {
  CLI::App* verb = AddCommand(noun, name, summary, examples);
  AddArgument(verb, "DEPLOYMENT", &args->deployment, "Id, TARGET/NAME, or a name that occurs once");
  OnChosen(verb, action, args, run);
  return verb;
}

}  // namespace

void AddDeploymentCommands(CLI::App* root, Action* action) {
  CLI::App* noun = AddNoun(root, "deployment", "What runs on the targets",
                           {"muster deployment list --status error", "muster deployment show web-01/shop"});
  AddList(noun, action);
  AddWithDeployment(noun, action, "show", "Shows a deployment and its containers or pods",
                    {"muster deployment show web-01/shop"}, std::make_shared<DeploymentArgs>(), Show);
  auto args = std::make_shared<DeploymentArgs>();
  CLI::App* set = AddWithDeployment(noun, action, "set", "Changes a deployment's settings",
                                    {"muster deployment set web-01/shop --logs off",
                                     "muster deployment set web-01/shop --application shop --version 2.3",
                                     "muster deployment set web-01/shop --version \"\"      back to the labels"},
                                    args, Set);
  AddSwitch(set, "--logs", &args->logs, "Whether its containers' logs are collected");
  set->add_option("--application", args->application, "Name the application; empty: as the labels say")
      ->option_text("APPLICATION");
  set->add_option("--version", args->version, "Name its version; empty: as the labels say")->option_text("VERSION");
  AddWithDeployment(noun, action, "delete", "Deletes a deployment that is gone from its target, with its history",
                    {"muster deployment delete web-01/old-shop"}, std::make_shared<DeploymentArgs>(), Delete);
}

}  // namespace muster::cli
