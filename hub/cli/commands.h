// The commands, noun by noun. Each function adds its nouns to the command line; parsing a command sets `*action` to
// what is to be done. Registration only: nothing is asked of the hub before the action runs.
#ifndef MUSTER_HUB_CLI_COMMANDS_H_
#define MUSTER_HUB_CLI_COMMANDS_H_

#include "hub/cli/command_context.h"

namespace CLI {
class App;
}  // namespace CLI

namespace muster::cli {

void AddTargetCommands(CLI::App* root, Action* action);
void AddDeploymentCommands(CLI::App* root, Action* action);
void AddStatusCommands(CLI::App* root, Action* action);   // status, at
void AddHistoryCommands(CLI::App* root, Action* action);  // history, availability
void AddLogCommands(CLI::App* root, Action* action);      // logs, agent-logs
void AddMetricCommands(CLI::App* root, Action* action);   // metrics
void AddJobCommands(CLI::App* root, Action* action);
void AddTokenCommands(CLI::App* root, Action* action);  // token, audit
void AddVersionCommand(CLI::App* root, Action* action);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_COMMANDS_H_
