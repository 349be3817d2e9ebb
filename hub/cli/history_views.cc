#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::HistoryGap;

template <typename Interval>
std::vector<Spans> IntervalCells(const Interval& interval, absl::Time now, Span state, const std::string& why) {
  const absl::Time from = FromProto(interval.from_time());
  const absl::Time to = interval.has_to_time() ? FromProto(interval.to_time()) : now;
  return {{Span(TimeText(interval.from_time()))},
          {Span(interval.has_to_time() ? TimeText(interval.to_time()) : "now")},
          {Span(FormatAge(to - from))},
          {std::move(state)},
          {Span(why)}};
}

// `columns` as wide as the table it stands in.
std::vector<Spans> GapCells(const HistoryGap& gap, std::size_t columns) {
  std::vector<Spans> cells = {{Span(TimeText(gap.from_time()))},
                              {Span(TimeText(gap.to_time()))},
                              {Span(FormatAge(FromProto(gap.to_time()) - FromProto(gap.from_time())))},
                              {Span("! gap", Tone::kWarning)},
                              {Span(GapText(gap))}};
  cells.resize(columns);
  return cells;
}

// Newest first: a gap above the interval in which it begins.
template <typename Response, typename Cells>
Table HistoryTable(const Response& response, std::vector<std::string> header, Cells cells) {
  const std::size_t columns = header.size();
  Table table(std::move(header));
  int next = 0;
  for (const auto& interval : response.intervals()) {
    const absl::Time from = FromProto(interval.from_time());
    for (; next < response.gaps_size() && FromProto(response.gaps(next).from_time()) >= from; ++next) {
      table.Add(GapCells(response.gaps(next), columns));
    }
    table.Add(cells(interval));
  }
  for (; next < response.gaps_size(); ++next) table.Add(GapCells(response.gaps(next), columns));
  return table;
}

void ShowTable(const Table& table, Page* page) {
  if (table.empty()) page->Line("No history in this time.");
  page->Add(table);
}

// Rounded down: what was not always up is never shown as 100 %.
std::string Percent(double ratio) {
  // Where the ratio is a decimal the product may be a bit less than it.
  constexpr double kTiny = 1e-9;
  return fmt::format("{:.3f} %", std::floor(ratio * 100'000 + kTiny) / 1000);
}

}  // namespace

std::string GapText(const HistoryGap& gap) {
  std::string reason = gap.reason();  // "JOURNAL_FULL", as people say it
  for (char& c : reason) c = c == '_' ? ' ' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return fmt::format("{} record{} of the agent lost: {}", gap.records(), gap.records() == 1 ? "" : "s", reason);
}

void ShowTargetHistory(const fleet::v1::ListTargetHistoryResponse& response, absl::Time now, Page* page) {
  ShowTable(HistoryTable(response, {"FROM", "TO", "FOR", "STATE", "REASON"},
                         [&](const auto& interval) {
                           return IntervalCells(interval, now, StateSpan(interval.state()), interval.reason());
                         }),
            page);
}

void ShowDeploymentHistory(const fleet::v1::ListDeploymentHistoryResponse& response, absl::Time now, Page* page) {
  ShowTable(HistoryTable(response, {"FROM", "TO", "FOR", "STATUS", "MESSAGE", "VERSION", "REVISION"},
                         [&](const auto& interval) {
                           std::vector<Spans> cells =
                               IntervalCells(interval, now, StatusSpan(interval.status()), interval.message());
                           cells.push_back({Span(interval.application_version())});
                           cells.push_back({Span(interval.revision())});
                           return cells;
                         }),
            page);
}

void ShowAvailability(const fleet::v1::GetAvailabilityResponse& response, Page* page) {
  Table facts({"", ""});
  const auto add = [&facts](std::string_view name, const std::string& value, Tone tone = Tone::kPlain) {
    facts.Add({{Span(name, Tone::kQuiet)}, {Span(value, tone)}});
  };
  const absl::Duration length = FromProto(response.to_time()) - FromProto(response.from_time());
  add("window",
      fmt::format("{} to {}, {}", TimeText(response.from_time()), TimeText(response.to_time()), FormatAge(length)));
  add("available", FormatAge(FromProto(response.available())));
  add("unavailable", FormatAge(FromProto(response.unavailable())));
  add("unknown", FormatAge(FromProto(response.unknown())));
  add("ratio", response.has_ratio() ? Percent(response.ratio()) : "unknown", Tone::kStrong);
  page->Add(facts);
}

}  // namespace muster::cli
