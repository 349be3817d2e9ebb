#include "common/status.h"

#include <fmt/format.h>

#include <system_error>

#include "absl/strings/cord.h"

namespace muster {
namespace {

constexpr char kReasonUrl[] = "muster/reason";

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  status.SetPayload(kReasonUrl, absl::Cord(ToAbsl(reason)));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  if (auto reason = status.GetPayload(kReasonUrl)) return std::string(*reason);
  return absl::StatusCodeToString(status.code());
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), fmt::format("{}: {}", context, MessageOf(status)));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

absl::Status ErrnoError(int error_number, std::string_view context) {
  return absl::Status(absl::ErrnoToStatusCode(error_number),
                      fmt::format("{}: {}", context, std::generic_category().message(error_number)));
}

}  // namespace muster
