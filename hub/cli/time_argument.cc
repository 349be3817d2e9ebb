#include "hub/cli/time_argument.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "common/files.h"
#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

// Ten digits of weeks would leave the range of times; ten years of seconds are nine.
constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr absl::Duration kMaxDuration = absl::Hours(24 * 36500);

std::int64_t SecondsOfUnit(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86400;
    case 'w':
      return 7 * 86400;
    default:
      return 0;
  }
}

absl::Status BadDuration(std::string_view text) {
  return UsageError(fmt::format("\"{}\" is not a duration; write it like 90s, 12h or 30d", text));
}

bool RemoveSuffix(std::string* text, std::string_view suffix) {
  if (text->size() < suffix.size() || text->compare(text->size() - suffix.size(), suffix.size(), suffix) != 0) {
    return false;
  }
  text->resize(text->size() - suffix.size());
  *text = Trim(*text);
  return true;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDurationArgument(std::string_view text) {
  absl::Duration total;
  std::size_t pos = 0;
  while (pos < text.size()) {
    std::int64_t count = 0;
    const std::size_t digits_from = pos;
    for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9' && count < kMaxCount; ++pos) {
      count = count * 10 + (text[pos] - '0');
    }
    const std::int64_t unit = pos < text.size() ? SecondsOfUnit(text[pos]) : 0;
    if (pos == digits_from || unit == 0) return BadDuration(text);
    total += absl::Seconds(count) * unit;
    ++pos;
  }
  if (total <= absl::ZeroDuration() || total > kMaxDuration) return BadDuration(text);
  return total;
}

absl::StatusOr<absl::Time> ParseTimeArgument(std::string_view text, absl::Time now) {
  std::string rest = Trim(text);
  if (rest == "now") return now;
  const bool ago = RemoveSuffix(&rest, "ago");
  if (ago || (!rest.empty() && rest[0] == '-')) {
    if (auto back = ParseDurationArgument(rest[0] == '-' ? rest.substr(1) : rest); back.ok()) {
      return absl::FromUnixSeconds(absl::ToUnixSeconds(now - *back));  // nobody means fractions
    }
  } else if (const auto instant = ParseRfc3339(rest); instant.ok()) {
    return *instant;
  } else if (const auto day = ParseRfc3339(rest + "T00:00:00Z"); day.ok()) {
    return *day;
  }
  return UsageError(
      fmt::format("\"{}\" is not a time; write it like 2026-11-21T05:24:21Z, 2026-11-21 or \"2h ago\"", text));
}

}  // namespace muster::cli
