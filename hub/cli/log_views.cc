#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::LogVolumePart;
using types::v1::LogLevel;

constexpr std::size_t kColumns = 80;
constexpr std::size_t kTimeColumns = 20;  // "2026-11-21T05:24:21Z"
// Worst first: what matters begins the bar, and is what a bar that is too long keeps.
constexpr std::array<LogLevel, 7> kWorstFirst = {
    types::v1::LOG_LEVEL_FATAL, types::v1::LOG_LEVEL_ERROR, types::v1::LOG_LEVEL_WARN,       types::v1::LOG_LEVEL_INFO,
    types::v1::LOG_LEVEL_DEBUG, types::v1::LOG_LEVEL_TRACE, types::v1::LOG_LEVEL_UNSPECIFIED};

std::int64_t LinesOf(const LogVolumePart& part, LogLevel level) {
  return static_cast<int>(level) < part.lines_size() ? part.lines(level) : 0;
}

std::int64_t LinesOf(const LogVolumePart& part) {
  return std::accumulate(part.lines().begin(), part.lines().end(), std::int64_t{0});
}

// `most` lines fill the width. A level that has lines has a letter, however few they are.
Spans Bar(const LogVolumePart& part, std::int64_t most, std::size_t width) {
  Spans bar;
  std::size_t left = width;
  for (const LogLevel level : kWorstFirst) {
    const std::int64_t lines = LinesOf(part, level);
    if (lines <= 0) continue;
    const double share = static_cast<double>(lines) / static_cast<double>(most) * static_cast<double>(width);
    const std::size_t cells = std::min(left, std::max<std::size_t>(1, static_cast<std::size_t>(share)));
    Span letter = LevelLetter(level);
    const std::string sign = letter.text;
    letter.text.clear();
    for (std::size_t i = 0; i < cells; ++i) letter.text += sign;
    bar.push_back(std::move(letter));
    left -= cells;
  }
  return bar;
}

}  // namespace

void ShowLogVolume(const fleet::v1::GetLogVolumeResponse& response, Page* page) {
  std::int64_t most = 0;
  for (const auto& part : response.parts()) most = std::max(most, LinesOf(part));
  if (most == 0) {
    page->Line("No lines in this time.");
    return;
  }
  const absl::Duration step = FromProto(response.part_duration());
  absl::Time from = FromProto(response.from_time());
  const std::size_t head = kTimeColumns + 2 + std::max<std::size_t>(5, std::to_string(most).size()) + 2;
  Table table({"FROM", "LINES", "LEVELS"});
  for (const auto& part : response.parts()) {
    table.Add(
        {{Span(TimeText(ToProto(from)))}, {Span(std::to_string(LinesOf(part)))}, Bar(part, most, kColumns - head)});
    from += step;
  }
  page->Add(table);
  Spans legend;
  for (const LogLevel level : kWorstFirst) {
    legend.push_back(LevelSpan(level));
    legend.emplace_back("  ");
  }
  legend.emplace_back(fmt::format("a row: {}", FormatAge(step)), Tone::kQuiet);
  page->Line(std::move(legend));
}

void ShowLogResources(const fleet::v1::ListLogResourcesResponse& response, Page* page) {
  if (response.resources().empty()) {
    page->Line("No lines are stored. Collecting is switched with: muster deployment set DEPLOYMENT --logs on");
    return;
  }
  Table table({"RESOURCE", "STATE", "FROM", "TO", "LINES", "SIZE", "REVISIONS"});
  for (const auto& resource : response.resources()) {
    table.Add({{Span(resource.name(), Tone::kStrong)},
               {resource.active() ? Span("● active", Tone::kGood) : Span("○ archived", Tone::kQuiet)},
               {Span(TimeText(resource.from_time()))},
               {Span(TimeText(resource.to_time()))},
               {Span(std::to_string(resource.lines()))},
               {Span(SizeText(resource.bytes()))},
               {Span(fmt::format("{}", fmt::join(resource.revisions(), " ")))}});
  }
  page->Add(table);
}

}  // namespace muster::cli
