#include "hub/cli/log_follow.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::cli {

absl::Status LogFollow::Run() {
  return stream_.Run([this] { return Play(); });
}

absl::Status LogFollow::Play() {
  const FleetClient::StreamEvents events = {.on_message = [this] { return OnMessage(); }};
  absl::Status ended = context_.client().Stream("TailLogs", request_, &message_, events);
  if (ReasonOf(ended) != "BAD_POSITION" || request_.resume_position().empty()) return ended;
  ForgetPosition();
  return context_.client().Stream("TailLogs", request_, &message_, events);
}

absl::Status LogFollow::OnMessage() {
  stream_.NoteMessage();
  RETURN_IF_ERROR(printer_->OldestFirst(message_.entries()));
  for (const auto& entry : message_.entries()) {
    if (!entry.has_line()) continue;
    const absl::Time time = FromProto(entry.line().time());
    last_time_ = std::max(last_time_.value_or(time), time);
  }
  if (!message_.position().empty()) request_.set_resume_position(message_.position());
  return absl::OkStatus();
}

void LogFollow::ForgetPosition() {
  request_.clear_resume_position();
  std::string how = "beginning anew";
  if (last_time_.has_value()) {
    // A line that comes twice is better than one of the same time that never comes.
    *request_.mutable_selection()->mutable_from_time() = ToProto(*last_time_);
    request_.set_last_lines(0);
    how = fmt::format("going on at {}, of which lines may come twice", LogTimeText(*last_time_));
  }
  context_.console().WriteError(
      fmt::format("muster: the hub's logs were replaced and our place in them is not known; {}\n", how));
}

}  // namespace muster::cli
