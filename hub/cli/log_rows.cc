#include "hub/cli/log_rows.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "common/time_format.h"
#include "hub/cli/page.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::LogGap;
using fleet::v1::LogLine;

// docs/logs.md, "Gaps".
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kReasons = {{
    {"RATE", "dropped: above the rate limit"},
    {"ROTATED", "lost: rotated away before the agent read them"},
    {"OFF", "not collected: logs were switched off"},
    {"JOURNAL_FULL", "lost: the agent's journal was full"},
    {"DISK_FULL", "lost: the host's disk was full"},
    {"DAMAGED", "lost: the agent's journal was damaged"},
    {"NOT_KEPT", "lost: the hub lost them, and the agent had them no more"},
    {"RETENTION", "deleted: the hub keeps no older ones"},
    {"CHUNK_DAMAGED", "not readable: damaged in the hub's store"},
}};

std::string_view ReasonText(std::string_view reason) {
  for (const auto& [known, text] : kReasons) {
    if (known == reason) return text;
  }
  return "missing";
}

std::string Missing(const LogGap& gap) {
  if (gap.lines() > 0) return fmt::format("{} line{}", gap.lines(), gap.lines() == 1 ? "" : "s");
  if (gap.records() > 0) return fmt::format("{} record{} of lines", gap.records(), gap.records() == 1 ? "" : "s");
  return "an unknown number of lines";
}

// The end of a time span, without its day when that is the beginning's.
std::string EndText(const std::string& from, const std::string& to) {
  constexpr std::size_t kDay = 11;  // "2026-11-21T"
  return from.compare(0, kDay, to, 0, kDay) == 0 ? to.substr(kDay) : to;
}

}  // namespace

std::string LogRows::Next(const fleet::v1::LogEntry& entry) {
  return entry.has_gap() ? Gap(entry.gap()) : Line(entry.line());
}

std::string LogRows::Line(const LogLine& line) {
  const absl::Time time = FromProto(line.time());
  const auto open = open_.find({line.resource(), line.stream()});
  const bool goes_on = open != open_.end() && open->second == time;
  if (line.continued()) {
    open_.insert_or_assign({line.resource(), line.stream()}, time);
  } else if (open != open_.end()) {
    open_.erase(open);
  }
  Spans head;
  if (options_.marks_hits) head.emplace_back(line.context() ? "  " : "> ", Tone::kStrong);
  if (goes_on) head.emplace_back("+ ", Tone::kQuiet);
  head.emplace_back(LogTimeText(time) + " ", Tone::kQuiet);
  if (options_.resources) head.emplace_back(line.resource() + " ", Tone::kStrong);
  head.push_back(LevelLetter(line.level()));
  Page page;
  page.Line(std::move(head));
  std::string row = page.Lines({.color = options_.color, .columns = 0}).front();
  if (!line.text().empty()) row += ' ' + AnsiText(line.text(), options_.ansi);
  return row;
}

std::string LogRows::Gap(const LogGap& gap) const {
  const std::string from = LogTimeText(FromProto(gap.from_time()));
  std::string text = fmt::format("! {} .. {} ", from, EndText(from, LogTimeText(FromProto(gap.to_time()))));
  if (options_.resources && !gap.resource().empty()) text += fmt::format("{}: ", gap.resource());
  text += fmt::format("{} {} ({})", Missing(gap), ReasonText(gap.reason()), gap.reason());
  Page page;
  page.Line({Span(text, Tone::kWarning)});
  return page.Lines({.color = options_.color, .columns = 0}).front();
}

std::string LogTimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone()); }

}  // namespace muster::cli
