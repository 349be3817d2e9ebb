#include "hub/cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace muster::cli {

CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& summary,
                     const std::vector<std::string>& examples) {
  CLI::App* command =
      parent->add_subcommand(name, fmt::format("{}\n\nExamples:\n  {}\n", summary, fmt::join(examples, "\n  ")));
  command->fallthrough();
  command->group("Commands");
  command->footer("Options of every command (hub, token, output): muster --help");
  return command;
}

CLI::App* AddNoun(CLI::App* root, const std::string& name, const std::string& summary,
                  const std::vector<std::string>& examples) {
  CLI::App* noun = AddCommand(root, name, summary, examples);
  noun->require_subcommand(1);
  return noun;
}

CLI::Option* AddValue(CLI::App* command, const std::string& name, std::string* value, const std::string& value_name,
                      const std::string& description) {
  return command->add_option(name, *value, description)->option_text(value_name);
}

CLI::Option* AddChoice(CLI::App* command, const std::string& name, std::string* value,
                       const std::vector<std::string>& words, const std::string& description) {
  return AddValue(command, name, value, fmt::format("{}", fmt::join(words, "|")), description);
}

CLI::Option* AddSwitch(CLI::App* command, const std::string& name, std::optional<bool>* value,
                       const std::string& description) {
  const auto parse = [value](const std::string& word) {
    if (word != "on" && word != "off") return false;
    *value = word == "on";
    return true;
  };
  return command
      ->add_option_function<std::string>(
          name,
          [name, parse](const std::string& word) {
            if (!parse(word)) throw CLI::ValidationError(name, fmt::format("\"{}\" is neither on nor off", word));
          },
          description)
      ->option_text("on|off");
}

CLI::Option* AddArgument(CLI::App* command, const std::string& name, std::string* value,
                         const std::string& description) {
  return command->add_option(name, *value, description)->required()->option_text(" ");
}

CLI::Option* AddLimit(CLI::App* command, int* value, const std::string& description) {
  return command->add_option("--limit", *value, description)->check(CLI::NonNegativeNumber)->option_text("N");
}

}  // namespace muster::cli
