// Errors of this project: absl::Status with a canonical code, a sentence for people (what failed, why, what to do
// next) and a stable reason code for programs, such as "TARGET_NOT_FOUND".
#ifndef MUSTER_COMMON_STATUS_H_
#define MUSTER_COMMON_STATUS_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace muster {

// `reason` is UPPER_SNAKE_CASE and append-only: clients branch on it.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message);

// The reason given to MakeError; for other errors the canonical code's name.
std::string ReasonOf(const absl::Status& status);

// "context: message", same code and reason. OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

std::string MessageOf(const absl::Status& status);

// A status from errno: "open /x: permission denied".
absl::Status ErrnoError(int error_number, std::string_view context);

}  // namespace muster

#define MUSTER_STATUS_CONCAT_INNER(a, b) a##b
#define MUSTER_STATUS_CONCAT(a, b) MUSTER_STATUS_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expression) \
  ASSIGN_OR_RETURN_IMPL(MUSTER_STATUS_CONCAT(status_or_, __LINE__), lhs, expression)
#define ASSIGN_OR_RETURN_IMPL(temporary, lhs, expression) \
  auto temporary = (expression);                          \
  if (!temporary.ok()) return temporary.status();         \
  lhs = *std::move(temporary)

#endif  // MUSTER_COMMON_STATUS_H_
