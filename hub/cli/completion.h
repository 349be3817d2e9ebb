// Shell completion: what could stand at the end of an unfinished command line. The shims in packaging/completion/ call
// `muster __complete WORD...`; the last word is the unfinished one. Pure: names of the fleet come through a callback.
#ifndef MUSTER_HUB_CLI_COMPLETION_H_
#define MUSTER_HUB_CLI_COMPLETION_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace muster::cli {

inline constexpr char kCompleteCommand[] = "__complete";

// kLogResources: of the deployment that is the command's first argument.
enum class NameKind { kTargets, kDeployments, kLogResources, kMetrics, kTokens };

// The finished part of a command line, read without complaining.
struct CompletionPoint {
  const CLI::App* command = nullptr;
  // The option whose value is unfinished; empty: none is.
  std::string option;
  // Positionals that are already there.
  std::vector<std::string> arguments;
  // Values of options in the finished part, such as "--hub": what asking the hub needs.
  std::vector<std::pair<std::string, std::string>> options;
  std::string unfinished;
  // Stands before the unfinished value in its word: "--type=".
  std::string prefix;
};
CompletionPoint FindCompletionPoint(const CLI::App& root, const std::vector<std::string>& words);

// Sorted as the help is; only what begins with the unfinished word. `names` is called at most once.
std::vector<std::string> Complete(const CompletionPoint& point,
                                  const std::function<std::vector<std::string>(NameKind)>& names);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_COMPLETION_H_
