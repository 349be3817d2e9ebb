#include "hub/logs/log_marker.h"

#include <algorithm>
#include <charconv>

namespace muster::hub {
namespace {

// Up to the next space, which goes, or the end.
std::string_view TakeWord(std::string_view* text) {
  const std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(std::min(word.size() + 1, text->size()));
  return word;
}

std::optional<std::int64_t> NotNegative(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

bool IsReason(std::string_view word) {
  return !word.empty() && word.size() <= kMaxMarkerReasonBytes &&
         std::all_of(word.begin(), word.end(), [](char c) { return c == '_' || (c >= 'A' && c <= 'Z'); });
}

}  // namespace

std::optional<LogMarker> ParseMarker(std::string_view text) {
  // Exactly two spaces.
  if (std::count(text.begin(), text.end(), ' ') != 2) return std::nullopt;
  const std::string_view reason = TakeWord(&text);
  const std::optional<std::int64_t> lines = NotNegative(TakeWord(&text));
  const std::optional<std::int64_t> to_us = NotNegative(TakeWord(&text));
  if (!IsReason(reason) || !lines || !to_us) return std::nullopt;
  return LogMarker{.reason = reason, .lines = *lines, .to_us = *to_us};
}

}  // namespace muster::hub
