// Small helpers for declaring commands with CLI11. Include from *_commands.cc only: CLI11 is a heavy header.
#ifndef MUSTER_HUB_CLI_COMMAND_LINE_H_
#define MUSTER_HUB_CLI_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hub/cli/command_context.h"

namespace muster::cli {

// A noun or a verb. `examples` are lines without indentation; the help begins with them.
CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& summary,
                     const std::vector<std::string>& examples);

// A noun that needs one of its verbs.
CLI::App* AddNoun(CLI::App* root, const std::string& name, const std::string& summary,
                  const std::vector<std::string>& examples);

// Options. The value's name in the help is upper case: what it is, or the words there are.
CLI::Option* AddValue(CLI::App* command, const std::string& name, std::string* value, const std::string& value_name,
                      const std::string& description);
CLI::Option* AddChoice(CLI::App* command, const std::string& name, std::string* value,
                       const std::vector<std::string>& words, const std::string& description);
// On or off; unset when not given.
CLI::Option* AddSwitch(CLI::App* command, const std::string& name, std::optional<bool>* value,
                       const std::string& description);
// A positional that must be there.
CLI::Option* AddArgument(CLI::App* command, const std::string& name, std::string* value,
                         const std::string& description);
// How many entries of a list to ask for; 0: all.
CLI::Option* AddLimit(CLI::App* command, int* value, const std::string& description);

// Runs `run(context, args)` when the command is chosen; the arguments live as long as the command line.
template <typename Args, typename Run>
void OnChosen(CLI::App* command, Action* action, std::shared_ptr<Args> args, Run run) {
  command->callback([action, args = std::move(args), run] {
    *action = [args, run](const CommandContext& context) { return run(context, *args); };
  });
}

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_COMMAND_LINE_H_
