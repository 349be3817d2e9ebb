#include "hub/cli/app.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "common/status.h"
#include "common/version.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/completion.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

constexpr char kSummary[] =
    "muster: the roll call of your deployment targets\n\n"
    "Examples:\n"
    "  muster status                                   the fleet at a glance\n"
    "  muster target create web-01 --type docker       a new target and its connect command\n"
    "  muster deployment list --status error           what is broken\n"
    "  muster logs web-01/shop -f --level warn         what its containers say\n"
    "  muster metrics web-01 --from \"1d ago\"           how busy its host was\n"
    "  muster at 2h ago                                the fleet as it was\n";

// The one that can answer with rows of one shape.
constexpr std::string_view kCsvCommand = "metrics";

constexpr char kFooter[] =
    "The API token comes from --token-file or MUSTER_TOKEN, never from an option. See docs/cli.md for exit codes.";

// Lists commands with the first line of their help: the rest is examples.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_subcommand(const CLI::App* command) const override {
    std::string summary = command->get_description();
    summary.resize(std::min(summary.find('\n'), summary.size()));
    return fmt::format("  {:<28}{}\n", command->get_name(), summary);
  }
};

// The command line and what its options set.
class CommandLine {
 public:
  CommandLine() : root_(kSummary, "muster") {
    const auto formatter = std::make_shared<HelpFormatter>();
    formatter->column_width(30);
    formatter->label("OPTIONS", "options");
    formatter->label("SUBCOMMAND", "COMMAND");
    formatter->label("Positionals", "Arguments");
    root_.formatter(formatter);
    root_.footer(kFooter);
    root_.fallthrough();
    root_.require_subcommand(1);
    root_.set_version_flag("--version", fmt::format("muster {}", kVersion));
    AddValue(&root_, "--hub", &raw_.hub, "URL", "The hub (MUSTER_HUB; https://localhost:8080)");
    AddValue(&root_, "--token-file", &raw_.token_file, "FILE", "API token; - is stdin (or MUSTER_TOKEN)");
    AddValue(&root_, "--ca-file", &raw_.ca_file, "FILE", "Trust the hub by this CA (MUSTER_CA; the system's CAs)");
    AddChoice(&root_, "-o,--output", &raw_.output, {"table", "json", "csv"},
              fmt::format("For people, or for programs; csv: of {}", kCsvCommand))
        ->check(CLI::IsMember({"table", "json", "csv"}));
    root_.add_flag("--no-input", raw_.no_input, "Never ask anything");
    root_.add_flag("--no-color", raw_.no_color, "No colours (NO_COLOR)");
    AddStatusCommands(&root_, &action_);
    AddTargetCommands(&root_, &action_);
    AddDeploymentCommands(&root_, &action_);
    AddHistoryCommands(&root_, &action_);
    AddLogCommands(&root_, &action_);
    AddMetricCommands(&root_, &action_);
    AddJobCommands(&root_, &action_);
    AddTokenCommands(&root_, &action_);
    AddVersionCommand(&root_, &action_);
  }

  // The exit code when there is nothing to run: help, or an error that was said.
  std::optional<ExitCode> Parse(std::vector<std::string> args, Console* console);

  const RawSettings& raw() const { return raw_; }
  const Action& action() const { return action_; }
  const CLI::App& root() const { return root_; }

 private:
  // The noun or verb that parsing came to.
  const CLI::App* Chosen() const;
  std::string WhatIsWrong(const CLI::ParseError& error) const;

  RawSettings raw_;
  Action action_;
  CLI::App root_;
};

