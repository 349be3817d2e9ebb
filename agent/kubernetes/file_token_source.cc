#include "agent/kubernetes/file_token_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/files.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kMaxAge = absl::Seconds(60);
constexpr absl::Duration kMinAge = absl::Seconds(1);
// A service account's token has about 1 KiB; with it the headers of a request stay below what API servers take.
constexpr std::size_t kMaxTokenBytes = 8 * 1024;

}  // namespace

FileTokenSource::FileTokenSource(std::string path, const Clock* clock) : path_(std::move(path)), clock_(clock) {}

std::string FileTokenSource::Token() {
  absl::Status failure;
  std::string token;
  {
    MutexLock lock(&mutex_);
    const absl::Duration age = read_at_ ? clock_->Monotonic() - *read_at_ : absl::InfiniteDuration();
    if (age >= (was_refused_ ? kMinAge : kMaxAge)) {
      failure = ReadLocked();
      if (std::exchange(has_failed_, !failure.ok())) failure = absl::OkStatus();
    }
    token = token_;
  }
  if (!failure.ok()) log::Warning("the API server's token: {}; the last one is used on", MessageOf(failure));
  return token;
}

void FileTokenSource::Refused() {
  MutexLock lock(&mutex_);
  was_refused_ = true;
}

absl::Status FileTokenSource::Read() {
  MutexLock lock(&mutex_);
  return ReadLocked();
}

absl::Status FileTokenSource::ReadLocked() {
  read_at_ = clock_->Monotonic();
  was_refused_ = false;
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path_, kMaxTokenBytes));
  std::string token = Trim(content);
  if (token.empty()) return MakeError(absl::StatusCode::kNotFound, "TOKEN_MISSING", fmt::format("{} is empty", path_));
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
    return MakeError(absl::StatusCode::kInvalidArgument, "TOKEN_INVALID",
                     fmt::format("{} holds something else than one token", path_));
  }
  token_ = std::move(token);
  return absl::OkStatus();
}

}  // namespace muster::agent
