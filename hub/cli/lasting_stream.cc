#include "hub/cli/lasting_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/status.h"
#include "common/text.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

bool WaitingHeals(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

absl::Status LastingStream::Run(const std::function<absl::Status()>& play) {
  while (true) {
    message_in_this_stream_ = false;
    const Instant opened = context_.clock().Monotonic();
    absl::Status ended = play();
    if (context_.interrupt().Raised()) return Interrupted();
    if (!ended.ok() && (!any_message_ || !WaitingHeals(ended))) return ended;
    const bool lasted = message_in_this_stream_ && context_.clock().Monotonic() - opened >= kTick;
    // A stream that was silent for long is opened anew; so is one that the hub ended in order.
    if (lasted && (ended.ok() || ReasonOf(ended) == "STREAM_IDLE")) continue;
    if (ended.ok()) ended = MakeError(absl::StatusCode::kUnavailable, "STREAM_ENDED", "the hub ended the stream");
    if (!any_message_) return ended;
    RETURN_IF_ERROR(AwayAndWait(ended));
  }
}

void LastingStream::NoteMessage() {
  if (away_since_.has_value() && !show_away_) context_.console().WriteError("muster: the hub is back\n");
  away_since_.reset();
  backoff_.Reset();
  any_message_ = true;
  message_in_this_stream_ = true;
}

absl::Status LastingStream::AwayAndWait(const absl::Status& why) {
  away_why_ = MessageOf(why);
  away_why_ = away_why_.substr(0, away_why_.find("; "));
  if (!away_since_.has_value()) {
    away_since_ = context_.clock().Monotonic();
    if (!show_away_) {
      context_.console().WriteError(
          fmt::format("muster: the hub is away: {}; trying again\n", EscapeControl(away_why_)));
    }
  }
  absl::Duration left = backoff_.Next();
  do {
    if (show_away_) RETURN_IF_ERROR(show_away_());
    const absl::Duration step = std::min(left, kTick);
    if (context_.interrupt().WaitFor(step)) return Interrupted();
    left -= step;
  } while (left > absl::ZeroDuration());
  return absl::OkStatus();
}

}  // namespace muster::cli
