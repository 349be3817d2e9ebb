// What BeastHttpClient and BeastStreamGroup have in common: the limits and the errors. Internal to them.
// Includes no Beast, which is slow to compile.
#ifndef MUSTER_AGENT_HTTP_HTTP_SUPPORT_H_
#define MUSTER_AGENT_HTTP_HTTP_SUPPORT_H_

#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace muster::agent {

// The engine's headers have some 500 bytes.
inline constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
// Room for the headers, or for one read of the body. Bodies go from here to their own storage.
inline constexpr std::size_t kReadBufferBytes = 64 * 1024;
// Of the body of an answer that is an error, for the message.
inline constexpr std::size_t kMaxErrorBodyBytes = 200;
inline constexpr absl::Duration kErrorBodyWait = absl::Seconds(1);
inline constexpr absl::Duration kMaxRetryAfter = absl::Minutes(10);

// The adapters' own clock: input and output cannot wait by another one.
using Deadline = std::chrono::steady_clock::time_point;

// A duration without end becomes a day.
Deadline After(absl::Duration duration);

// A Retry-After header's value: seconds, at most kMaxRetryAfter. Nothing for anything else (it may be a date).
std::optional<absl::Duration> ParseRetryAfter(std::string_view value);
// kNotFound when no socket can have this path.
absl::Status CheckSocketPath(std::string_view path);

// As HttpClient tells them.
absl::Status ToStatus(const boost::system::error_code& error, std::string_view operation);
absl::Status DeadlineError(std::string_view operation);
// The answer's code is not 200. `body`: the start of its body.
absl::Status HttpCodeError(std::string_view target, int code, std::string_view body);

// Third parties' exceptions (out of file descriptors, out of memory) end here.
template <typename Function>
auto Guarded(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& e) {
    return MakeError(absl::StatusCode::kUnavailable, "HTTP_CLIENT_FAILED", e.what());
  }
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_HTTP_SUPPORT_H_
