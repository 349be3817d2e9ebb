#include "hub/cli/exit_code.h"

#include <fmt/format.h>

#include "absl/strings/cord.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::cli {
namespace {

// Marks errors whose exit code does not follow from the canonical code.
constexpr char kExitUrl[] = "muster/cli-exit";

absl::Status WithExit(absl::Status status, ExitCode code) {
  status.SetPayload(kExitUrl, absl::Cord(std::to_string(static_cast<int>(code))));
  return status;
}

// What to do next, for errors of the hub that do not say it themselves.
std::string_view NextStep(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "check the token in --token-file or MUSTER_TOKEN";
    case absl::StatusCode::kPermissionDenied:
      return "use a token whose role and customer allow it";
    case absl::StatusCode::kNotFound:
      return "see the names with `muster target list` and `muster deployment list`";
    case absl::StatusCode::kUnavailable:
      return "try again in a moment";
    case absl::StatusCode::kUnimplemented:
      return "the hub may be older than this command; see `muster version`";
    case absl::StatusCode::kDeadlineExceeded:
      return "try again, or ask for less";
    default:
      return "";
  }
}

}  // namespace

ExitCode ExitCodeFor(const absl::Status& status) {
  if (auto exit = status.GetPayload(kExitUrl)) return static_cast<ExitCode>(std::stoi(std::string(*exit)));
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kNotAllowed;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimedOut;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kHubUnreachable;
    default:
      return ExitCode::kFailed;
  }
}

absl::Status UsageError(std::string_view message) {
  return WithExit(MakeError(absl::StatusCode::kInvalidArgument, "USAGE", message), ExitCode::kUsage);
}

absl::Status CheckNegative(std::string_view reason, std::string_view message) {
  return WithExit(MakeError(absl::StatusCode::kFailedPrecondition, reason, message), ExitCode::kCheckNegative);
}

absl::Status Interrupted() {
  return WithExit(MakeError(absl::StatusCode::kCancelled, "INTERRUPTED", "interrupted"), ExitCode::kInterrupted);
}

bool IsInterrupted(const absl::Status& status) { return ExitCodeFor(status) == ExitCode::kInterrupted; }

std::string ErrorSentence(const absl::Status& status) {
  std::string message = EscapeControl(MessageOf(status));
  while (!message.empty() && (message.back() == '.' || message.back() == ' ')) message.pop_back();
  const std::string_view next = NextStep(status);
  if (!next.empty() && message.find("; ") == std::string::npos) message += fmt::format("; {}", next);
  return fmt::format("muster: {} [{}]\n", message, EscapeControl(ReasonOf(status)));
}

}  // namespace muster::cli
