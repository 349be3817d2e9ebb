#include "agent/http/http_support.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/beast/http/error.hpp>

#include "common/text.h"

namespace muster::agent {

Deadline After(absl::Duration duration) {
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(duration, absl::Hours(24)));
}

std::optional<absl::Duration> ParseRetryAfter(std::string_view value) {
  // A longer number is beyond the most that is waited.
  constexpr std::size_t kMaxDigits = 9;
  const bool is_number = !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
  if (!is_number) return std::nullopt;
  std::int64_t seconds = 0;
  for (const char digit : value.substr(0, kMaxDigits)) seconds = seconds * 10 + (digit - '0');
  return value.size() > kMaxDigits ? kMaxRetryAfter : std::min(absl::Seconds(seconds), kMaxRetryAfter);
}

absl::Status CheckSocketPath(std::string_view path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return absl::OkStatus();
  return MakeError(absl::StatusCode::kNotFound, "SOCKET_PATH_TOO_LONG",
                   fmt::format("the path has {} bytes, a unix socket's path at most {}", path.size(),
                               sizeof(sockaddr_un::sun_path) - 1));
}

absl::Status ToStatus(const boost::system::error_code& error, std::string_view operation) {
  namespace errc = boost::system::errc;
  namespace http = boost::beast::http;
  const auto make = [&](absl::StatusCode code, std::string_view reason) {
    return MakeError(code, reason, fmt::format("{}: {}", operation, error.message()));
  };
  if (error == errc::no_such_file_or_directory) return make(absl::StatusCode::kNotFound, "SOCKET_MISSING");
  if (error == errc::permission_denied || error == errc::operation_not_permitted) {
    return make(absl::StatusCode::kPermissionDenied, "SOCKET_FORBIDDEN");
  }
  if (error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow) {
    return make(absl::StatusCode::kResourceExhausted, "ANSWER_TOO_LARGE");
  }
  if (error == http::error::end_of_stream) return make(absl::StatusCode::kUnavailable, "CONNECTION_LOST");
  if (error.category() == http::make_error_code(http::error::partial_message).category()) {
    return make(absl::StatusCode::kDataLoss, "BAD_HTTP");
  }
  return make(absl::StatusCode::kUnavailable, "CONNECTION_LOST");
}

absl::Status DeadlineError(std::string_view operation) {
  return MakeError(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER",
                   fmt::format("{}: no answer before the deadline", operation));
}

absl::Status HttpCodeError(std::string_view target, int code, std::string_view body) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "HTTP_CODE",
                   fmt::format("GET {}: HTTP {} {}", target, code, CleanUtf8(body, kMaxErrorBodyBytes)));
}

}  // namespace muster::agent
