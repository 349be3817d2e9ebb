#include "hub/cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "common/text.h"

namespace muster::cli {
namespace {

// `name` as in "--hub" or "-o": of this command or one above it.
const CLI::Option* FindOption(const CLI::App* command, const std::string& name) {
  for (; command != nullptr; command = command->get_parent()) {
    if (const CLI::Option* option = command->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

bool TakesValue(const CLI::Option* option) { return option != nullptr && option->get_items_expected_max() > 0; }

// The long name, whichever was typed.
std::string LongName(const CLI::Option* option) {
  return option->get_lnames().empty() ? option->get_name() : "--" + option->get_lnames().front();
}

const CLI::App* FindCommand(const CLI::App* command, const std::string& name) {
  for (const CLI::App* child : command->get_subcommands({})) {
    if (child->get_name() == name) return child;
  }
  return nullptr;
}

std::vector<std::string> OptionNames(const CLI::App* command) {
  std::vector<std::string> names;
  for (; command != nullptr; command = command->get_parent()) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (name != "help" || command->get_parent() == nullptr) names.push_back("--" + name);
      }
    }
  }
  return names;
}

// "docker|kubernetes|host" of the help.
std::vector<std::string> Choices(const std::string& text) {
  std::vector<std::string> choices;
  if (text.find('|') == std::string::npos) return choices;
  for (std::size_t pos = 0; pos <= text.size();) {
    const std::size_t end = std::min(text.find('|', pos), text.size());
    choices.push_back(text.substr(pos, end - pos));
    pos = end + 1;
  }
  return choices;
}

std::optional<NameKind> KindOfName(const std::string& placeholder) {
  if (placeholder == "TARGET") return NameKind::kTargets;
  if (placeholder == "DEPLOYMENT") return NameKind::kDeployments;
  if (placeholder == "RESOURCE") return NameKind::kLogResources;
  if (placeholder == "METRIC") return NameKind::kMetrics;
  if (placeholder == "TOKEN") return NameKind::kTokens;
  return std::nullopt;
}

std::vector<std::string> AllCandidates(const CompletionPoint& point,
                                       const std::function<std::vector<std::string>(NameKind)>& names) {
  if (!point.option.empty()) {
    const CLI::Option* option = FindOption(point.command, point.option);
    if (const auto kind = KindOfName(option->get_option_text())) return names(*kind);
    return Choices(option->get_option_text());
  }
  if (point.unfinished.rfind('-', 0) == 0) return OptionNames(point.command);
  std::vector<std::string> candidates;
  for (const CLI::App* child : point.command->get_subcommands({})) candidates.push_back(child->get_name());
  if (!candidates.empty()) return candidates;
  std::size_t position = 0;
  for (const CLI::Option* option : point.command->get_options()) {
    if (!option->get_positional() || position++ != point.arguments.size()) continue;
    if (const auto kind = KindOfName(option->get_name(true))) return names(*kind);
  }
  return {};
}

}  // namespace

CompletionPoint FindCompletionPoint(const CLI::App& root, const std::vector<std::string>& words) {
  CompletionPoint point;
  point.command = &root;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "=") continue;  // bash takes "--type=docker" apart
    if (!point.option.empty()) {
      point.options.emplace_back(std::exchange(point.option, ""), word);
    } else if (word.size() > 1 && word[0] == '-') {
      const std::size_t equals = word.find('=');
      const CLI::Option* option = FindOption(point.command, word.substr(0, equals));
      if (!TakesValue(option)) continue;
      if (equals == std::string::npos) {
        point.option = LongName(option);
      } else {
        point.options.emplace_back(LongName(option), word.substr(equals + 1));
      }
    } else if (const CLI::App* child = FindCommand(point.command, word)) {
      point.command = child;
    } else {
      point.arguments.push_back(word);
    }
  }
  if (words.empty() || words.back() == "=") return point;
  point.unfinished = words.back();
  const std::size_t equals = point.unfinished.find('=');
  if (point.option.empty() && point.unfinished.rfind("--", 0) == 0 && equals != std::string::npos) {
    const CLI::Option* option = FindOption(point.command, point.unfinished.substr(0, equals));
    if (!TakesValue(option)) return point;
    point.option = LongName(option);
    point.prefix = point.unfinished.substr(0, equals + 1);
    point.unfinished.erase(0, equals + 1);
  }
  return point;
}

std::vector<std::string> Complete(const CompletionPoint& point,
                                  const std::function<std::vector<std::string>(NameKind)>& names) {
  std::vector<std::string> fitting;
  for (std::string& candidate : AllCandidates(point, names)) {
    // One candidate a line: what would not survive that is not offered.
    if (candidate.rfind(point.unfinished, 0) != 0 || EscapeControl(candidate) != candidate) continue;
    fitting.push_back(point.prefix + candidate);
  }
  return fitting;
}

}  // namespace muster::cli
