#include "agent/session/farewell_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr std::string_view kNewSecretAdvice =
    "put the target's current secret into the secret file (muster target reconnect NAME prints the command); the agent "
    "comes back by itself when the file changes";

}  // namespace

FarewellPolicy PolicyFor(v1::FarewellReason reason) {
  const absl::Duration minute = absl::Minutes(1);
  switch (reason) {
    case v1::FAREWELL_REASON_SECRET_ROTATED:
    case v1::FAREWELL_REASON_BAD_SECRET:
      return {minute, 5 * minute, log::Level::kError, kNewSecretAdvice};
    case v1::FAREWELL_REASON_TARGET_DELETED:
      return {minute, 5 * minute, log::Level::kError,
              "stop this agent, or create a target (muster target create) and run its connect command here"};
    case v1::FAREWELL_REASON_UNKNOWN_TARGET:
      return {minute, 5 * minute, log::Level::kError,
              "check that --target-id and --hub belong together, or create a target and run its connect command here"};
    case v1::FAREWELL_REASON_SUPERSEDED:
      return {5 * minute, 6 * minute, log::Level::kWarning,
              "another agent uses this target's identity: stop one of the two, or run muster target reconnect NAME and "
              "its command on the right host"};
    case v1::FAREWELL_REASON_PROTOCOL_ERROR:
      return {absl::Seconds(30), minute, log::Level::kError,
              "agent and hub do not understand each other: compare their versions, and report it if they match"};
    case v1::FAREWELL_REASON_TOO_OLD:
      return {5 * minute, 6 * minute, log::Level::kError,
              "upgrade muster-agent on this host: run the target's connect command again"};
    default:
      return {};
  }
}

std::string ReasonName(v1::FarewellReason reason) {
  constexpr std::string_view kPrefix = "FAREWELL_REASON_";
  const std::string& name = v1::FarewellReason_Name(reason);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : fmt::format("reason {}", static_cast<int>(reason));
}

std::optional<absl::Duration> RetryAfterOf(const v1::Farewell& farewell) {
  if (!farewell.has_retry_after()) return std::nullopt;
  return std::clamp(FromProto(farewell.retry_after()), absl::ZeroDuration(), kMaxRetryAfter);
}

absl::Duration WaitAfter(const v1::Farewell& farewell, double uniform, absl::Duration backoff) {
  const FarewellPolicy policy = PolicyFor(farewell.reason());
  const std::optional<absl::Duration> asked = RetryAfterOf(farewell);
  if (policy.most > absl::ZeroDuration()) {
    const absl::Duration own = policy.least + (policy.most - policy.least) * uniform;
    return std::max(own, asked.value_or(absl::ZeroDuration()));
  }
  // Up to a fifth more, so that agents who were told the same second do not return in the same second.
  if (asked.has_value()) return *asked + *asked * (uniform / 5);
  return backoff;
}

}  // namespace muster::agent