const CLI::App* CommandLine::Chosen() const {
  const CLI::App* app = &root_;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

// "muster target create": what to ask help for.
std::string PathOf(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : PathOf(app->get_parent()) + " " + app->get_name();
}

std::string CommandLine::WhatIsWrong(const CLI::ParseError& error) const {
  const CLI::App* app = Chosen();
  std::vector<std::string> commands;
  for (const CLI::App* command : app->get_subcommands({})) commands.push_back(command->get_name());
  if (commands.empty() || error.get_exit_code() != static_cast<int>(CLI::ExitCodes::RequiredError)) {
    std::string what = error.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    return what;
  }
  const std::vector<std::string> unknown = root_.remaining(/*recurse=*/true);
  return fmt::format("{} is no command of {}; choose one of {}",
                     unknown.empty() ? "nothing" : fmt::format("\"{}\"", unknown.front()), PathOf(app),
                     fmt::join(commands, ", "));
}

std::optional<ExitCode> CommandLine::Parse(std::vector<std::string> args, Console* console) {
  if (args.empty()) {
    console->WriteError(root_.help());
    return ExitCode::kUsage;
  }
  if (args.front() == "help") {  // `muster help target create`
    args.erase(args.begin());
    args.emplace_back("--help");
  }
  std::reverse(args.begin(), args.end());  // CLI11 takes them from the end
  try {
    root_.parse(std::move(args));
    if (raw_.output == "csv" && Chosen()->get_name() != kCsvCommand) {
      throw CLI::ValidationError("--output", fmt::format("csv is for {} only", kCsvCommand));
    }
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    return console->Write(root_.help()).ok() ? ExitCode::kOk : ExitCode::kFailed;
  } catch (const CLI::CallForVersion& version) {
    return console->Write(fmt::format("{}\n", version.what())).ok() ? ExitCode::kOk : ExitCode::kFailed;
  } catch (const CLI::ParseError& error) {
    console->WriteError(
        ErrorSentence(UsageError(fmt::format("{}; see: {} --help", WhatIsWrong(error), PathOf(Chosen())))));
    return ExitCode::kUsage;
  }
}

// Over a network, that is; not to this machine.
bool SendsTokenInClear(const Settings& settings) {
  constexpr std::string_view kPlain = "http://";
  if (settings.token.empty() || settings.hub_url.rfind(kPlain, 0) != 0) return false;
  const std::string host = settings.hub_url.substr(kPlain.size());
  for (const std::string_view local : {"localhost", "127.", "[::1]"}) {
    if (host.rfind(local, 0) == 0) return false;
  }
  return true;
}

absl::Status RunAction(const Action& action, const RawSettings& raw, const AppParts& parts) {
  ASSIGN_OR_RETURN(const Settings settings, FinalizeSettings(raw, parts.environment));
  if (SendsTokenInClear(settings)) {
    parts.console->WriteError("muster: warning: over http:// the token can be read on its way; use https://\n");
  }
  FleetClient client(settings, parts.transport, parts.clock, {});
  return action(CommandContext(settings, &client, parts.console, parts.interrupt, parts.clock));
}

// A hub that is slow to answer must not freeze the shell.
constexpr FleetClient::Timeouts kCompletionTimeouts = {.connect = absl::Seconds(1), .call = absl::Seconds(3)};

// One page of names; empty on any failure.
std::vector<std::string> AskNames(NameKind kind, const CompletionPoint& point, const AppParts& parts) {
  RawSettings raw;
  for (const auto& [name, value] : point.options) {
    if (name == "--hub") raw.hub = value;
    if (name == "--token-file" && value != "-") raw.token_file = value;
    if (name == "--ca-file") raw.ca_file = value;
  }
  const auto settings = FinalizeSettings(raw, parts.environment);
  if (!settings.ok()) return {};
  FleetClient client(*settings, parts.transport, parts.clock, kCompletionTimeouts);
  std::vector<std::string> names;
  if (kind == NameKind::kTargets) {
    fleet::v1::ListTargetsResponse response;
    client.Call("ListTargets", fleet::v1::ListTargetsRequest(), &response).IgnoreError();
    for (const auto& target : response.targets()) names.push_back(target.name());
  } else if (kind == NameKind::kDeployments) {
    fleet::v1::ListDeploymentsResponse response;
    client.Call("ListDeployments", fleet::v1::ListDeploymentsRequest(), &response).IgnoreError();
    for (const auto& d : response.deployments()) names.push_back(fmt::format("{}/{}", d.target_name(), d.name()));
  } else if (kind == NameKind::kLogResources) {
    if (point.arguments.empty()) return {};
    fleet::v1::ListLogResourcesRequest request;
    request.set_deployment(point.arguments.front());
    fleet::v1::ListLogResourcesResponse response;
    client.Call("ListLogResources", request, &response).IgnoreError();
    for (const auto& resource : response.resources()) names.push_back(resource.name());
  } else if (kind == NameKind::kMetrics) {
    if (point.arguments.empty()) return {};
    fleet::v1::QueryHostMetricsRequest request;
    request.set_target(point.arguments.front());
    fleet::v1::QueryHostMetricsResponse response;
    client.Call("QueryHostMetrics", request, &response).IgnoreError();
    for (const auto& series : response.series()) {
      // In groups: one for each instance.
      if (names.empty() || names.back() != series.metric()) names.push_back(series.metric());
    }
  } else {
    fleet::v1::ListTokensResponse response;
    client.Call("ListTokens", fleet::v1::ListTokensRequest(), &response).IgnoreError();
    for (const auto& token : response.tokens()) names.push_back(token.name());
  }
  return names;
}

int RunCompletion(const CommandLine& command_line, const std::vector<std::string>& words, const AppParts& parts) {
  const CompletionPoint point = FindCompletionPoint(command_line.root(), words);
  std::string out;
  for (const std::string& candidate : Complete(point, [&](NameKind kind) { return AskNames(kind, point, parts); })) {
    out += candidate + "\n";
  }
  parts.console->Write(out).IgnoreError();
  return 0;
}

}  // namespace

int RunApp(const std::vector<std::string>& args, const AppParts& parts) {
  CommandLine command_line;
  if (!args.empty() && args.front() == kCompleteCommand) {
    return RunCompletion(command_line, std::vector<std::string>(args.begin() + 1, args.end()), parts);
  }
  if (const auto done = command_line.Parse(args, parts.console); done.has_value()) return static_cast<int>(*done);
  const absl::Status result = RunAction(command_line.action(), command_line.raw(), parts);
  if (!result.ok() && !IsInterrupted(result)) parts.console->WriteError(ErrorSentence(result));
  return static_cast<int>(ExitCodeFor(result));
}

}  // namespace muster::cli
