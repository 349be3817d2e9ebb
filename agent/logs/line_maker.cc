#include "agent/logs/line_maker.h"

#include "agent/logs/level_parser.h"
#include "agent/logs/line_cleaner.h"

namespace muster::agent {
namespace {

// Whether the message goes on with the line of the one before. Brings the state to what it is behind the message.
bool GoesOn(const DockerMessage& message, StreamState* state) {
  const bool goes_on = state->open_line_ns == message.time_ns;
  // The container ended within that line.
  if (!goes_on) state->kept.clear();
  state->open_line_ns = message.ends_line ? std::nullopt : std::optional(message.time_ns);
  return goes_on;
}

}  // namespace

void LineMaker::Take(const DockerMessage& message, StreamState* state, absl::FunctionRef<void(const LogLine&)> visit) {
  const bool goes_on = GoesOn(message, state);
  const std::string_view clean = CleanText(message.text, message.ends_line, &state->kept, &clean_buffer_);
  if (clean.empty() && !message.ends_line) return;
  const std::string_view masked = masker_->Mask(clean, &state->key, &mask_buffer_);
  if (!goes_on) state->level = ParseLevel(masked, state->level);
  SplitText(masked, kMaxLineBytes, [&](std::string_view part, bool is_last) {
    visit({.text = part, .level = state->level, .is_continued = !is_last || !message.ends_line});
  });
}

void LineMaker::Skip(const DockerMessage& message, StreamState* state) const {
  GoesOn(message, state);
  state->kept.clear();
  state->level = LogLevel::kNone;
  masker_->Skip(message.text, &state->key);
}

}  // namespace muster::agent
