// What the process says when it ends: the exit code and the one sentence on stderr. Used by every command of the CLI.
// docs/cli.md is the contract.
#ifndef MUSTER_HUB_CLI_EXIT_CODE_H_
#define MUSTER_HUB_CLI_EXIT_CODE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace muster::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kNotAllowed = 4,
  kCheckNegative = 5,
  kTimedOut = 6,
  kHubUnreachable = 7,
  kInterrupted = 130,
};

ExitCode ExitCodeFor(const absl::Status& status);

// The command line is wrong, or needs an answer that it may not ask for.
absl::Status UsageError(std::string_view message);
// The question was answered, and the answer is no.
absl::Status CheckNegative(std::string_view reason, std::string_view message);
// Ctrl-C.
absl::Status Interrupted();
bool IsInterrupted(const absl::Status& status);

// "muster: show target x: no such target; see `muster target list` [TARGET_NOT_FOUND]", safe to print.
std::string ErrorSentence(const absl::Status& status);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_EXIT_CODE_H_
